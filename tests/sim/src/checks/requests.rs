//! Exactly one request per event, rule and action, for each time that the event was sent, under a revision
//! that really asks for it.

use std::collections::BTreeMap;

use petrel_schemas::{ActionRequest, EventId, ExecutionId};

use crate::history::History;
use crate::pack::{self, Asked, Facts, revisions};

/// Nothing is asked for twice, or without a reason.
pub fn never_too_many(history: &History) -> Vec<String> {
    let events = history.events();
    let mut wrong = Vec::new();
    for (event, requests) in by_event(&history.requests) {
        let Some((facts, times)) = events.get(event) else {
            wrong.push(format!("there is no event {event}, and it led to requests"));
            continue;
        };
        let mut counts: BTreeMap<(&str, i32, &str), usize> = BTreeMap::new();
        for request in &requests {
            *counts.entry((rule(request), request.action_index, request.action.as_str())).or_default() += 1;
            wrong.extend(id_is_wrong(event, request));
        }
        for (asked, count) in counts {
            if count > *times {
                wrong.push(format!("{event}, sent {times} times, led to {count} requests of {asked:?}"));
            }
        }
        wrong.extend(unasked(event, facts, &requests));
    }
    wrong
}

/// Everything that an event must lead to is asked for.
pub fn none_missing(history: &History) -> Vec<String> {
    let by_event = by_event(&history.requests);
    let mut wrong = Vec::new();
    for (event, (facts, times)) in history.events() {
        let requests = by_event.get(event).map_or(&[][..], Vec::as_slice);
        // Each time that it was sent it was decided under one revision, perhaps another one each time.
        let mut decided = 0;
        for (number, revision) in revisions().iter().enumerate() {
            let of_revision = requests.iter().filter(|r| r.revision == revision.compiled.hash());
            let mut counts: BTreeMap<Asked, usize> =
                pack::expected(number, facts).into_iter().map(|asked| (asked, 0)).collect();
            for request in of_revision {
                let known = counts.iter_mut().find(|(asked, _)| is(asked, request));
                if let Some((_, count)) = known {
                    *count += 1;
                }
            }
            let most = counts.values().copied().max().unwrap_or(0);
            wrong.extend(counts.iter().filter(|(_, n)| **n < most).map(|(asked, n)| {
                format!("{event} was decided {most} times under revision {number}, with {n} requests of {asked:?}")
            }));
            decided += most;
        }
        let may_be_nothing = (0..revisions().len()).any(|number| pack::expected(number, facts).is_empty());
        if decided < times && !may_be_nothing {
            wrong.push(format!("{event}, sent {times} times, was decided {decided} times"));
        }
    }
    wrong
}

fn is(asked: &Asked, request: &ActionRequest) -> bool {
    asked.rule == rule(request)
        && i64::from(asked.index) == i64::from(request.action_index)
        && asked.action == request.action
}

fn rule(request: &ActionRequest) -> &str {
    request.rule.as_deref().unwrap_or_default()
}

/// Those that rules made.
fn by_event(requests: &[ActionRequest]) -> BTreeMap<&str, Vec<&ActionRequest>> {
    let mut by_event: BTreeMap<&str, Vec<&ActionRequest>> = BTreeMap::new();
    for request in requests.iter().filter(|request| request.requested_by == "rule") {
        by_event.entry(request.event_id.as_deref().unwrap_or_default()).or_default().push(request);
    }
    by_event
}

/// Requests that the revision that they name does not ask for.
fn unasked(event: &str, facts: &Facts, requests: &[&ActionRequest]) -> Vec<String> {
    let asks = |request: &&&ActionRequest| {
        let number = revisions().iter().position(|r| r.compiled.hash() == request.revision);
        number.is_some_and(|number| pack::expected(number, facts).iter().any(|asked| is(asked, request)))
    };
    let wrong = requests.iter().filter(|r| !asks(r));
    wrong.map(|r| format!("{event} asks for {:?} under a revision that does not", (rule(r), &r.action))).collect()
}

fn id_is_wrong(event: &str, request: &ActionRequest) -> Option<String> {
    let id = EventId::parse(event).ok()?;
    let index = u32::try_from(request.action_index).ok()?;
    let wanted = ExecutionId::of_request(&id, rule(request), index, 0);
    (wanted.as_str() != request.execution_id).then(|| format!("{} is not the id of {event}", request.execution_id))
}
