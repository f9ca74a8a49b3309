//! A log in a directory, real time, and a catalog of shell lines.

pub mod rig;
pub mod sources;
