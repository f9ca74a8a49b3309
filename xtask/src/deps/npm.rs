//! A package by npm, pinned by a lock file in deploy/dev, put below target/dev.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use petrel_testkit::{dev_dir, workspace_root};

use crate::fetch::fetch;
use crate::machine::{FOR_NPM, require};

/// What npm needs. The lock file pins version and integrity.
const FILES: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];

/// A package to fetch.
pub(super) struct Package<'p> {
    /// The folder's name, in deploy/dev and in target/dev.
    pub(super) folder: &'p str,
    /// What it is called when it is fetched.
    pub(super) title: &'p str,
    /// A script for node in that folder, which makes something of what npm brought.
    pub(super) script: Option<&'p str>,
    /// A file that must be there in the end.
    pub(super) product: &'p Path,
}

/// Fetches the package unless the one of the present lock file and script is there.
pub(super) fn fetch_package(package: &Package<'_>) -> Result<()> {
    let source = workspace_root().join("deploy/dev").join(package.folder);
    let names: Vec<&str> = FILES.into_iter().chain(package.script).collect();
    let mut wanted = Vec::new();
    for name in &names {
        let file = source.join(name);
        wanted.extend(fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    let dir = dev_dir().join(package.folder);
    let stamp = dir.join(".stamp");
    if package.product.is_file() && fs::read(&stamp).is_ok_and(|stamp| stamp == wanted) {
        return Ok(());
    }
    require(&FOR_NPM)?;
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    for name in &names {
        fs::copy(source.join(name), dir.join(name)).with_context(|| format!("cannot copy {name}"))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&dir);
    fetch(package.title, &mut npm, &dir.join("npm.log"), &dir.join("node_modules"))?;
    if let Some(script) = package.script {
        let status = Command::new("node").arg(script).current_dir(&dir).status().context("cannot start node")?;
        ensure!(status.success(), "node {script} failed ({status}) in {}", dir.display());
    }
    ensure!(package.product.is_file(), "npm succeeded, but there is no {}", package.product.display());
    fs::write(stamp, wanted).context("cannot write the stamp")
}
