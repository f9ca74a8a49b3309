//! Which tasks lead to which: starts, splits and cycles.

use std::collections::{HashMap, HashSet};

use crate::spec::{COMMANDS, WorkflowSpec};

/// The transitions of a workflow by the names of its tasks, those of tasks that nothing leads to included.
pub(crate) struct Shape<'spec> {
    next: HashMap<&'spec str, Vec<(&'spec str, usize)>>,
    inbound: HashMap<&'spec str, usize>,
    cyclic: HashSet<&'spec str>,
    joins: HashSet<&'spec str>,
    /// The tasks that nothing leads to, by name.
    pub(crate) starts: Vec<&'spec str>,
}

impl<'spec> Shape<'spec> {
    pub(crate) fn of(spec: &'spec WorkflowSpec) -> Self {
        let mut next = HashMap::new();
        let mut inbound: HashMap<&str, usize> = HashMap::new();
        let mut joins = HashSet::new();
        for (name, task) in spec.tasks.iter().filter(|(name, _)| !COMMANDS.contains(&&***name)) {
            let outbound = spec.next_of(name);
            for (to, _) in &outbound {
                *inbound.entry(to).or_default() += 1;
            }
            next.insert(&**name, outbound);
            if task.is_join() {
                joins.insert(&**name);
            }
        }
        let mut starts: Vec<&str> = spec.tasks.keys().map(|name| &**name).collect();
        starts.retain(|name| !inbound.contains_key(name) && !spec.runs_finally(name));
        starts.sort_unstable();
        let cyclic = cyclic(&next);
        Shape { next, inbound, cyclic, joins, starts }
    }

    /// The transitions of a task as (target, number of its entry in `next`), sorted by target.
    pub(crate) fn next(&self, task: &str) -> &[(&'spec str, usize)] {
        self.next.get(task).map_or(&[], Vec::as_slice)
    }

    /// Whether the task comes back to itself.
    pub(crate) fn in_cycle(&self, task: &str) -> bool {
        self.cyclic.contains(task)
    }

    /// Whether more than one transition leads to the task, which joins none of them: it runs once for each, and
    /// everything after it, too.
    pub(crate) fn is_split(&self, task: &str) -> bool {
        !self.joins.contains(task) && self.inbound.get(task).is_some_and(|inbound| *inbound > 1)
    }
}

/// One task of the walk that finds cycles.
struct Visit<'spec> {
    task: &'spec str,
    /// How many of its transitions have been followed.
    followed: usize,
}

/// The tasks that lie on a cycle: Tarjan's strongly connected components, without recursion.
fn cyclic<'spec>(next: &HashMap<&'spec str, Vec<(&'spec str, usize)>>) -> HashSet<&'spec str> {
    let mut found: HashMap<&str, (usize, usize)> = HashMap::new();
    let mut open: Vec<&str> = Vec::new();
    let mut is_open = HashSet::new();
    let mut cyclic = HashSet::new();
    let mut names: Vec<&str> = next.keys().copied().collect();
    names.sort_unstable();
    for name in names {
        if found.contains_key(name) {
            continue;
        }
        let mut visits = vec![Visit { task: name, followed: 0 }];
        while let Some(visit) = visits.last_mut() {
            let task = visit.task;
            if visit.followed == 0 && !found.contains_key(task) {
                found.insert(task, (found.len(), found.len()));
                open.push(task);
                is_open.insert(task);
            }
            let target = next.get(task).and_then(|next| next.get(visit.followed)).map(|(to, _)| *to);
            visit.followed += 1;
            match target {
                Some(to) if to == task => {
                    cyclic.insert(task);
                }
                Some(to) => match found.get(to) {
                    None => visits.push(Visit { task: to, followed: 0 }),
                    Some((index, _)) if is_open.contains(to) => {
                        let index = *index;
                        lower(&mut found, task, index);
                    }
                    Some(_) => {}
                },
                None => {
                    visits.pop();
                    let (index, low) = found[task];
                    if let Some(above) = visits.last() {
                        lower(&mut found, above.task, low);
                    }
                    if index == low {
                        close(task, &mut open, &mut is_open, &mut cyclic);
                    }
                }
            }
        }
    }
    cyclic
}

fn lower<'spec>(found: &mut HashMap<&'spec str, (usize, usize)>, task: &'spec str, low: usize) {
    if let Some(entry) = found.get_mut(task) {
        entry.1 = entry.1.min(low);
    }
}

/// Takes a component off the open tasks; of more than one task it is a cycle.
fn close<'spec>(
    root: &str,
    open: &mut Vec<&'spec str>,
    is_open: &mut HashSet<&'spec str>,
    cyclic: &mut HashSet<&'spec str>,
) {
    let start = open.iter().rposition(|task| *task == root).unwrap_or_default();
    let component = open.split_off(start);
    for task in &component {
        is_open.remove(task);
    }
    if component.len() > 1 {
        cyclic.extend(component);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::Dialect;

    fn with_shape(tasks: &str, check: impl FnOnce(&Shape)) {
        let text = format!("version: 1.0\ntasks:\n{tasks}");
        let spec = WorkflowSpec::read(&text, Dialect::Orquesta).unwrap();
        check(&Shape::of(&spec));
    }

    #[test]
    fn cycles_splits_and_starts_are_found() {
        let tasks = "  a: {next: [{do: [b, d]}]}\n  b: {next: [{do: c}]}\n  c: {next: [{do: [b, e]}]}\n  \
                     d: {next: [{do: [d, e]}]}\n  e: {next: [{do: f}, {do: f}]}\n  f: {join: all}\n";
        with_shape(tasks, |shape| {
            assert_eq!(shape.starts, ["a"]);
            let cyclic: Vec<_> =
                ["a", "b", "c", "d", "e", "f"].into_iter().filter(|name| shape.in_cycle(name)).collect();
            assert_eq!(cyclic, ["b", "c", "d"]);
            let splits: Vec<_> =
                ["a", "b", "c", "d", "e", "f"].into_iter().filter(|name| shape.is_split(name)).collect();
            assert_eq!(splits, ["b", "d", "e"]);
        });
    }

    #[test]
    fn a_chain_of_many_tasks_does_not_exhaust_the_stack() {
        let mut tasks = String::new();
        for number in 0..9_999 {
            tasks += &format!("  t{number}: {{next: [{{do: t{}}}]}}\n", number + 1);
        }
        tasks += "  t9999: {action: a}\n";
        with_shape(&tasks, |shape| assert!(!shape.in_cycle("t0")));
    }
}
