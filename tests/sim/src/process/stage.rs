//! A process that runs one stage: connect, drive, connect anew after a failure, as a stage's thread does.

use std::rc::Rc;
use std::sync::Arc;

use petrel_bus::sim::SimBus;
use petrel_bus::{
    Bus, Clock, Driver, DriverError, DriverOptions, DriverPoint, GlobalsSource, Session, SessionOptions, Stage,
    StageStats,
};

use super::{Body, Turn};

/// First and longest pause before connecting anew, in milliseconds, as of a real thread.
const BACKOFF_MS: (i64, i64) = (100, 5_000);

/// Asked at every point of a driver whether the process dies there.
pub type AtPoint = Rc<dyn Fn(DriverPoint) -> bool>;

/// Puts something between a driver and its session.
pub type Wrap = Rc<dyn Fn(Box<dyn Session>) -> Box<dyn Session>>;

/// Where a stage sits.
#[derive(Clone)]
pub struct Seat {
    /// The log.
    pub bus: SimBus,
    /// Group and member.
    pub session: SessionOptions,
    /// Settings of the driver.
    pub driver: DriverOptions,
    /// The clock of the process.
    pub clock: Arc<dyn Clock>,
    /// What happens at the points of the driver.
    pub at_point: AtPoint,
    /// What is between driver and session.
    pub wrap: Wrap,
}

/// A stage, with the session that it has now.
pub struct StageBody<S: Stage + 'static> {
    driver: Option<Driver<'static, S>>,
    /// While there is no driver that has it.
    stage: Option<S>,
    seat: Seat,
    globals: Arc<dyn GlobalsSource<S::Globals>>,
    stats: Arc<StageStats>,
    backoff_ms: i64,
    again_ms: i64,
}

impl<S: Stage + 'static> StageBody<S> {
    /// A stage without a session yet.
    pub fn new(stage: S, seat: Seat, globals: Arc<dyn GlobalsSource<S::Globals>>) -> Self {
        let (stage, backoff_ms) = (Some(stage), BACKOFF_MS.0);
        Self { driver: None, stage, seat, globals, stats: Arc::default(), backoff_ms, again_ms: i64::MIN }
    }

    fn connect(&mut self) -> bool {
        let Ok(session) = self.seat.bus.session(&self.seat.session) else { return false };
        let Some(stage) = self.stage.take() else { unreachable!("without a driver the stage is here") };
        let session = (self.seat.wrap)(session);
        let (globals, clock, options) = (self.globals.clone(), self.seat.clock.clone(), self.seat.driver.clone());
        let mut driver = Driver::owning(stage, session, globals, clock, options, self.stats.clone());
        let at_point = self.seat.at_point.clone();
        driver.crash_when(move |point| at_point(point));
        self.driver = Some(driver);
        true
    }

    fn back_off(&mut self) -> Turn {
        self.again_ms = self.seat.clock.now_ms() + self.backoff_ms;
        self.backoff_ms = (self.backoff_ms * 2).min(BACKOFF_MS.1);
        Turn::Idle
    }
}

impl<S: Stage + 'static> Body for StageBody<S> {
    fn tick(&mut self) -> Turn {
        if self.driver.is_none() {
            // A clock that jumped back must not make the pause longer.
            let left_ms = self.again_ms.saturating_sub(self.seat.clock.now_ms());
            if (1..=BACKOFF_MS.1).contains(&left_ms) {
                return Turn::Idle;
            }
            if !self.connect() {
                return self.back_off();
            }
        }
        let Some(driver) = &mut self.driver else { return Turn::Idle };
        match driver.tick() {
            Ok(tick) => {
                if tick.committed {
                    self.backoff_ms = BACKOFF_MS.0;
                }
                if tick.committed || tick.records > 0 { Turn::Busy } else { Turn::Idle }
            }
            Err(DriverError::Rebuild(_)) => {
                self.stage = self.driver.take().and_then(Driver::into_stage);
                self.back_off()
            }
            Err(DriverError::Crashed(_)) => Turn::Killed,
            // No stage of the product has a reason to: it is what a seed is searched for.
            Err(error @ DriverError::Panicked(_)) => Turn::Halted(error.to_string()),
            Err(DriverError::Halt(why)) => Turn::Halted(why),
        }
    }

    fn leave(mut self: Box<Self>) {
        self.leave_in_place();
    }
}

impl<S: Stage + 'static> StageBody<S> {
    /// Partitions that it has.
    pub fn partitions(&self) -> Vec<u32> {
        self.driver.as_ref().map_or_else(Vec::new, Driver::partitions)
    }

    /// Commits what is open and leaves the group.
    pub fn leave_in_place(&mut self) {
        if let Some(driver) = self.driver.take() {
            // One that fails at its last commit is a member that died.
            let _ = driver.finish();
        }
    }
}
