//! Blocks that wait for a person: questions, and tasks that freeze their workflow.

use petrel_execution::workflow::Decision;
use serde_json::{Map, json};

use super::{Draft, Language, Next, Place, quoted};
use crate::workflows::outcome::{SAY, STEP};
use crate::workflows::people::{ANSWERED, ASK, UNANSWERED};

impl Draft {
    /// An action asks, and somebody answers.
    pub(super) fn asked(&mut self, place: &Place, variable: &str, seen: &[String]) {
        let question = self.question(seen);
        self.open(&place.this, place.joins, ASK, &[("question", question), ("ttl", "0".to_owned())]);
        let publish = match self.language() {
            Language::Yaql => "<% result().response %>",
            Language::Jinja => "{{ result().response }}",
            Language::Cel => "${result.response}",
        };
        self.close(place, variable, &[Next { on: "succeeded", publish: publish.to_owned() }]);
    }

    /// The task itself asks, and somebody answers; perhaps only when its time is over, and then nothing else is taken.
    pub(super) fn approved(&mut self, place: &Place, variable: &str, seen: &[String]) {
        let (question, more) = match self.rng.percent(60) {
            true => (self.question(seen), Vec::new()),
            false => {
                let said = self.rng.below(100);
                (format!("{ANSWERED}{said}"), vec![format!("default: {said}"), "expires: 2s".to_owned()])
            }
        };
        self.ask(place, &question, &more);
        self.taken(place, variable);
    }

    /// Nobody answers, and the default is taken.
    pub(super) fn unanswered(&mut self, place: &Place, variable: &str, input: &str) {
        self.ask(place, UNANSWERED, &["expires: 2s".to_owned(), format!("default: {}", quoted(input))]);
        self.taken(place, variable);
    }

    /// It fails, and nothing deals with that: its workflow waits for a decision about it.
    pub(super) fn frozen(&mut self, place: &Place, variable: &str, step: &str, input: String) {
        self.open(&place.this, place.joins, step, &[("value", input), ("outcome", "fail".to_owned())]);
        self.tasks += "    on_error: pause\n";
        let decision = match self.rng.percent(50) {
            true => self.skipped(),
            false => well_this_time(),
        };
        self.decide(&place.this, decision);
        let publish = self.said();
        self.close(place, variable, &[Next { on: "succeeded", publish }]);
    }

    /// One of its items fails; a decision lets those run that are not done.
    pub(super) fn frozen_items(&mut self, place: &Place, variable: &str, step: &str) {
        self.exact = false;
        self.items_of_which_one_fails(place, step);
        self.tasks += "    on_error: pause\n";
        self.decide(&place.this, well_this_time());
        let publish = r#"<% result().select(int($.stdout.split(" ").last())).sum() %>"#.to_owned();
        self.close(place, variable, &[Next { on: "succeeded", publish }]);
    }

    /// The last task of the workflow, which fails: with that, or with a decision about it. `gathered` is the variable that the
    /// workflow results in.
    pub(super) fn last(&mut self, name: &str, gathered: &str) {
        self.tasks += &format!("  {name}:\n    action: {STEP}\n    input: {{outcome: fail, value: 0}}\n");
        if !(self.pauses || self.native && self.rng.percent(50)) {
            self.fails = true;
            return;
        }
        self.tasks += "    on_error: pause\n";
        let decision = match self.rng.below(4) {
            0 => self.skipped(),
            1 => well_this_time(),
            2 => Decision::Resume { variables: Map::from_iter([(gathered.to_owned(), self.rng.below(100).into())]) },
            _ => Decision::Rollback,
        };
        self.fails = decision == Decision::Rollback;
        self.decide(name, decision);
    }

    /// What the text says of freezes as a whole. How often people are called where several tasks freeze beside each other is
    /// nobody's promise.
    pub(super) fn of_freezes(&mut self) -> String {
        let pauses = if self.pauses { "on_error: pause\n" } else { "" };
        let may_call = self.exact && (self.pauses || !self.decisions.is_empty());
        let calls = match may_call && self.rng.percent(50) {
            true => format!("on_freeze:\n  notify: {{action: {SAY}, input: {{message: frozen}}}}\n"),
            false => String::new(),
        };
        format!("{pauses}{calls}")
    }

    fn decide(&mut self, task: &str, decision: Decision) {
        self.freezes = true;
        self.decisions.insert(task.to_owned(), decision);
    }

    /// A question that somebody answers with a number that it has of its workflow.
    fn question(&mut self, seen: &[String]) -> String {
        let (variable, plus) = (self.rng.pick(seen).clone(), self.rng.below(10));
        format!("{ANSWERED}<% ctx({variable}) + {plus} %>")
    }

    fn ask(&mut self, place: &Place, question: &str, more: &[String]) {
        let join = if place.joins { "    join: all\n" } else { "" };
        self.tasks += &format!("  {}:\n{join}    approve:\n      question: {}\n", place.this, quoted(question));
        more.iter().for_each(|line| self.tasks += &format!("      {line}\n"));
        if self.rng.percent(50) {
            self.tasks += &format!("      notify: {{action: {SAY}, input: {{message: asked}}}}\n");
        }
    }

    /// The answer is the result.
    fn taken(&mut self, place: &Place, variable: &str) {
        let publish = match self.language() {
            Language::Yaql => "<% result() %>",
            Language::Jinja => "{{ result() }}",
            Language::Cel => "${result}",
        };
        self.close(place, variable, &[Next { on: "succeeded", publish: publish.to_owned() }]);
    }

    fn skipped(&mut self) -> Decision {
        let result = json!({ "stdout": format!("skipped by a person value {}", self.rng.below(100)) });
        Decision::Skip { task: String::new(), route: 0, result }
    }
}

/// It is tried again with another input.
fn well_this_time() -> Decision {
    let input = Map::from_iter([("outcome".to_owned(), json!("ok"))]);
    Decision::Retry { task: String::new(), route: 0, reset_items: false, input }
}
