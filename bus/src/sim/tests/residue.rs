//! What a driver that is gone left in its stage.

use std::sync::Arc;

use super::*;
use crate::driver::{Driver, DriverOptions};
use crate::globals::Versioned;
use crate::session::Batch;
use crate::stage::{Context, Stage, StageSpec, Taken};

/// Keeps what it took until it is told whether that was committed.
struct Keeper {
    spec: StageSpec,
    open: usize,
    committed: usize,
}

impl Stage for Keeper {
    type Globals = ();

    fn spec(&self) -> &StageSpec {
        &self.spec
    }

    fn inputs(&self, (): &()) -> Vec<InputTopic> {
        vec![InputTopic { name: "in".into(), start: Start::Beginning, with: None }]
    }

    fn records(&mut self, batch: Batch<'_>, _: &mut Context<'_, ()>) -> Taken {
        self.open += batch.records.len();
        Taken::All
    }

    fn committed(&mut self) {
        self.committed += std::mem::take(&mut self.open);
    }

    fn aborted(&mut self) {
        self.open = 0;
    }
}

/// A driver that unwinds tells its stage nothing: the next one does.
#[test]
fn what_a_driver_left_open_is_undone_by_the_next_one() {
    let log = Log::new();
    log.publish("in", "k", Some("1"));
    let spec = StageSpec { name: "keeper".into(), changelog: None, silence: None, dead_letters: "out".into() };
    let mut stage = Keeper { spec, open: 0, committed: 0 };
    // As after a panic in between: taken, and neither committed nor undone.
    stage.open = 1;
    let session = |member: &str| {
        let options = SessionOptions { group: "group".into(), member: member.into(), transactional: true };
        log.bus.session(&options).unwrap()
    };
    let globals = Arc::new(Versioned { version: 1, value: Arc::new(()) });
    let options = DriverOptions::default();
    let mut driver = Driver::new(&mut stage, session("a"), globals, log.clock.clone(), options, Arc::default());
    for _ in 0..20 {
        driver.tick().unwrap();
        log.clock.advance(100);
    }
    drop(driver);
    assert_eq!((stage.open, stage.committed), (0, 1), "the record counts once");
}
