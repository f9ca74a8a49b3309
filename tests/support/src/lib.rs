//! What tests, benches and xtask share: a real Kafka broker, processes that can be killed, an HTTP
//! sink outside Petrel, and polling with a deadline instead of sleeping.
//!
//! Nothing here knows a Petrel crate, so that a test of any level may use it.
//!
//! # Environment
//!
//! | Variable | Meaning |
//! |---|---|
//! | `PETREL_TEST_KAFKA` | `host:port` of a broker to share; `cargo xtask test` sets it |
//! | `PETREL_CHDB_LIB` | the ClickHouse engine library, instead of the one in target/dev |
//! | `PETREL_BIN` | the `petrel` binary, instead of the one beside the test |
//! | `PETREL_TEST_SKIPS` | a file that names every skipped test; `cargo xtask test` reads it |
//! | `CI` | `true`: a missing requirement is a failure instead of a skip |

mod guardian;
mod http_sink;
mod kafka;
mod paths;
mod ports;
mod process;
mod requirement;
mod wait;

pub use http_sink::{Hit, HttpSink};
pub use kafka::{BrokerMetadata, KafkaBroker, KafkaCluster, broker_metadata, shared_kafka};
pub use paths::{
    dev_dir, engine_library, engine_library_file, kafka_libs_dir, petrel_binary, scratch_dir, workspace_root,
};
pub use ports::free_port;
pub use process::Proc;
pub use requirement::{JAVA_HINT, MAVEN_HINT, java_major, kafka_or_skip, program_exists};
pub use wait::{poll_until, wait_until};
