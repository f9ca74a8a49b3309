//! Where the embedded engine's library is, and the sub-command that hosts it.

use std::path::{Path, PathBuf};

use anyhow::bail;

/// Name of the library's file.
const LIBRARY: &str = "libchdb.so";

/// The library: as configured, else beside the executable, else in the data directory.
///
/// # Errors
/// If it is nowhere; says what to do.
pub fn library(configured: Option<&Path>, data_dir: &Path) -> anyhow::Result<PathBuf> {
    if let Some(path) = configured {
        if path.is_file() {
            return Ok(path.to_owned());
        }
        bail!("the ClickHouse engine's library {} does not exist", path.display());
    }
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(|dir| dir.join(LIBRARY)));
    let candidates = beside.into_iter().chain([data_dir.join(LIBRARY)]);
    match candidates.into_iter().find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => bail!(
            "the ClickHouse engine's library {LIBRARY} was not found beside the executable or in {}: \
             name it with --clickhouse-library, PETREL_CHDB_LIB or `clickhouse.library` (the npm package \
             @chdb/lib-linux-x64-gnu holds it), or set `clickhouse.url` to use a ClickHouse server",
            data_dir.display()
        ),
    }
}
pub struct Engine;
impl Engine {
    pub async fn shutdown(self) {}
}
pub async fn start(_: &crate::config::Config, _: &mut crate::metrics::Exported) -> anyhow::Result<Engine> {
    todo!()
}
pub fn serve(_: PathBuf, _: PathBuf, _: std::net::SocketAddr, _: bool) -> anyhow::Result<()> {
    todo!()
}
