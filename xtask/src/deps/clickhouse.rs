//! The ClickHouse engine library (libchdb), by npm.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use petrel_testkit::{dev_dir, engine_library_file, workspace_root};

use crate::fetch::fetch;
use crate::machine::{FOR_ENGINE, require};

/// What npm needs, in deploy/dev/clickhouse. The lock file pins version and integrity.
const FILES: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];

/// Fetches the library unless the one of the present lock file is there, or `PETREL_CHDB_LIB` names
/// another one.
pub(crate) fn fetch_engine() -> Result<()> {
    if std::env::var_os("PETREL_CHDB_LIB").is_some() {
        let file = engine_library_file();
        ensure!(file.is_file(), "PETREL_CHDB_LIB names {}, which is no file", file.display());
        return Ok(());
    }
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "the engine library is fetched for Linux on x86-64 only; elsewhere set PETREL_CHDB_LIB to a libchdb \
         (chdb.io), or use a ClickHouse server"
    );
    let source = workspace_root().join("deploy/dev/clickhouse");
    let mut wanted = Vec::new();
    for name in FILES {
        let file = source.join(name);
        wanted.extend(fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    let dir = dev_dir().join("clickhouse");
    let stamp = dir.join(".stamp");
    let library = engine_library_file();
    if library.is_file() && fs::read(&stamp).is_ok_and(|stamp| stamp == wanted) {
        return Ok(());
    }
    require(&FOR_ENGINE)?;
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    for name in FILES {
        fs::copy(source.join(name), dir.join(name)).with_context(|| format!("cannot copy {name}"))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&dir);
    let modules = dir.join("node_modules");
    fetch("the ClickHouse engine library", &mut npm, &dir.join("npm.log"), &modules)?;
    ensure!(library.is_file(), "npm succeeded, but there is no {}", library.display());
    fs::write(stamp, wanted).context("cannot write the stamp")
}
