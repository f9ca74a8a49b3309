//! An engine for a test, in a process and a directory of its own.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use petrel_audit::Address;
use petrel_audit::engine::{EngineOptions, EngineProcess, SupervisorError, SupervisorOptions, serve};
use tempfile::TempDir;

pub const DATA_VARIABLE: &str = "PETREL_TEST_ENGINE_DATA";
pub const LISTEN_VARIABLE: &str = "PETREL_TEST_ENGINE_LISTEN";
pub const TINY_VARIABLE: &str = "PETREL_TEST_ENGINE_TINY";

const LIBRARY: &str = "../target/dev/clickhouse/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so";

/// The engine's library. Missing, it fails the test and says what to do.
pub fn library() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join(LIBRARY);
    let path = std::env::var_os("PETREL_CHDB_LIB").map_or_else(default, PathBuf::from);
    assert!(path.is_file(), "no ClickHouse engine library at {}; run: cargo xtask deps", path.display());
    path
}

/// What starts this test binary as an engine on a directory. `env` carries the variables: a
/// supervisor's arguments are all that it passes on.
pub fn options(data: &Path, extra: &[(&str, &str)]) -> SupervisorOptions {
    let library = library();
    let this = std::env::current_exe().expect("the test's own path");
    let mut args: Vec<OsString> = vec![
        format!("{DATA_VARIABLE}={}", data.display()).into(),
        format!("PETREL_CHDB_LIB={}", library.display()).into(),
    ];
    args.extend(extra.iter().map(|(name, value)| format!("{name}={value}").into()));
    args.push(this.into());
    args.extend(["process::engine_host", "--exact", "--nocapture"].map(OsString::from));
    let mut options = SupervisorOptions::new("/usr/bin/env".into(), args);
    options.log = Some(data.with_extension("log"));
    options.backoff_ms = (20, 200);
    options
}

/// A running engine that ends with the test.
pub struct Engine {
    pub process: EngineProcess,
    /// Holds the data and the log until the test ends.
    pub dir: TempDir,
}

impl Engine {
    pub fn start() -> Self {
        Self::start_with(&[]).expect("the engine starts")
    }

    pub fn start_with(extra: &[(&str, &str)]) -> Result<Self, SupervisorError> {
        let dir = tempfile::tempdir().expect("a directory");
        let process = EngineProcess::start(options(&dir.path().join("data"), extra))?;
        Ok(Self { process, dir })
    }

    /// Where it is now; waits while it is being started anew.
    pub fn address(&self) -> Address {
        wait_for("the engine's address", || self.process.endpoint().now())
    }
}

/// Looks until there is something to see; fails after a minute.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(std::time::Instant::now() < until, "waited a minute for {what}");
        // Nobody unparks: what is waited for happens in another process.
        std::thread::park_timeout(std::time::Duration::from_millis(10));
    }
}

/// Not a test: the body of the engine's process, which the tests start as this binary's only test.
#[test]
fn engine_host() {
    let Some(data_dir) = std::env::var_os(DATA_VARIABLE) else { return };
    let listen = std::env::var(LISTEN_VARIABLE).unwrap_or_else(|_| "127.0.0.1:0".into());
    let mut options = EngineOptions::new(library(), data_dir.into(), listen.parse().expect("an address"));
    if std::env::var_os(TINY_VARIABLE).is_some() {
        options.limits.statements_max = 1;
        options.limits.queue_max = 1;
        options.limits.body_bytes_max = 1 << 20;
    }
    if let Err(error) = serve(options) {
        eprintln_and_exit(&error.to_string());
    }
    std::process::exit(0);
}

/// The log is what an operator sees.
#[allow(clippy::print_stderr)]
fn eprintln_and_exit(error: &str) -> ! {
    eprintln!("{error}");
    std::process::exit(3);
}
