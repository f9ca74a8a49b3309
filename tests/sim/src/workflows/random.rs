//! Random workflows: chains of blocks, with forks between them that meet again.
//!
//! Each block publishes a variable of its own and reads those before it, so that a workflow that succeeds comes to the same
//! whatever ends first.

mod waits;

use std::collections::{BTreeMap, BTreeSet};

use petrel_execution::workflow::{Decision, RerunTask};
use petrel_workflow::expression::Dialect;

use super::fixed::COUNT;
use super::outcome::{LIMITED, ONCE, SAY, STEP};
use super::reference;
use crate::rng::Rng;

/// The longest wait of a task before it starts, in milliseconds.
pub const TASK_DELAY_MS_MAX: i64 = 1_000;
/// How deep forks stand in each other.
const FORK_DEPTH_MAX: usize = 2;

/// A random workflow.
#[derive(Debug, Clone)]
pub struct Made {
    /// Its text.
    pub text: String,
    /// Its language.
    pub dialect: Dialect,
    /// Whether what it comes to when it fails is the same whatever ends first.
    pub exact: bool,
    /// The tasks of whose items others may have run than another time, though it has succeeded.
    pub calls_vary: BTreeSet<String>,
    /// Whether it fails though nothing interferes.
    pub fails: bool,
    /// Whether it passes a gate.
    pub is_gated: bool,
    /// Whether it, or one within it, waits for decisions.
    pub freezes: bool,
    /// What becomes of its tasks that freeze it, by name; tasks and routes in them are of no account.
    pub decisions: BTreeMap<String, Decision>,
    /// From which tasks it runs again once it has ended, if it does; from what failed where none is named.
    pub rerun: Option<Vec<RerunTask>>,
}

/// The random workflow of a seed with this number.
pub fn make(seed: u64, number: u32) -> Made {
    let mut rng = Rng::new(seed.wrapping_mul(0x9E37_79B1) ^ (u64::from(number) << 48) ^ 0xF10B);
    let native = rng.percent(60);
    let pauses = native && rng.percent(25);
    let mut draft = Draft {
        rng,
        native,
        of: (seed, number),
        tasks: String::new(),
        names: 0,
        exact: true,
        calls_vary: BTreeSet::new(),
        fails: false,
        pauses,
        freezes: pauses,
        decisions: BTreeMap::new(),
    };
    let entry = draft.name();
    let first = entry.clone();
    let last = draft.rng.percent(20).then(|| draft.name());
    let mut seen = vec!["n".to_owned()];
    let length = 1 + draft.rng.below(4);
    draft.chain(Place { this: entry, joins: false, after: last.clone() }, length, 0, &mut seen);
    if let Some(last) = last {
        let gathered = seen.last().cloned().unwrap_or_default();
        draft.last(&last, &gathered);
    }
    draft.finish(&seen, first)
}

/// Languages of expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Yaql,
    Jinja,
    Cel,
}

/// Where a task stands.
struct Place {
    this: String,
    joins: bool,
    after: Option<String>,
}

/// What stands behind a task: when, what is published, and where it goes on.
struct Next {
    on: &'static str,
    publish: String,
}

struct Draft {
    rng: Rng,
    native: bool,
    of: (u64, u32),
    tasks: String,
    names: usize,
    exact: bool,
    calls_vary: BTreeSet<String>,
    fails: bool,
    /// Whether whatever fails freezes it.
    pauses: bool,
    freezes: bool,
    decisions: BTreeMap<String, Decision>,
}

impl Draft {
    fn name(&mut self) -> String {
        self.names += 1;
        format!("t{}", self.names)
    }

    /// So many blocks one behind the other, some of them behind a fork. Adds the variables that they publish.
    fn chain(&mut self, place: Place, length: usize, depth: usize, seen: &mut Vec<String>) {
        let Place { mut this, mut joins, after } = place;
        for left in (0..length).rev() {
            if depth < FORK_DEPTH_MAX && self.rng.percent(if depth == 0 { 30 } else { 15 }) {
                (this, joins) = (self.fork(&this, joins, depth, seen), true);
            }
            let next = if left == 0 { after.clone() } else { Some(self.name()) };
            let variable = format!("v{}", this.trim_start_matches('t'));
            self.block(&Place { this, joins, after: next.clone() }, &variable, seen);
            seen.push(variable);
            (this, joins) = (next.unwrap_or_default(), false);
        }
    }

