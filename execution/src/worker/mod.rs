//! What a worker decides: pure functions and small machines that the worker's threads, and the simulation, run.
//!
//! `lease` (how long an attempt may go on unheard), `orders` (what owners said about attempts that are not
//! claimed yet), `closed` (switches and windows), `turns` (which class has the next free slot), `line` (who has
//! the next room), `holding` (a claimed attempt, from its claim to its end),
//! `record` (what it says), `text` (what it says of what was written).

mod closed;
mod holding;
mod lease;
mod line;
mod orders;
mod record;
mod text;
mod turns;

pub use closed::{is_outside, is_switched_off};
pub use holding::{Begin, Exit, Holding, Stop, Verdict, Why};
pub use lease::{heartbeat_again_ms, heartbeat_every_ms, patience_ms, room_patience_ms, worker_lease_ms, workers_of};
pub use line::Line;
pub use orders::{Orders, RELEASE, Remembered, Said};
pub use record::{Final, Reports, STREAM_BYTES_MAX};
pub use turns::Turns;
