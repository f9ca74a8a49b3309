//! End to end: Petrel as its users run it, on real parts.

mod crash;
mod embedded;
mod guard;