    /// Branches that run at the same time; the name of the task at which they meet.
    fn fork(&mut self, this: &str, joins: bool, depth: usize, seen: &mut Vec<String>) -> String {
        self.exact = false;
        let meets = self.name();
        let branches: Vec<String> = (0..2 + self.rng.below(2)).map(|_| self.name()).collect();
        let message = self.read(seen);
        self.open(this, joins, SAY, &[("message", message)]);
        self.tasks += &format!("    next:\n      - do: {}\n", branches.join(", "));
        let mut published = Vec::new();
        for branch in branches {
            let mut own = seen.clone();
            let length = 1 + self.rng.below(2);
            let place = Place { this: branch, joins: false, after: Some(meets.clone()) };
            self.chain(place, length, depth + 1, &mut own);
            published.extend(own.drain(seen.len()..));
        }
        seen.extend(published);
        meets
    }

    /// A task, or two, that publish a variable.
    fn block(&mut self, place: &Place, variable: &str, seen: &[String]) {
        let input = self.read(seen);
        let step = *self.rng.pick(&[STEP, STEP, LIMITED, ONCE]);
        match self.rng.below(if self.native { 19 } else { 12 }) {
            0 | 1 => self.say(place, variable, input),
            2 | 3 => self.step(place, variable, step, input),
            4 => self.items(place, variable, step),
            5 => self.items_that_fail(place, variable, step),
            6 => self.within(place, variable, input),
            7 => self.tried_again(place, variable, step, input),
            8 => self.delayed(place, variable, input),
            9 => self.mended(place, variable, step, input),
            10 => self.failed(place, variable, step, input),
            11 => self.asked(place, variable, seen),
            12 => self.mapped(place, variable, step),
            13 => self.timed_out(place, variable),
            14 => self.undone(place, variable, step, input),
            15 => self.approved(place, variable, seen),
            16 => self.unanswered(place, variable, &input),
            17 => self.frozen(place, variable, step, input),
            _ => self.frozen_items(place, variable, step),
        }
    }

    fn say(&mut self, place: &Place, variable: &str, input: String) {
        self.open(&place.this, place.joins, SAY, &[("message", input)]);
        let publish = match self.language() {
            Language::Yaql => "<% result().message %>",
            Language::Jinja => "{{ result().message }}",
            Language::Cel => "${result.message}",
        };
        self.close(place, variable, &[Next { on: "succeeded", publish: publish.to_owned() }]);
    }

    fn step(&mut self, place: &Place, variable: &str, step: &str, input: String) {
        self.open(&place.this, place.joins, step, &[("value", input)]);
        let publish = self.said();
        self.close(place, variable, &[Next { on: "succeeded", publish }]);
    }

    fn items(&mut self, place: &Place, variable: &str, step: &str) {
        self.open(&place.this, place.joins, step, &[("value", "<% item(i) %>".to_owned())]);
        self.with_items();
        let publish = r#"<% result().select(int($.stdout.split(" ").last())).sum() %>"#.to_owned();
        self.close(place, variable, &[Next { on: "succeeded", publish }]);
    }

    /// Which of its items have run when one fails is nobody's promise: a pause in the middle keeps others from beginning.
    fn items_that_fail(&mut self, place: &Place, variable: &str, step: &str) {
        self.exact = false;
        self.calls_vary.insert(place.this.clone());
        self.items_of_which_one_fails(place, step);
        self.close(place, variable, &[Next { on: "failed", publish: "-1".to_owned() }]);
    }

    fn items_of_which_one_fails(&mut self, place: &Place, step: &str) {
        let outcome = r#"<% switch(item(i) = 2 => "fail", true => "ok") %>"#.to_owned();
        self.open(&place.this, place.joins, step, &[("value", "<% item(i) %>".to_owned()), ("outcome", outcome)]);
        self.with_items();
    }

    fn with_items(&mut self) {
        let count = 2 + self.rng.below(3);
        let concurrency = 1 + self.rng.below(3);
        self.tasks +=
            &format!("    with:\n      items: i in <% range(1, {}) %>\n      concurrency: {concurrency}\n", count + 1);
    }

