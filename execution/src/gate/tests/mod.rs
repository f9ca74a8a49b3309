//! Gates against a model of what they promise.

mod memory;
mod table;
mod terms;
mod world;
