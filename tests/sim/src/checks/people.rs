//! What people ask of workflows: each order has its outcome, once; of answers the first one counts, and what has ended runs
//! again as often as somebody let it.

use std::collections::{BTreeMap, BTreeSet};

use petrel_execution::workflow::Asked;
use petrel_schemas::{ExecutionChanged, WorkflowOrder};
use serde_json::Value;

use super::executions::is_final;
use crate::history::History;
use crate::workflows::people::{ASK, NAMED};

/// The rows in which a workflow runs again that had ended.
pub fn reruns(rows: &[ExecutionChanged]) -> impl Iterator<Item = &ExecutionChanged> {
    let pairs = rows.windows(2).filter(|pair| is_final(&pair[0].status) && pair[1].status == "resuming");
    pairs.map(|pair| &pair[1])
}

/// Whether a row names somebody.
fn names(row: &ExecutionChanged, by: &str) -> bool {
    row.error.as_ref().is_some_and(|error| error.contains(by))
}

/// Whether a row of its execution names who gave an order.
fn is_told(history: &History, order: &WorkflowOrder) -> bool {
    let rows = history.changes.get(&order.execution_id).map_or(&[][..], Vec::as_slice);
    rows.iter().any(|row| names(row, &order.requested_by))
}

fn in_vain(history: &History, order: &WorkflowOrder) -> usize {
    history.dead_letters.iter().filter(|letter| letter.detail.contains(&order.requested_by)).count()
}

/// The orders whose outcome is looked at, each of somebody of its own.
fn orders(history: &History) -> impl Iterator<Item = &WorkflowOrder> {
    history.orders.iter().filter(|order| order.requested_by.starts_with(NAMED))
}

/// Nobody hears twice that an order was in vain, and none is taken twice: what was decided between the two would be undone.
pub fn taken_once(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    for order in orders(history) {
        let (by, what, id) = (&order.requested_by, &order.order, &order.execution_id);
        let letters = in_vain(history, order);
        if letters > 1 {
            wrong.push(format!("{by} hears {letters} times that the {what} of {id} is in vain"));
        }
        let rows = history.changes.get(id).map_or(&[][..], Vec::as_slice);
        let taken = match what.as_str() {
            "rerun" => reruns(rows).filter(|row| names(row, by)).count(),
            "answer" => rows.iter().filter(|row| is_final(&row.status) && names(row, by)).count(),
            _ => 0,
        };
        if taken > 1 || what == "answer" && taken + letters > 1 {
            wrong.push(format!("the {what} of {id} by {by} was taken {taken} times, and {letters} times in vain"));
        }
    }
    for (id, rows) in &history.changes {
        wrong.extend(named_again(rows).into_iter().map(|by| format!("{id} has come back to what {by} wanted")));
    }
    wrong
}

/// Those whom rows name, and name again behind somebody else.
fn named_again(rows: &[ExecutionChanged]) -> Vec<&str> {
    let (mut before, mut all, mut again) = ("", BTreeSet::new(), Vec::new());
    for by in rows.iter().filter_map(|row| first_named(row.error.as_deref()?)) {
        if by != before && !all.insert(by) {
            again.push(by);
        }
        before = by;
    }
    again
}

/// The first of the people whom a text names.
fn first_named(text: &str) -> Option<&str> {
    let from = &text[text.find(NAMED)?..];
    let end = from[NAMED.len()..].find(|c: char| !c.is_ascii_digit()).map_or(from.len(), |digits| NAMED.len() + digits);
    Some(&from[..end])
}

/// Of the answers to a question the first one is its answer.
pub fn the_first_answer_counts(history: &History) -> Vec<String> {
    // Of one execution they stand in one partition, and so in their order.
    let mut first: BTreeMap<&str, &WorkflowOrder> = BTreeMap::new();
    for order in orders(history).filter(|order| order.order == "answer") {
        first.entry(&order.execution_id).or_insert(order);
    }
    let mut wrong = Vec::new();
    for (id, rows) in &history.changes {
        let Some(last) = rows.last().filter(|row| row.action == ASK && row.status == "succeeded") else { continue };
        let result: Value = last.result.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let answer = first.get(id.as_str()).and_then(|order| Asked::parse(&order.order, &order.data).ok());
        if answer != Some(Asked::Answer(result["response"].clone())) {
            wrong.push(format!("{id} has the answer {}, and was answered {answer:?} first", result["response"]));
        }
    }
    wrong
}

