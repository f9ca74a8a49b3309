//! Tasks that are not defined, not reachable or named like commands, and joins that can never be met.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use super::{Finding, TASK_SCHEMA, finding};
use crate::definition::Shape;
use crate::limits::INSPECTION_STEPS_MAX;
use crate::spec::{COMMANDS, WorkflowSpec};

pub(super) fn inspect(spec: &WorkflowSpec) -> Vec<Finding> {
    if spec.tasks.is_empty() {
        return Vec::new();
    }
    let shape = Shape::of(spec);
    let mut findings = reserved_names(spec);
    if shape.starts.is_empty() {
        let message = "Unable to identify any tasks to start the workflow. If the workflow has a loop, please add a \
                       task that serves as an entry point (or lead) into the loop.";
        findings.push(finding(spec, message.to_owned(), "tasks".to_owned(), "properties.tasks".to_owned()));
    }
    findings.extend(undefined_tasks(spec, &shape));
    findings.extend(unreachable_joins(spec, &shape));
    findings.extend(items_without_action(spec));
    findings
}

fn of_task(spec: &WorkflowSpec, task: &str, message: String) -> Finding {
    finding(spec, message, format!("tasks.{task}"), TASK_SCHEMA.to_owned())
}

fn reserved_names(spec: &WorkflowSpec) -> Vec<Finding> {
    let reserved = spec.tasks.keys().filter(|name| COMMANDS.contains(&&***name));
    let found = |name| of_task(spec, name, format!("The task name \"{name}\" is reserved with special function."));
    reserved.map(|name| found(&**name)).collect()
}

fn items_without_action(spec: &WorkflowSpec) -> Vec<Finding> {
    let without = spec.tasks.iter().filter(|(_, task)| task.with.is_some() && !task.action.is_true());
    let message = "The action property is required for with items task.";
    without.map(|(name, _)| of_task(spec, name, message.to_owned())).collect()
}

/// The tasks in the order in which they can be reached, commands and undefined ones left out.
fn reachable<'spec>(spec: &'spec WorkflowSpec, shape: &Shape<'spec>) -> Vec<&'spec str> {
    let mut reached: Vec<&str> = shape.starts.clone();
    let mut known: HashSet<&str> = reached.iter().copied().collect();
    let mut at = 0;
    while at < reached.len() {
        for (to, _) in shape.next(reached[at]) {
            if spec.tasks.contains_key(*to) && !COMMANDS.contains(to) && known.insert(to) {
                reached.push(to);
            }
        }
        at += 1;
    }
    reached
}

fn undefined_tasks(spec: &WorkflowSpec, shape: &Shape) -> Vec<Finding> {
    let mut findings = Vec::new();
    for task in reachable(spec, shape) {
        for (to, entry) in shape.next(task) {
            if spec.tasks.contains_key(*to) || COMMANDS.contains(to) {
                continue;
            }
            let message = format!("The task \"{to}\" is not defined.");
            let path = format!("tasks.{task}.next[{entry}].do");
            let schema_path = format!("{TASK_SCHEMA}.properties.next.items.properties.do");
            findings.push(finding(spec, message, path, schema_path));
        }
    }
    findings
}

/// What is known of a task once every way to it has been walked.
#[derive(Default)]
struct Reached<'spec> {
    splits: BTreeSet<&'spec str>,
    before: BTreeSet<&'spec str>,
}

/// Joins whose inbound tasks are split differently from themselves: which of the routes should be joined?
fn unreachable_joins(spec: &WorkflowSpec, shape: &Shape) -> Vec<Finding> {
    let mut reached: HashMap<&str, Reached> = HashMap::new();
    let mut order = Vec::new();
    let mut walked: HashMap<(&str, &str), BTreeSet<&str>> = HashMap::new();
    let mut queue: VecDeque<(Option<&str>, &str, BTreeSet<&str>)> =
        shape.starts.iter().map(|task| (None, *task, BTreeSet::new())).collect();
    let mut steps = 0;
    while let Some((before, task, mut splits)) = queue.pop_front() {
        if !spec.tasks.contains_key(task) {
            continue;
        }
        steps += 1;
        if steps > INSPECTION_STEPS_MAX {
            return vec![too_many_ways(spec)];
        }
        if shape.is_split(task) && !shape.in_cycle(task) {
            splits.insert(task);
        }
        let entry = reached.entry(task).or_insert_with(|| {
            order.push(task);
            Reached::default()
        });
        entry.splits.extend(&splits);
        entry.before.extend(before);
        for (to, _) in shape.next(task) {
            if reached.contains_key(to) && shape.in_cycle(to) {
                continue;
            }
            let known = walked.entry((task, to)).or_default();
            // A way without splits is walked again, as long as no way with some has been.
            if known.is_empty() || !splits.is_subset(known) {
                known.extend(&splits);
                queue.push_back((Some(task), to, splits.clone()));
            }
        }
    }
    let ambiguous = order.into_iter().filter(|task| {
        let one = &reached[task];
        spec.tasks[*task].is_join()
            && !COMMANDS.contains(task)
            && one.before.iter().any(|before| reached[before].splits != one.splits)
    });
    let message = |task: &str| {
        format!(
            "The join task \"{task}\" is unreachable. A join task is determined to be unreachable if there are nested \
             forks from multi-referenced tasks that join on the said task. This is ambiguous to the workflow engine \
             because it does not know at which level should the join occurs."
        )
    };
    ambiguous.map(|task| of_task(spec, task, message(task))).collect()
}

fn too_many_ways(spec: &WorkflowSpec) -> Finding {
    let message = format!(
        "There are more ways through the tasks than the limit INSPECTION_STEPS_MAX of {INSPECTION_STEPS_MAX}: join what \
         is split."
    );
    finding(spec, message, "tasks".to_owned(), "properties.tasks".to_owned())
}

/// Joins that ask for more tasks than lead to them.
pub(super) fn unmet_joins(spec: &WorkflowSpec) -> Vec<Finding> {
    let shape = Shape::of(spec);
    let mut inbound: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for task in reachable(spec, &shape) {
        for (to, _) in shape.next(task) {
            inbound.entry(to).or_default().insert(task);
        }
    }
    let mut findings = Vec::new();
    for (name, task) in &spec.tasks {
        let needed = task.join.as_i64().unwrap_or_default();
        let there = inbound.get(&**name).map_or(0, BTreeSet::len);
        if there > 0 && needed > i64::try_from(there).unwrap_or(i64::MAX) {
            let message = format!(
                "The join task \"{name}\" waits for {needed} tasks, but only {there} lead to it: it can never be met."
            );
            let path = format!("tasks.{name}.join");
            findings.push(finding(spec, message, path, format!("{TASK_SCHEMA}.properties.join")));
        }
    }
    findings
}
