//! The pack with the workflows that are measured.

use std::fmt::Write as _;

use crate::executions::server::{MANIFEST, TRIGGER, rule_at};

/// Tasks of a workflow of which there are many.
pub(super) const TASKS: u64 = 10;
/// Tasks of the workflow that is measured alone.
pub(super) const LONG_TASKS: u64 = 300;
/// Items of the tasks that have some: one more than are started in one step, and as many as the issue names.
pub(super) const ITEMS: [u64; 2] = [101, 10_000];
/// How long a workflow sleeps, in seconds: longer than any measurement.
const DAY_S: u64 = 24 * 60 * 60;

/// A workflow of the pack, and how many executions it is with its own.
#[derive(Debug, Clone, Copy)]
pub(super) enum Flow {
    /// [`TASKS`] tasks, one after the other.
    Many,
    /// [`LONG_TASKS`] tasks, one after the other.
    Long,
    /// One task with so many items.
    Items(u64),
    /// As `Many`, but its first task waits until all have begun.
    Held,
    /// One task that waits for a day.
    Asleep,
}

impl Flow {
    fn name(self) -> String {
        match self {
            Self::Many => "many".to_owned(),
            Self::Long => "long".to_owned(),
            Self::Items(count) => format!("items_{count}"),
            Self::Held => "held".to_owned(),
            Self::Asleep => "asleep".to_owned(),
        }
    }

    /// The trigger whose events ask for it.
    pub(super) fn trigger(self) -> String {
        format!("scale.{}", self.name())
    }

    /// Its tasks, or their items: as many children as it has.
    pub(super) fn children(self) -> u64 {
        match self {
            Self::Many | Self::Held => TASKS,
            Self::Long => LONG_TASKS,
            Self::Items(count) => count,
            Self::Asleep => 1,
        }
    }

    fn text(self, held_s: u64) -> String {
        match self {
            Self::Many => sequence(TASKS, None),
            Self::Long => sequence(LONG_TASKS, None),
            Self::Held => sequence(TASKS, Some(held_s)),
            Self::Asleep => sequence(1, Some(DAY_S)),
            Self::Items(count) => format!(
                "{HEAD}  each:\n    with: x in <% range({count}) %>\n    action: scale.nothing\n    input: {{ host: <% \
                 str(item(x)) %> }}\n"
            ),
        }
    }
}

const HEAD: &str = "version: 1.0\ninput: [host]\ntasks:\n";
const NOTHING: &str =
    "name: nothing\nrunner: noop\ndelivery: at_least_once\nparameters:\n  host: { type: string, required: true }\n";

/// Tasks that do what a plain execution does, each behind the one before; the first after so many seconds.
fn sequence(tasks: u64, delay_s: Option<u64>) -> String {
    let mut text = HEAD.to_owned();
    for task in 0..tasks {
        // Writing to a string cannot fail.
        let _ = write!(text, "  t{task}:\n    action: scale.nothing\n    input: {{ host: <% ctx(host) %> }}\n");
        if let Some(delay_s) = delay_s.filter(|_| task == 0) {
            let _ = writeln!(text, "    delay: {delay_s}");
        }
        if task + 1 < tasks {
            let _ = write!(text, "    next:\n      - when: <% succeeded() %>\n        do: t{}\n", task + 1);
        }
    }
    text
}

/// The files: a plain action and every workflow, each with a trigger and a rule of its own.
pub(super) fn files(held_s: u64) -> Vec<(String, String)> {
    let mut files =
        vec![("pack.yaml".to_owned(), MANIFEST.to_owned()), ("actions/nothing.yaml".to_owned(), NOTHING.to_owned())];
    files.extend(rule_at(TRIGGER, "nothing"));
    let flows = [Flow::Many, Flow::Long, Flow::Held, Flow::Asleep].into_iter();
    for flow in flows.chain(ITEMS.map(Flow::Items)) {
        let name = flow.name();
        let action = format!(
            "name: {name}\nrunner: orquesta\nworkflow: workflows/{name}.yaml\nparameters:\n  host: {{ type: string, \
             required: true }}\n"
        );
        files.push((format!("actions/{name}.yaml"), action));
        files.push((format!("workflows/{name}.yaml"), flow.text(held_s)));
        files.extend(rule_at(&flow.trigger(), &name));
    }
    files
}

#[cfg(test)]
mod tests {
    use petrel_workflow::Definition;
    use petrel_workflow::expression::Dialect;

    use super::*;

    #[test]
    fn every_workflow_of_the_pack_can_be_read() {
        let files = files(30);
        let workflows: Vec<_> = files.iter().filter(|(path, _)| path.starts_with("workflows/")).collect();
        assert_eq!(workflows.len(), 6);
        for (path, text) in workflows {
            let definition = Definition::read(text, Dialect::Orquesta).unwrap_or_else(|e| panic!("{path}: {e:?}"));
            assert!(definition.task_names().next().is_some(), "{path}");
        }
        assert_eq!(sequence(3, Some(5)).matches("delay: 5").count(), 1);
    }
}
