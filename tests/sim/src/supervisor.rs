//! What workers start: simulated actions, each under a supervisor that outlives a worker which stands still.
//!
//! A real supervisor is a process of its own. It ends its action when the lease passes, by a clock that
//! nobody sets, whether or not its worker goes on; and at once when its worker is gone.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use petrel_execution::worker::Why;

/// What an action did to the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// Id of the execution.
    pub execution: String,
    /// Reference of the action.
    pub action: String,
    /// Number of the attempt.
    pub attempt: i32,
    /// Its fencing token.
    pub token: i64,
    /// Name of the worker.
    pub worker: String,
    /// When it began, in milliseconds since the epoch.
    pub began_ms: i64,
    /// When it ended, in milliseconds since the epoch.
    pub ended_ms: Option<i64>,
}

/// A running action.
#[derive(Debug)]
pub struct Action {
    /// Place of its effect.
    effect: usize,
    /// When it ends by itself, in milliseconds since the epoch.
    ends_ms: i64,
    /// When it has run for too long, in milliseconds since the epoch.
    timeout_ms: i64,
    /// When its lease passes, in milliseconds since the epoch.
    lease_ms: Cell<i64>,
    return_code: i32,
    exit: Cell<Option<(Why, i64)>>,
}

impl Action {
    /// Its worker's lease was extended.
    pub fn extend(&self, lease_ms: i64) {
        self.lease_ms.set(lease_ms);
    }

    /// Why it ended and when, in milliseconds since the epoch, if it has.
    pub fn exit(&self) -> Option<(Why, i64)> {
        self.exit.get()
    }

    /// Its exit code, should it end by itself.
    pub fn return_code(&self) -> i32 {
        self.return_code
    }
}

/// All supervisors.
#[derive(Debug, Default)]
pub struct Supervisors {
    running: RefCell<Vec<Rc<Action>>>,
    effects: RefCell<Vec<Effect>>,
}

impl Supervisors {
    /// Starts an action.
    pub fn start(&self, effect: Effect, takes_ms: i64, timeout_ms: i64, lease_ms: i64, return_code: i32) -> Rc<Action> {
        let began_ms = effect.began_ms;
        let mut effects = self.effects.borrow_mut();
        let action = Rc::new(Action {
            effect: effects.len(),
            ends_ms: began_ms + takes_ms,
            timeout_ms: began_ms + timeout_ms,
            lease_ms: Cell::new(lease_ms),
            return_code,
            exit: Cell::new(None),
        });
        effects.push(effect);
        self.running.borrow_mut().push(action.clone());
        action
    }

    /// Something happened at once, and is over.
    pub fn record(&self, effect: Effect) {
        self.effects.borrow_mut().push(effect);
    }

    /// Ends what is over by now, at the instant at which it was.
    pub fn look(&self, now_ms: i64) {
        let mut running = self.running.borrow_mut();
        for action in running.iter() {
            let ends = [
                (action.ends_ms, Why::Exited),
                (action.timeout_ms, Why::Timeout),
                (action.lease_ms.get(), Why::LeaseLost),
            ];
            let first = ends.into_iter().min_by_key(|(at_ms, _)| *at_ms).filter(|(at_ms, _)| *at_ms <= now_ms);
            if let Some((at_ms, why)) = first {
                self.end(action, why, at_ms);
            }
        }
        running.retain(|action| action.exit.get().is_none());
    }

    /// Ends an action now.
    pub fn stop(&self, action: &Rc<Action>, why: Why, now_ms: i64) {
        self.look(now_ms);
        if action.exit.get().is_none() {
            self.end(action, why, now_ms);
        }
    }

    /// Everything that happened.
    pub fn effects(&self) -> Vec<Effect> {
        self.effects.borrow().clone()
    }

    /// How much runs.
    pub fn running(&self) -> usize {
        self.running.borrow().len()
    }

    fn end(&self, action: &Action, why: Why, at_ms: i64) {
        action.exit.set(Some((why, at_ms)));
        if let Some(effect) = self.effects.borrow_mut().get_mut(action.effect) {
            effect.ended_ms = Some(at_ms);
        }
    }
}
