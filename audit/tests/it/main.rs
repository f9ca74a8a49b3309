//! Tests with the real ClickHouse engine.

mod engine;
mod http;
mod process;

use petrel_audit::engine::{EngineOptions, serve};

/// Not a test: the body of the engine's process, which the tests start as this binary's only test.
#[test]
fn engine_host() {
    let Some(data_dir) = std::env::var_os(process::DATA_VARIABLE) else { return };
    let listen = std::env::var(process::LISTEN_VARIABLE).unwrap_or_else(|_| "127.0.0.1:0".into());
    let mut options = EngineOptions::new(process::library(), data_dir.into(), listen.parse().expect("an address"));
    if std::env::var_os(process::TINY_VARIABLE).is_some() {
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
