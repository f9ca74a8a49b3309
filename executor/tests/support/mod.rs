//! A log in memory for one member of each group, real time, and a catalog of shell lines.

pub mod bus;
pub mod rig;