    /// A workflow within it.
    fn within(&mut self, place: &Place, variable: &str, input: String) {
        let (seed, number) = self.of;
        let (action, fails) = match number.checked_sub(1) {
            Some(before) => {
                let within = make(seed, before);
                self.freezes |= within.freezes;
                (reference(seed, before), within.fails)
            }
            None => (COUNT.to_owned(), false),
        };
        self.open(&place.this, place.joins, &action, &[("n", input)]);
        let next = match fails {
            true => Next { on: "failed", publish: "-1".to_owned() },
            false => Next { on: "succeeded", publish: "<% result().output.out %>".to_owned() },
        };
        self.close(place, variable, &[next]);
    }

    fn tried_again(&mut self, place: &Place, variable: &str, step: &str, input: String) {
        self.open(&place.this, place.joins, step, &[("value", input), ("outcome", "fail".to_owned())]);
        let (count, delay) = (1 + self.rng.below(2), self.rng.below(2));
        self.tasks += &format!("    retry:\n      count: {count}\n      delay: {delay}\n");
        self.close(place, variable, &[Next { on: "failed", publish: "-1".to_owned() }]);
    }

    fn delayed(&mut self, place: &Place, variable: &str, input: String) {
        self.open(&place.this, place.joins, SAY, &[("message", input)]);
        self.tasks += "    delay: 1\n";
        self.close(place, variable, &[Next { on: "succeeded", publish: "<% result().message %>".to_owned() }]);
    }

    /// It fails, and a task of its own deals with that.
    fn mended(&mut self, place: &Place, variable: &str, step: &str, input: String) {
        let mends = self.name();
        self.open(&place.this, place.joins, step, &[("value", input), ("outcome", "fail".to_owned())]);
        let when = self.when("failed");
        self.tasks += &format!("    next:\n      - {when}\n        do: {mends}\n");
        let place = Place { this: mends, joins: false, after: place.after.clone() };
        self.say(&place, variable, "7".to_owned());
    }

    fn failed(&mut self, place: &Place, variable: &str, step: &str, input: String) {
        self.open(&place.this, place.joins, step, &[("value", input), ("outcome", "fail".to_owned())]);
        let publish = r#"{{ 0 if succeeded() else -1 }}"#.to_owned();
        self.close(place, variable, &[Next { on: "completed", publish }]);
    }

    /// One of its items fails, and one may.
    fn mapped(&mut self, place: &Place, variable: &str, step: &str) {
        let outcome = r#"<% switch(item(i) = 2 => "fail", true => "ok") %>"#.to_owned();
        self.open(&place.this, place.joins, step, &[("value", "<% item(i) %>".to_owned()), ("outcome", outcome)]);
        let (count, chunk, concurrency) = (2 + self.rng.below(3), 1 + self.rng.below(3), 1 + self.rng.below(3));
        self.tasks += &format!(
            "    map: {{items: '<% range(1, {}) %>', as: i, chunk: {chunk}, concurrency: {concurrency}, failures_max: 1}}\n",
            count + 1
        );
        let publish = r#"<% result().results.where($ != null).select(int($.stdout.split(" ").last())).sum() * 10 + result().failures.sum() %>"#;
        self.close(place, variable, &[Next { on: "succeeded", publish: publish.to_owned() }]);
    }

    /// It would never end.
    fn timed_out(&mut self, place: &Place, variable: &str) {
        self.open(&place.this, place.joins, STEP, &[("value", "0".to_owned()), ("outcome", "hang".to_owned())]);
        self.tasks += "    timeout: 2s\n";
        self.close(place, variable, &[Next { on: "timeout", publish: "-2".to_owned() }]);
    }

    /// What it has done is undone where its workflow fails, or is canceled.
    fn undone(&mut self, place: &Place, variable: &str, step: &str, input: String) {
        self.open(&place.this, place.joins, step, &[("value", input.clone())]);
        let (action, name) = *self.rng.pick(&[(SAY, "message"), (STEP, "value")]);
        self.tasks += &format!("    undo:\n      action: {action}\n      input:\n        {name}: {}\n", quoted(&input));
        let publish = self.said();
        self.close(place, variable, &[Next { on: "succeeded", publish }]);
    }

