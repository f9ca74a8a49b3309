//! Petrel's binary: configuration, roles, HTTP API and command line.
//!
//! Reading order: `cli` (what can be typed), `process` (what a process is made of), `world` (catalog
//! and key-value store), `api`.

mod activity;
mod api;
mod apply;
mod bus;
mod cli;
mod clock;
mod config;
mod demo;
mod engine;
mod environment;
mod follow;
mod format;
mod gates;
mod instance;
mod live;
mod memory;
mod metrics;
mod output;
mod packs;
mod presence;
mod process;
mod roles;
mod secrets;
mod sink;
mod sql;
mod state;
mod stop;
mod telemetry;
mod upgrade;
mod world;

pub use cli::main;

/// Makes TLS available to the HTTP clients.
fn install_tls() {
    // An error says that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
