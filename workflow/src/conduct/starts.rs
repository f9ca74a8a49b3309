//! From what the conductor offers to children.
//!
//! Whatever begins is told to the conductor as `running`: Orquesta's machine takes a success from a task that runs alone,
//! rests only tasks with items that run, and begins a task that is tried again with nothing else.

use petrel_execution::limits::PARAMETERS_BYTES_MAX;
use petrel_execution::workflow::Start;
use serde_json::{Value as Json, json};

use super::children::Child;
use super::conducting::Conducting;
use crate::conductor::{ActionSpec, Ask, Event, Level, LogEntry, NextTask, Notice, Status, json_bytes};
use crate::expression::Value;
use crate::outline::ASK;

/// About how many bytes an input may have that is written as JSON, so that it is counted exactly: what is larger is over the
/// limit in any case, and a hundred of such inputs would not be forgotten before a step ends.
const GIVEN_BYTES_MAX: usize = 8 * PARAMETERS_BYTES_MAX;

/// What begins and has ended with it, without a child.
struct AtOnce {
    child: Child,
    /// Why it failed; none if it is done.
    error: Option<String>,
}

/// What an action comes to.
enum Begins {
    Child { action: String, parameters: Json },
    Done,
    Failed(String),
}

impl Conducting {
    /// The next children, at most so many; what needs no child is counted as well, so that a call does no more than that.
    pub(super) fn next_starts(&mut self, most: usize) -> Vec<Start> {
        let mut starts = Vec::new();
        let mut left = most;
        self.more = false;
        while self.over.is_none() {
            self.collect_stops();
            left = left.saturating_sub(self.call_people(left, &mut starts));
            if self.conductor.is_past_draining() && self.children.has_stopped() {
                // What was stopped may still do what would be undone.
                break;
            }
            let (tasks, more) = self.conductor.offer_at_most(left);
            self.more = more;
            if tasks.is_empty() {
                // What deals with a failure and cannot be rendered would be offered for ever.
                if !more && (self.conductor.give_up_remediation() || self.fail_stranded()) {
                    continue;
                }
                break;
            }
            let mut at_once = Vec::new();
            for task in tasks {
                left = left.saturating_sub(task.actions.len().max(1));
                if !self.begin(&task, &mut starts, &mut at_once) {
                    self.conductor.give_up_remediation();
                    break;
                }
            }
            // All have begun before one ends, because an end may lead to what begins.
            for AtOnce { child, error } in at_once {
                let status = if error.is_some() { Status::Failed } else { Status::Succeeded };
                if let Some(error) = error {
                    self.log_error_at(&child, error);
                }
                self.ended(&child, None, status, Value::Null);
            }
        }
        self.settle();
        starts
    }

    /// Starts what calls people, at most so many, and says how many that were. It starts in a pause as well.
    fn call_people(&mut self, most: usize, starts: &mut Vec<Start>) -> usize {
        let notices = self.conductor.take_notices(most);
        let count = notices.len();
        for Notice { task, route, action, input } in notices {
            let child = Child { notice: true, ..Child::of(task, route) };
            if !self.has_room(&child) {
                break;
            }
            match begins(&ActionSpec { action, input, item: None }, &child) {
                Begins::Done => {}
                Begins::Failed(message) => {
                    let entry = LogEntry { level: Level::Warn, ..LogEntry::error(message) };
                    self.conductor.add_log_entry(entry);
                }
                Begins::Child { action, parameters } => starts.push(self.start(child, action, parameters, None)),
            }
        }
        count
    }

    /// Begins a task, or the items of it that are offered. Whether the workflow goes on.
    fn begin(&mut self, task: &NextTask, starts: &mut Vec<Start>, at_once: &mut Vec<AtOnce>) -> bool {
        let whole = Child::of(task.id.clone(), task.route);
        if let Some(ask) = &task.ask {
            return self.begin_question(whole, ask, task.delay, starts);
        }
        if task.items_count.is_some() {
            self.stop_former_items(&whole);
        }
        if task.items_count == Some(0) {
            if !self.tell(&whole, Status::Running) {
                return false;
            }
            at_once.push(AtOnce { child: whole, error: None });
            return true;
        }
        self.forget_items_of_a_former_run(&whole);
        for action in &task.actions {
            let child = Child { item: action.item, ..whole.clone() };
            if !self.has_room(&child) || !self.tell(&child, Status::Running) {
                return false;
            }
            match begins(action, &child) {
                Begins::Done => at_once.push(AtOnce { child, error: None }),
                Begins::Failed(error) => at_once.push(AtOnce { child, error: Some(error) }),
                Begins::Child { action, parameters } => {
                    starts.push(self.start(child, action, parameters, task.delay));
                }
            }
        }
        true
    }

