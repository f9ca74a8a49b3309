//! The sink under crashes.

mod engine;
mod harness;
mod memory;
