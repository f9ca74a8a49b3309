//! The whole product on the simulated log, under virtual time, in one deterministic run from one seed.
//!
//! A seed decides events and faults ([`plan`]). The processes ([`process`]) run the product's own
//! stages over one [`petrel_bus::sim::SimBus`]; a scheduler ([`world`]) lets them take turns, lets time
//! pass and lets faults happen, between two turns or at a point of a driver, in the middle of a commit.
//! Then faults stop, everything must come to its end, and [`checks`] look at all that is on the log.
//!
//! The same seed gives the same run, to the last byte: [`Report::hash`].

pub mod checks;
pub mod fault;
pub mod history;
pub mod pack;
pub mod plan;
pub mod planted;
pub mod process;
pub mod product;
pub mod rng;
pub mod run;
pub mod supervisor;
pub mod trace;
pub mod workflows;
pub mod world;

pub use run::{Options, Report, run};
