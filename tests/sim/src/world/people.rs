//! People who see on the log what waits for them: they answer questions, decide about what is frozen, and let what has ended run
//! again. What they want is [`crate::workflows::people`]'s; when, and whether once or twice, is by chance.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use petrel_bus::{Bus, Clock, Output, Publisher, Record, Tail};
use petrel_execution::workflow::{Asked, Decision};
use petrel_schemas::{ExecutionId, ExecutionsRecord, encode};
use serde_json::Value;

use super::World;
use crate::pack;
use crate::workflows::people;

/// How long somebody thinks about a question at most, in milliseconds.
const THINKS_MS: i64 = 2_000;
/// After how long somebody asks once more for what has not come, in milliseconds.
const AGAIN_MS: i64 = 5_000;
/// How often a task is tried again that nothing goes wrong with any more before somebody looks at the clocks: where the owner's
/// is behind, each worker finds its tasks too late until nobody has begun them in time.
const TRIES_MAX: usize = 2;
/// How many of a hundred ask twice at once.
const TWICE_PERCENT: usize = 30;

/// What people know.
#[derive(Default)]
pub(super) struct People {
    /// References of the workflows that somebody asked for, by their executions' ids.
    roots: BTreeMap<String, String>,
    tail: Option<Box<dyn Tail>>,
    /// What waits for them, by the execution's id.
    desk: BTreeMap<String, Waiting>,
    /// Those that somebody has let run again.
    reran: BTreeSet<String>,
    /// How often they have let each task of a frozen workflow be tried again since nothing goes wrong any more.
    tries: BTreeMap<(String, String), usize>,
    /// How many orders they have given.
    orders: usize,
}

struct Waiting {
    what: What,
    /// When somebody comes to it, in milliseconds since the epoch.
    at_ms: i64,
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    Question { parameters: String },
    Freeze { action: String, frozen: String },
    End { action: String, ended_at_ms: i64 },
}

impl People {
    /// From now on somebody looks after a workflow.
    pub(super) fn look_after(&mut self, root: &ExecutionId, action: &str) {
        self.roots.insert(root.to_string(), action.to_owned());
    }

    fn is_watched(&self, key: &str) -> bool {
        // Pieces of workflows stand at other keys.
        !key.contains('/') && key.split('.').next().is_some_and(|root| self.roots.contains_key(root))
    }

    /// What of an execution waits for somebody.
    fn waits(&self, id: &str, record: ExecutionsRecord) -> Option<What> {
        match record {
            ExecutionsRecord::ExecutionState(state) if state.status == "pending" && state.action == people::ASK => {
                Some(What::Question { parameters: state.parameters })
            }
            ExecutionsRecord::ExecutionState(state) if state.status == "paused" => {
                Some(What::Freeze { action: state.action, frozen: state.frozen? })
            }
            ExecutionsRecord::ExecutionEnded(ended) if !self.reran.contains(id) => {
                Some(What::End { action: self.roots.get(id)?.clone(), ended_at_ms: ended.ended_at_ms })
            }
            _ => None,
        }
    }

    /// Whether they have let a task of an execution be tried again too often.
    fn despair(&mut self, id: &str, asked: &[Asked]) -> bool {
        let retried = |asked: &Asked| match asked {
            Asked::Decide(Decision::Retry { task, .. }) => Some((id.to_owned(), task.clone())),
            _ => None,
        };
        let retried: BTreeSet<_> = asked.iter().filter_map(retried).collect();
        let mut is_enough = false;
        for task in retried {
            let tries = self.tries.entry(task).or_default();
            *tries += 1;
            is_enough |= *tries > TRIES_MAX;
        }
        is_enough
    }

    /// What people want about it, and when they say so, at this time in milliseconds since the epoch.
    fn wants(what: &What, now_ms: i64) -> (Vec<Asked>, i64) {
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        match what {
            What::Question { parameters } => {
                let answer = people::answer(&json(parameters));
                (answer.map(|answer| Asked::Answer(answer.into())).into_iter().collect(), now_ms)
            }
            What::Freeze { action, frozen } => {
                let decisions = people::decisions(action, &json(frozen)).into_iter();
                (decisions.map(Asked::Decide).collect(), now_ms)
            }
            // They know that it has ended, by whichever clock.
            What::End { action, ended_at_ms } => {
                (people::rerun(action).map(Asked::Rerun).into_iter().collect(), now_ms.max(*ended_at_ms))
            }
        }
    }
}

impl World {
    /// People look at the log, and do what there is to do.
    pub(super) fn look_people(&self) {
        let mut people = self.people.take();
        if !people.roots.is_empty() && self.read_for(&mut people) {
            self.act_for(&mut people);
        }
        self.people.replace(people);
    }

