//! The owner as a function: what it writes for what it is given.

mod harness;
mod replay;
mod table;
