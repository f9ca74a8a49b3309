//! The properties, by what they are about. Each takes a fresh bus and panics where it does not hold.

pub mod atomicity;
pub mod crash;
pub mod follow;
pub mod groups;
pub mod limits;
pub mod ordering;
pub mod panics;
pub mod positions;
pub mod pressure;
pub mod publishing;
pub mod restores;
pub mod retention;
pub mod starts;
pub mod state;
pub mod tails;
pub mod topics;
pub mod waking;
