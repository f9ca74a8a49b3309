//! The bus on Apache Kafka (DESIGN §2.2): consumer groups, transactions, topics, through librdkafka.
//!
//! Nothing else in the product knows Kafka. What this crate relies on, and what it does about
//! librdkafka's and Kafka's own gaps, stands in the module that does it:
//!
//! - `options`: named limits, and how properties of the user's are passed through.
//! - `context`: what clients say goes to `tracing`; delivery reports.
//! - `native`: the one unsafe module, which polls a consumer's events.
//! - `faults`: what an error of a client means for whoever made the call.
//! - `sending`: a producer, and what became of its records.
//! - `transactions`: a producer's transactions; it is thrown away on every doubt.
//! - `session` (with `membership`, `restore`): one member of a group.
//! - `remade`: topics that are made anew while they are read.
//! - `offsets`: first and last offsets of many partitions at once.
//! - `publisher` (with `calls`, `writer`, `turns`, `singly`, `lane`, `leaders`), `tail`, `topics`, `bus`: writing from outside, following, administration.

mod bus;
mod calls;
mod context;
mod describe;
mod faults;
mod lane;
mod leaders;
mod lists;
mod membership;
mod native;
mod offsets;
mod options;
mod publisher;
mod remade;
mod restore;
mod sending;
mod session;
mod singly;
mod slots;
mod sole;
mod tail;
mod topics;
mod transactions;
mod turns;
mod writer;

pub use bus::KafkaBus;
pub use options::KafkaOptions;
