//! The Kafka bus against a real broker: what only it has, beside the conformance suite of all buses.

mod admin;
mod faults;
mod followers;
mod leaders;
mod outage;
mod publisher;
mod remade;
mod rights;
mod session;
mod support;
mod tail;