/// Every rerun is somebody's, and was asked for since the workflow had ended before.
pub fn reruns_are_asked_for(history: &History) -> Vec<String> {
    let asked: BTreeSet<(&str, &str)> = orders(history)
        .filter(|order| order.order == "rerun")
        .map(|order| (order.execution_id.as_str(), order.requested_by.as_str()))
        .collect();
    let mut wrong = Vec::new();
    for (id, rows) in &history.changes {
        for row in reruns(rows) {
            let by = row.error.as_deref().and_then(first_named);
            if by.is_none_or(|by| !asked.contains(&(id.as_str(), by))) {
                wrong.push(format!("{id} runs again, and nobody has asked for it: {:?}", row.error));
            }
        }
    }
    wrong
}

/// Whoever has given an order hears of it: what has come of it, or that it was in vain; unless somebody canceled the workflow, or
/// the question is withdrawn, which has the last word.
pub fn each_heard_of(history: &History) -> Vec<String> {
    let is_over = |id: &str| {
        let last = history.changes.get(id).and_then(|rows| rows.last());
        last.is_some_and(|row| row.status == "canceled")
    };
    let is_ended = |order: &WorkflowOrder| {
        let root = order.execution_id.split('.').next().unwrap_or_default();
        history.canceled.contains(root) || is_over(&order.execution_id)
    };
    let is_unheard =
        |order: &&WorkflowOrder| !is_ended(order) && !is_told(history, order) && in_vain(history, order) == 0;
    orders(history).filter(is_unheard).map(|order| format!("nobody has heard of {order:?}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Rows of one execution, each with its status and what it says.
    fn rows(of: &[(&str, &str)]) -> Vec<ExecutionChanged> {
        let row = |(sequence, (status, error)): (usize, &(&str, &str))| {
            let row = json!({
                "execution_id": "x", "root_execution_id": "x", "action": ASK, "parameters": "{}", "revision": "r",
                "requested_by": "ann", "requested_at_ms": 0, "sequence": sequence + 1, "status": status,
                "changed_at_ms": 0, "attempt": 1, "error": error, "result": "{\"response\":1}",
            });
            serde_json::from_value(row).unwrap()
        };
        of.iter().enumerate().map(row).collect()
    }

    fn order(number: usize, asked: &Asked) -> WorkflowOrder {
        WorkflowOrder {
            execution_id: "x".to_owned(),
            root_execution_id: "x".to_owned(),
            order: asked.as_str().to_owned(),
            requested_by: format!("{NAMED}{number:05}"),
            requested_at_ms: 0,
            data: asked.data(),
        }
    }

    fn history(orders: &[Asked], of: &[(&str, &str)]) -> History {
        let orders = orders.iter().enumerate().map(|(number, asked)| order(number + 1, asked)).collect();
        History { orders, changes: [("x".to_owned(), rows(of))].into(), ..History::default() }
    }

    #[test]
    fn an_order_that_is_taken_twice_is_found() {
        let asked = [Asked::Rerun(Vec::new()), Asked::Rerun(Vec::new())];
        let (first, second) = ("rerun asked for by person-00001", "rerun asked for by person-00002");
        let good = [("failed", ""), ("resuming", first), ("failed", ""), ("resuming", second)];
        assert_eq!(taken_once(&history(&asked, &good)), [""; 0]);
        let again = [("failed", ""), ("resuming", first), ("failed", ""), ("resuming", first)];
        assert_eq!(taken_once(&history(&asked, &again)).len(), 1);
        let decided = [("resuming", first), ("paused", ""), ("resuming", second), ("running", first)];
        assert_eq!(taken_once(&history(&[], &decided)), ["x has come back to what person-00001 wanted"]);
        assert_eq!(reruns_are_asked_for(&history(&asked, &good)), [""; 0]);
        assert_eq!(reruns_are_asked_for(&history(&asked[..1], &good)).len(), 1);
    }

    #[test]
    fn an_answer_that_is_not_the_first_and_an_order_of_which_nobody_hears_are_found() {
        let answers = |first: i64, second: i64| [Asked::Answer(json!(first)), Asked::Answer(json!(second))];
        let answered = [("succeeded", "answered by person-00001")];
        assert_eq!(the_first_answer_counts(&history(&answers(1, 2), &answered)), [""; 0]);
        assert_eq!(the_first_answer_counts(&history(&answers(2, 1), &answered)).len(), 1);
        assert_eq!(each_heard_of(&history(&answers(1, 2)[..1], &answered)), [""; 0]);
        assert_eq!(each_heard_of(&history(&answers(1, 2), &answered)).len(), 1);
    }
}