    /// Asks people by a child that ends with their answer. How long it waits is for the conductor to say. Whether the
    /// workflow goes on.
    fn begin_question(&mut self, child: Child, ask: &Ask, delay: Option<i64>, starts: &mut Vec<Start>) -> bool {
        if !self.has_room(&child) || !self.tell(&child, Status::Pending) {
            return false;
        }
        let question = ask.question.as_str().map_or_else(|| ask.question.to_json().to_string(), str::to_owned);
        let any = || json!({});
        let schema = if ask.schema.is_null() { any() } else { ask.schema.to_json() };
        let parameters = json!({ "question": question, "schema": schema, "ttl": 0 });
        let until_ms = self.conductor.task_due_ms(&child.task, child.route);
        starts.push(Start { until_ms, ..self.start(child, ASK.to_owned(), parameters, delay) });
        true
    }

    /// A child that starts. `delay` is in seconds.
    fn start(&mut self, child: Child, action: String, parameters: Json, delay: Option<i64>) -> Start {
        let task = child.label();
        let constants = self.conductor.names_of_secrets(&child.task, child.notice, &parameters);
        let number = self.children.open(child);
        let delay_ms = delay.filter(|delay| *delay > 0).map(|delay| delay.saturating_mul(1_000));
        Start { number, task, action, parameters, constants, delay_ms, until_ms: None }
    }

    /// Whether there may be one more child; the workflow fails if not.
    fn has_room(&mut self, child: &Child) -> bool {
        // What undoes tasks and what runs at the end is bounded by them.
        if child.is_of_end() || self.children.next() <= self.limits.children_max {
            return true;
        }
        let max = self.limits.children_max;
        let message =
            format!("LimitExceeded: The workflow has started {max} children, the limit CHILDREN_MAX is {max}.");
        self.fail_at(child, message);
        false
    }

    /// Tells the status of what begins for a task or an item. Whether the workflow goes on.
    fn tell(&mut self, child: &Child, status: Status) -> bool {
        let result = Value::Null;
        let event = match child.item {
            None => Event::Action { status, result },
            Some(item) => Event::Item { item, status, result, accumulated: Value::Null },
        };
        let told = self.conductor.update(&child.task, child.route, event);
        told.map_err(|error| self.fail_at(child, error.to_string())).is_ok()
    }

    /// A task with items that begins anew has kept what those have resulted in that do not run again.
    fn forget_items_of_a_former_run(&mut self, task: &Child) {
        if !self.children.has_items_of(task) {
            return;
        }
        let status = self.conductor.task_status(&task.task, task.route);
        if status.is_none_or(|status| status.is_completed() || status == Status::Retrying) {
            self.forget_lost_items(task);
        }
    }
}

fn begins(spec: &ActionSpec, child: &Child) -> Begins {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::List(_) => "a list",
        Value::Map(_) => "an object",
    };
    let action = match &spec.action {
        Value::Null => return Begins::Done,
        Value::String(action) if !action.is_empty() => action.to_string(),
        Value::String(_) => {
            return Begins::Failed(format!(
                "The action of {} is an empty text; it is an action's name.",
                child.label()
            ));
        }
        other => {
            let (label, kind) = (child.label(), kind(other));
            return Begins::Failed(format!("The action of {label} is {kind}; it is an action's name, a text."));
        }
    };
    match &spec.input {
        Value::Null => Begins::Child { action, parameters: Json::Object(serde_json::Map::new()) },
        input @ Value::Map(_) => match json_bytes(input) {
            bytes if bytes > GIVEN_BYTES_MAX => Begins::Failed(format!(
                "LimitExceeded: The input of {} has about {bytes} bytes, the limit PARAMETERS_BYTES_MAX is \
                 {PARAMETERS_BYTES_MAX}.",
                child.label()
            )),
            _ => Begins::Child { action, parameters: input.to_json() },
        },
        other => {
            let (label, kind) = (child.label(), kind(other));
            Begins::Failed(format!("The input of {label} is {kind}; it is an object of the action's parameters."))
        }
    }
}
