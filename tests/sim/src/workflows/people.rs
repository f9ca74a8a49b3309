//! What people do about workflows: what they answer, decide and let run again is a function of what is asked, so that it is the
//! same whenever they come to it, and however often.

use petrel_execution::workflow::{Decision, RerunTask};
use serde_json::{Map, Value};

use super::made;

/// The action of a question.
pub const ASK: &str = "core.ask";
/// What a question begins with that somebody answers, with the number behind it.
pub const ANSWERED: &str = "Say ";
/// A question that nobody answers.
pub const UNANSWERED: &str = "Is anybody there?";

/// What the names of those begin with who answer, decide and let something run again.
pub const NAMED: &str = "person-";

/// The answer to a question, by its parameters; nothing where nobody answers.
pub fn answer(parameters: &Value) -> Option<i64> {
    parameters["question"].as_str()?.strip_prefix(ANSWERED)?.parse().ok()
}

/// What somebody says who comes too late.
pub fn late(answer: i64) -> i64 {
    answer + 1_000
}

/// What becomes of what failed in a frozen workflow, as that is shown: a decision for each of its tasks. What is not made to
/// fail is tried again.
pub fn decisions(action: &str, frozen: &Value) -> Vec<Decision> {
    let decided = made(action).map(|made| made.decisions).unwrap_or_default();
    let tasks = frozen["tasks"].as_array().map_or(&[][..], Vec::as_slice);
    let of_task = |shown: &Value| {
        let task = shown["task"].as_str()?.to_owned();
        let route = shown["route"].as_u64().and_then(|route| u32::try_from(route).ok())?;
        Some(match decided.get(&task) {
            Some(Decision::Skip { result, .. }) => Decision::Skip { task, route, result: result.clone() },
            Some(Decision::Retry { reset_items, input, .. }) => {
                Decision::Retry { task, route, reset_items: *reset_items, input: input.clone() }
            }
            Some(of_all) => of_all.clone(),
            None => Decision::Retry { task, route, reset_items: false, input: Map::new() },
        })
    };
    tasks.iter().filter_map(of_task).collect()
}

/// Whether a workflow, or one within it, may freeze.
pub fn freezes(action: &str) -> bool {
    made(action).is_some_and(|made| made.freezes)
}

/// From which tasks a workflow is to run again once it has ended, if it is to: from what failed where none is named.
pub fn rerun(action: &str) -> Option<Vec<RerunTask>> {
    made(action)?.rerun
}
