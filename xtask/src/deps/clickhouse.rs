//! The ClickHouse engine library (libchdb), by npm.

use anyhow::{Result, ensure};
use petrel_testkit::engine_library_file;

use super::npm::{Package, fetch_package};

/// Fetches the library unless the one of the present lock file is there, or `PETREL_CHDB_LIB` names
/// another one.
pub(crate) fn fetch_engine() -> Result<()> {
    let library = engine_library_file();
    if std::env::var_os("PETREL_CHDB_LIB").is_some() {
        ensure!(library.is_file(), "PETREL_CHDB_LIB names {}, which is no file", library.display());
        return Ok(());
    }
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "the engine library is fetched for Linux on x86-64 only; elsewhere set PETREL_CHDB_LIB to a libchdb \
         (chdb.io), or use a ClickHouse server"
    );
    fetch_package(&Package {
        folder: "clickhouse",
        title: "the ClickHouse engine library",
        script: None,
        product: &library,
    })
}
