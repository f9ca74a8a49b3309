//! What the end-to-end tests share: Petrel as its users run it (the binary, its command line, its
//! API), and clients that are not Petrel.

mod cli;
mod cluster;
mod demo;
mod http;
mod kafka;
mod member;
mod packs;
mod random;
mod single;
mod workflows;

pub use cli::Cli;
pub use cluster::{Cluster, Credentials, Size};
pub use demo::{Played, demo_faults, processes_naming};
pub use http::{Answer, get, get_with, post};
pub use kafka::{
    Feed, Record, committed_records, committed_values, create_replicated_topic, create_topic, takes_ms, topics_of,
    wait_in_sync,
};
pub use member::Member;
pub use packs::{CRASH_TRIGGER, write_pack, write_reporting_pack};
pub use random::Random;
pub use single::Single;
pub use workflows::{HOLD, WorkflowPack, ends, output_of, run_workflow, shown};

/// A number from the environment, for the full counts that `cargo xtask crash` asks for.
pub fn count_from_env(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text:?}")),
        Err(_) => default,
    }
}
