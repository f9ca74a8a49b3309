//! The embedded ClickHouse engine: its library, the sub-command that hosts it, and the child process.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use petrel_audit::Endpoint;
use petrel_audit::engine::{EngineOptions, EngineProcess, SupervisorOptions};
use petrel_executor::supervise::keep_secrets;

use crate::config::Config;
use crate::environment::conceal_secrets;

/// Name of the library's file.
const LIBRARY: &str = "libchdb.so";
/// The engine's data, in the data directory.
const DATA: &str = "clickhouse";
/// The engine's log, in the data directory.
const LOG: &str = "clickhouse.log";

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

/// Hosts the engine in this process until a signal ends it, or its parent ends.
///
/// # Errors
/// If the engine cannot be loaded or started, or the address cannot be bound.
pub fn serve(library: PathBuf, data_dir: PathBuf, listen: SocketAddr) -> anyhow::Result<()> {
    let options = EngineOptions::new(library, data_dir, listen);
    conceal_secrets();
    keep_secrets()?;
    Ok(petrel_audit::engine::serve(options)?)
}

/// The engine in a child process of this one.
pub struct Engine(EngineProcess);

impl Engine {
    /// Starts the child on a loopback port that the system chooses; its log goes to the data directory.
    ///
    /// # Errors
    /// If the library is missing or the engine does not start.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        let library = library(config.clickhouse.library.as_deref(), &config.data_dir)?;
        let data_dir = config.data_dir.join(DATA);
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let args: Vec<OsString> = vec![
            "clickhouse".into(),
            "--data-dir".into(),
            data_dir.into(),
            "--library".into(),
            library.into(),
            "--listen".into(),
            "127.0.0.1:0".into(),
        ];
        let mut options = SupervisorOptions::new(program, args);
        options.log = Some(config.data_dir.join(LOG));
        let started = tokio::task::spawn_blocking(move || EngineProcess::start(options)).await;
        Ok(Self(started.context("the engine could not be started")??))
    }

    /// Where the engine is; follows it when it is started anew.
    pub fn endpoint(&self) -> Endpoint {
        self.0.endpoint()
    }

    /// Ends the child in order. Blocks.
    pub fn stop(self) {
        self.0.stop();
    }
}
