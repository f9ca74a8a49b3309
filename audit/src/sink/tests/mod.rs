//! The sink under crashes, outages and calls that hang.

mod begin;
mod engine;
mod hangs;
mod harness;
mod memory;
