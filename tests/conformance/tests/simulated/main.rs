//! The simulated log: the suite, and what only a log that fails to order shows.

mod commits;
mod ends;
mod faults;
mod globals;
mod random;
mod stores;
mod suite;
mod suspects;
