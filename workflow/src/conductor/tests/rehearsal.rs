//! A native workflow rehearsed: once as it is, and once restored from its pieces after every step.

use super::*;

/// A second past 1970-01-01, in milliseconds; rehearsals begin at 0.
pub(super) const SECOND: i64 = 1_000;

pub(super) struct Rehearsal {
    pub(super) conductor: Conductor,
    store: Store,
    restoring: bool,
    now_ms: i64,
    seen: Vec<String>,
}

/// Plays what happens to a workflow twice: the second time nothing survives a step but its pieces.
pub(super) fn rehearse(text: &str, play: impl Fn(&mut Rehearsal)) {
    rehearse_with(text, Limits::default(), serde_json::json!({}), play);
}

pub(super) fn rehearse_with(text: &str, limits: Limits, inputs: serde_json::Value, play: impl Fn(&mut Rehearsal)) {
    let [plain, restored] = [false, true].map(|restoring| {
        let definition = Definition::read(&format!("version: 1.0\n{text}"), Dialect::Native);
        let definition = Arc::new(definition.unwrap_or_else(|error| panic!("{error}")));
        let inputs = Value::from(inputs.clone()).as_map().cloned().unwrap_or_default();
        let start = Start { inputs, now_ms: Some(0), ..Start::default() };
        let conductor = Conductor::start(definition, limits, start).unwrap();
        let (store, seen) = (Store::default(), Vec::new());
        let mut rehearsal = Rehearsal { conductor, store, restoring, now_ms: 0, seen };
        rehearsal.step(|conductor| conductor.request(Status::Running).unwrap());
        play(&mut rehearsal);
        rehearsal.step(Conductor::render_output);
        let output = rehearsal.conductor.output().map(Value::to_json);
        rehearsal.seen.push(format!("{output:?} {:?}", rehearsal.conductor.task_runs().collect::<Vec<_>>()));
        rehearsal.seen
    });
    assert_eq!(plain, restored);
}

impl Rehearsal {
    /// Anything that changes the workflow.
    pub(super) fn step<R>(&mut self, change: impl FnOnce(&mut Conductor) -> R) -> R {
        let result = change(&mut self.conductor);
        self.store.take(&mut self.conductor);
        if self.restoring {
            let definition = Arc::clone(self.conductor.definition());
            let limits = self.conductor.limits;
            self.conductor = Conductor::restore(definition, limits, self.store.pieces()).unwrap();
            self.conductor.set_now(Some(self.now_ms));
        }
        let (status, due_ms) = (self.conductor.status(), self.conductor.due_ms());
        self.seen.push(format!("{status} {due_ms:?} {:?}", messages(&self.conductor)));
        result
    }

    /// Lets time come to this many milliseconds since 1970.
    pub(super) fn at(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
        self.conductor.set_now(Some(now_ms));
        self.step(|conductor| conductor.time_passed().unwrap());
    }

    pub(super) fn request(&mut self, status: Status) {
        self.step(|conductor| conductor.request(status).unwrap());
    }

    /// What is offered, as `task` or `task[items]`, with the actions' inputs kept for the comparison.
    pub(super) fn offered(&mut self) -> Vec<String> {
        let tasks = self.step(Conductor::next_tasks);
        self.seen.push(format!("{:?}", tasks.iter().map(|task| (&task.id, &task.actions)).collect::<Vec<_>>()));
        let name = |task: &NextTask| {
            let items: Vec<String> = task.actions.iter().filter_map(|action| Some(action.item?.to_string())).collect();
            if task.items_count.is_some() { format!("{}[{}]", task.id, items.join(",")) } else { task.id.to_string() }
        };
        tasks.iter().map(name).collect()
    }

    /// What is offered first, whole.
    pub(super) fn next(&mut self) -> NextTask {
        self.step(Conductor::next_tasks).into_iter().next().expect("a task is offered")
    }

    pub(super) fn tell(&mut self, task: &str, status: Status, result: serde_json::Value) {
        self.step(|conductor| conductor.update(task, 0, Event::Action { status, result: result.into() }).unwrap());
    }

    pub(super) fn begin(&mut self, task: &str) {
        self.tell(task, Status::Running, serde_json::Value::Null);
    }

    pub(super) fn end(&mut self, task: &str, status: Status) {
        self.tell(task, status, serde_json::Value::Null);
    }

    /// Begins a task and ends it well.
    pub(super) fn run(&mut self, task: &str, result: serde_json::Value) {
        self.begin(task);
        self.tell(task, Status::Succeeded, result);
    }

    /// An item's event; the one that ends the task carries these results of all items.
    pub(super) fn item(&mut self, task: &str, item: usize, status: Status, accumulated: serde_json::Value) {
        let accumulated = accumulated.into();
        let event = Event::Item { item, status, result: Value::text(format!("r{item}")), accumulated };
        self.step(|conductor| conductor.update(task, 0, event).unwrap());
    }

    pub(super) fn stops(&mut self) -> Vec<String> {
        let stops = self.step(Conductor::take_stops);
        stops.into_iter().map(|(task, route)| format!("{task}|{route}")).collect()
    }

    pub(super) fn status(&self) -> Status {
        self.conductor.status()
    }

    pub(super) fn task(&self, task: &str) -> Option<Status> {
        self.conductor.task_status(task, 0)
    }

    pub(super) fn errors(&self) -> Vec<&str> {
        messages(&self.conductor)
    }

    pub(super) fn output(&mut self) -> serde_json::Value {
        self.step(Conductor::render_output);
        self.conductor.output().map(Value::to_json).unwrap_or_default()
    }
}
