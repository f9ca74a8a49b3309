//! Gates against a model of what they promise.

mod memory;
mod nested;
mod random;
mod table;