    /// Whether everything was seen that there is.
    fn read_for(&self, people: &mut People) -> bool {
        if people.tail.is_none() {
            people.tail = self.bus.tail(&pack::topics().executions()).ok();
        }
        let Some(mut tail) = people.tail.take() else { return false };
        let mut seen = Vec::new();
        let mut each = |_: u32, record: Record<'_>| {
            let key = record.key.and_then(|key| std::str::from_utf8(key).ok()).filter(|key| people.is_watched(key));
            if let Some(id) = key {
                let known = record.value.and_then(|value| ExecutionsRecord::decode(value).ok());
                seen.push((id.to_owned(), known));
            }
        };
        // One that has failed may not tell the same a second time.
        let is_read = tail.next(Duration::ZERO, &mut each).is_ok();
        people.tail = Some(tail).filter(|_| is_read);
        for (id, known) in seen {
            self.put_on_desk(people, id, known);
        }
        is_read
    }

    fn put_on_desk(&self, people: &mut People, id: String, known: Option<ExecutionsRecord>) {
        let Some(what) = known.and_then(|known| people.waits(&id, known)) else {
            people.desk.remove(&id);
            return;
        };
        if people.desk.get(&id).is_some_and(|waiting| waiting.what == what) {
            return;
        }
        let thinks_ms = match what {
            What::Question { .. } => self.rng.borrow_mut().between(0, THINKS_MS),
            _ => 0,
        };
        people.desk.insert(id, Waiting { what, at_ms: self.clock.now_ms() + thinks_ms });
    }

    fn act_for(&self, people: &mut People) {
        let now_ms = self.clock.now_ms();
        let due = people.desk.iter().filter(|(_, waiting)| waiting.at_ms <= now_ms);
        let due: Vec<(String, What)> = due.map(|(id, waiting)| (id.clone(), waiting.what.clone())).collect();
        for (key, what) in due {
            let Ok(id) = ExecutionId::parse(&key) else { continue };
            let (asked, at_ms) = People::wants(&what, now_ms);
            let asked = self.perhaps_twice(asked);
            let orders = asked.iter().map(|asked| {
                people.orders += 1;
                let order = asked.order(&id, &name(people.orders), at_ms);
                Output::keyed(&pack::topics().requests(), id.root().as_str(), encode(&order))
            });
            let orders: Vec<Output> = orders.collect();
            if !orders.is_empty() && self.bus.publish(orders).wait().is_err() {
                // The log is away.
                return;
            }
            if self.calm.get() && people.despair(&key, &asked) {
                self.correct_clocks();
            }
            if let What::End { .. } = what {
                people.desk.remove(&key);
                people.reran.insert(key);
            } else if let Some(waiting) = people.desk.get_mut(&key) {
                waiting.at_ms = now_ms + AGAIN_MS;
            }
        }
    }

    /// Somebody is impatient, or two have the same task: who answers behind another one says something else.
    fn perhaps_twice(&self, asked: Vec<Asked>) -> Vec<Asked> {
        if asked.is_empty() || !self.rng.borrow_mut().percent(TWICE_PERCENT) {
            return asked;
        }
        let again = |asked: &Asked| match asked {
            Asked::Answer(answer) => Asked::Answer(people::late(answer.as_i64().unwrap_or_default()).into()),
            other => other.clone(),
        };
        let second: Vec<Asked> = asked.iter().map(again).collect();
        asked.into_iter().chain(second).collect()
    }
}

/// Of the people each gives one order, so that each order can be told from all others.
fn name(order: usize) -> String {
    format!("{}{order:05}", people::NAMED)
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    #[test]
    fn only_who_lets_the_same_task_be_tried_again_and_again_despairs() {
        let retry =
            |task: &str| Decision::Retry { task: task.to_owned(), route: 0, reset_items: false, input: Map::new() };
        let mut people = People::default();
        let mut despair = |id: &str, decided: &[Decision]| {
            people.despair(id, &decided.iter().cloned().map(Asked::Decide).collect::<Vec<_>>())
        };
        // Whoever asks twice at once has tried it once.
        assert!(!despair("x", &[retry("t1"), retry("t2"), retry("t1")]));
        assert!(!despair("y", &[retry("t1")]));
        assert!(!despair("x", &[retry("t1")]));
        assert!((0..9).all(|_| !despair("x", &[Decision::Rollback])));
        assert!(despair("x", &[retry("t1")]));
        assert!(!despair("x", &[retry("t2")]) && !despair("y", &[retry("t1")]));
    }
}
