//! Gates: what they have let out, by their state and by their rows of the audit trail; not by what they count.

use std::collections::{BTreeMap, BTreeSet};

use petrel_execution::gate::keys::parse_permit;
use petrel_execution::gate::{GateId, Level};

use crate::checks::executions::is_final;
use crate::history::History;
use crate::pack::{BULK_RULE, GATED, PERMITS_MAX, PERMITS_OF_A_HOST, POLICY};
use crate::workflows::fixed::{AT_ONCE_MAX, POLICY_OF_TASKS};
use crate::workflows::outcome::LIMITED;

/// Permits of one gate that were out from one instant on, in true milliseconds since the epoch.
type Out = BTreeMap<i64, BTreeSet<String>>;

fn most(gate: &GateId) -> usize {
    match gate.level {
        _ if gate.policy != POLICY => AT_ONCE_MAX,
        Level::Key(_) => PERMITS_OF_A_HOST,
        Level::Total => PERMITS_MAX,
    }
}

/// The policy of an action that workers run, and how many gates it has.
fn gates_of(action: &str) -> Option<(&'static str, usize)> {
    match action {
        GATED => Some((POLICY, 2)),
        LIMITED => Some((POLICY_OF_TASKS, 1)),
        _ => None,
    }
}

/// Who held permits when, of each gate. What one transaction has changed has one instant.
fn out(history: &History) -> BTreeMap<String, (GateId, Out)> {
    let mut all: BTreeMap<String, (GateId, Out)> = BTreeMap::new();
    for (at_ms, key, is_there) in &history.gate_state {
        let Some((gate, execution)) = parse_permit(key) else { continue };
        let (_, out) = all.entry(gate.to_string()).or_insert_with(|| (gate, Out::new()));
        let before = out.last_key_value().map(|(_, held)| held.clone()).unwrap_or_default();
        let held = out.entry(*at_ms).or_insert(before);
        match is_there {
            true => held.insert(execution.to_string()),
            false => held.remove(execution.as_str()),
        };
    }
    all
}

/// At no instant more permits are out than allowed.
pub fn never_too_many_out(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, (gate, out)) in out(history) {
        let too_many = |(_, held): &(&i64, &BTreeSet<String>)| held.len() > most(&gate);
        if let Some((at_ms, held)) = out.iter().find(too_many) {
            wrong.push(format!("{} permits of {name} are out at {at_ms}, for {held:?}", held.len()));
        }
    }
    wrong
}

/// Nothing starts that has not passed all its gates, unless it is over: then nobody hears of it, and it is ended.
pub fn nothing_starts_without(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    let out = out(history);
    for effect in &history.effects {
        let Some((policy, gates)) = gates_of(&effect.action) else { continue };
        let holds = |(gate, out): &&(GateId, Out)| {
            gate.policy == policy
                && out.range(..=effect.began_ms).next_back().is_some_and(|(_, held)| held.contains(&effect.execution))
        };
        let rows = history.changes.get(&effect.execution).map_or(&[][..], Vec::as_slice);
        let left = rows.iter().find(|row| is_final(&row.status) || row.code.as_deref() == Some("back_off"));
        let left_ms = left.and_then(|row| history.written_ms.get(&(row.execution_id.clone(), row.sequence))).copied();
        let passed = out.values().filter(holds).count();
        if passed != gates && left_ms.is_none_or(|left_ms| left_ms > effect.began_ms) {
            wrong.push(format!("{} began with permits of {passed} gates: {effect:?}", effect.execution));
        }
    }
    wrong
}

/// Each acquisition is granted once and comes back once, and who comes first is served first within its class.
pub fn granted_once_in_order(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen: BTreeMap<(&str, &str, &str, &str), i64> = BTreeMap::new();
    for (at_ms, row) in &history.decisions {
        let (Some(execution), Some(acquisition)) = (&row.execution_id, &row.acquisition) else { continue };
        let key = (row.gate.as_str(), row.decided.as_str(), execution.as_str(), acquisition.as_str());
        if seen.insert(key, *at_ms).is_some() && row.decided != "waits" {
            wrong.push(format!("{} of {execution} at {} came twice", row.decided, row.gate));
        }
    }
    let is_bulk = |execution: &str| {
        let rows = history.changes.get(execution).map_or(&[][..], Vec::as_slice);
        rows.iter().any(|row| row.rule.as_deref() == Some(BULK_RULE))
    };
    /// When it came, when it was granted, and who it was.
    type Waiter<'h> = (i64, i64, &'h str);
    let mut waited: BTreeMap<(&str, bool), Vec<Waiter<'_>>> = BTreeMap::new();
    for ((gate, decided, execution, acquisition), came_ms) in &seen {
        let granted_ms = seen.get(&(*gate, "granted", *execution, *acquisition));
        if let ("waits", Some(granted_ms)) = (*decided, granted_ms) {
            waited.entry((*gate, is_bulk(execution))).or_default().push((*came_ms, *granted_ms, *execution));
        }
    }
    for ((gate, _), mut waiters) in waited {
        waiters.sort_unstable();
        let mut latest = (i64::MIN, i64::MIN, "");
        for waiter in waiters {
            if waiter.0 > latest.0 && waiter.1 < latest.1 {
                wrong.push(format!("{} came to {gate} behind {} and passed before it", waiter.2, latest.2));
            }
            latest = if waiter.1 > latest.1 { waiter } else { latest };
        }
    }
    wrong
}

/// Nothing is out, and nobody waits, once everything is over; and every grant has come back.
pub fn none_leaked(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut there: BTreeMap<&[u8], bool> = BTreeMap::new();
    for (_, key, is_there) in &history.gate_state {
        there.insert(key, *is_there);
    }
    for (key, _) in there.into_iter().filter(|(_, is_there)| *is_there) {
        if key.starts_with(b"p:") || key.starts_with(b"s:") || key.starts_with(b"q:") {
            wrong.push(format!("a gate remembers {:?}", String::from_utf8_lossy(key)));
        }
    }
    let of = |decided: &str| -> BTreeSet<(&str, Option<&str>)> {
        let rows = history.decisions.iter().filter(|(_, row)| row.decided == decided);
        rows.map(|(_, row)| (row.gate.as_str(), row.acquisition.as_deref())).collect()
    };
    let returned = of("returned");
    wrong.extend(of("granted").difference(&returned).map(|grant| format!("{grant:?} was granted and not returned")));
    wrong
}