    fn open(&mut self, this: &str, joins: bool, action: &str, input: &[(&str, String)]) {
        let join = if joins { "    join: all\n" } else { "" };
        self.tasks += &format!("  {this}:\n{join}    action: {action}\n    input:\n");
        for (name, value) in input {
            self.tasks += &format!("      {name}: {}\n", quoted(value));
        }
    }

    fn close(&mut self, place: &Place, variable: &str, next: &[Next]) {
        self.tasks += "    next:\n";
        for Next { on, publish } in next {
            let (when, publish) = (self.when(on), quoted(publish));
            let to = place.after.as_deref().unwrap_or("noop");
            self.tasks +=
                &format!("      - {when}\n        publish:\n          - {variable}: {publish}\n        do: {to}\n");
        }
    }

    fn when(&mut self, on: &str) -> String {
        if self.native && (on == "timeout" || self.rng.percent(50)) {
            return format!("on: {on}");
        }
        match self.language() {
            Language::Yaql => format!("when: <% {on}() %>"),
            Language::Jinja => format!("when: '{{{{ {on}() }}}}'"),
            Language::Cel => format!("when: ${{{on}()}}"),
        }
    }

    fn language(&mut self) -> Language {
        match self.rng.below(if self.native { 3 } else { 2 }) {
            0 => Language::Yaql,
            1 => Language::Jinja,
            _ => Language::Cel,
        }
    }

    /// An expression that reads a variable.
    fn read(&mut self, seen: &[String]) -> String {
        let (variable, plus) = (self.rng.pick(seen).clone(), self.rng.below(10));
        match self.language() {
            Language::Yaql => format!("<% ctx({variable}) + {plus} %>"),
            Language::Jinja => format!("{{{{ ctx(\"{variable}\") + {plus} }}}}"),
            Language::Cel => format!("${{ctx.{variable} + {plus}}}"),
        }
    }

    /// What an action wrote that takes a while.
    fn said(&mut self) -> String {
        let text = match self.language() {
            Language::Yaql => r#"<% int(result().stdout.split(" ").last()) %>"#,
            Language::Jinja => r#"{{ result().stdout.split(" ")[-1] | int }}"#,
            Language::Cel => r#"${int(result.stdout.split(" ")[5])}"#,
        };
        text.to_owned()
    }

    fn finish(mut self, seen: &[String], first: String) -> Made {
        let last = seen.last().map_or("n", String::as_str);
        let of_freezes = self.of_freezes();
        let mut text = format!("version: 1.0\n{of_freezes}input:\n  - n\nvars:\n");
        let variables = || seen.iter().filter(|variable| *variable != "n");
        variables().for_each(|variable| text += &format!("  - {variable}: 0\n"));
        text += &format!("output:\n  - out: <% ctx({last}) %>\n");
        variables().for_each(|variable| text += &format!("  - {variable}: <% ctx({variable}) %>\n"));
        text += &format!("tasks:\n{}", self.tasks);
        if self.native && self.rng.percent(30) {
            text += &format!("finally:\n  - action: {SAY}\n    input:\n      message: <% ctx().workflow.status %>\n");
        }
        let dialect = if self.native { Dialect::Native } else { Dialect::Orquesta };
        let is_gated = self.rng.percent(30);
        let rerun = self.rng.percent(30).then(|| self.rerun(first));
        let Draft { exact, calls_vary, fails, freezes, decisions, .. } = self;
        Made { text, dialect, exact, calls_vary, fails, is_gated, freezes, decisions, rerun }
    }

    /// From what failed, or from the task that it begins with.
    fn rerun(&mut self, first: String) -> Vec<RerunTask> {
        match self.fails && self.rng.percent(70) {
            true => Vec::new(),
            false => vec![RerunTask { task: first, route: 0, reset_items: true }],
        }
    }
}

/// A text as YAML has it, but for what is a number.
fn quoted(text: &str) -> String {
    match text.parse::<i64>() {
        Ok(_) => text.to_owned(),
        Err(_) => format!("'{}'", text.replace('\'', "''")),
    }
}
