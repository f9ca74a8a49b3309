//! Whether an attempt is followed by another one, and when: decided by owners, without a hop.

use std::sync::Arc;

use petrel_cel::{Scope, Template};
use petrel_schemas::ExecutionId;
use serde_json::{Value, json};

use crate::limits::RETRY_AFTER_MS_MAX;
use crate::outcome::Said;
use crate::status::Status;

/// How the pauses between attempts grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackOff {
    /// They do not.
    Constant,
    /// Each is twice as long as the one before.
    Exponential,
}

impl BackOff {
    /// As records write it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Exponential => "exponential",
        }
    }

    /// Reads it back.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Constant, Self::Exponential].into_iter().find(|back_off| back_off.as_str() == text)
    }
}

/// What an action's `retry:` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Whether a failed attempt is repeated.
    pub on_failure: bool,
    /// Whether one that timed out is repeated.
    pub on_timeout: bool,
    /// Whether one whose worker was lost counts among the repetitions, and is repeated after a pause; else another worker
    /// has it at once.
    pub on_lost_worker: bool,
    /// An expression over how an attempt ended; where it is true, the attempt is repeated, also if it succeeded.
    pub when: Option<Arc<str>>,
    /// Most repetitions.
    pub retries_max: i32,
    /// The first pause, in milliseconds.
    pub delay_ms: i64,
    /// How the others follow from it.
    pub back_off: BackOff,
    /// Longest pause, in milliseconds.
    pub delay_ms_max: i64,
    /// By how much of itself a pause may be shorter, in hundredths, so that what failed together does not come
    /// back together.
    pub jitter_percent: u8,
    /// Longest time from the first dispatch to the beginning of another attempt, in milliseconds.
    pub total_ms_max: Option<i64>,
    /// Whether a pause is at least as long as the server of the attempt before asked for.
    pub heeds_server: bool,
}

impl Retry {
    /// Whether how an attempt ended is by itself a reason to repeat it.
    pub fn is_on(&self, ended: Status) -> bool {
        match ended {
            Status::Failed => self.on_failure,
            Status::Timeout => self.on_timeout,
            _ => false,
        }
    }

    /// What the expression says of an attempt; false where there is none.
    ///
    /// # Errors
    /// Why it has no value, for people.
    pub(crate) fn is_wanted(&self, said: &Said, number: i32) -> Result<bool, String> {
        let Some(when) = &self.when else { return Ok(false) };
        let told = |why: String| format!("\"when\" of its retry says nothing: {why}");
        let template = Template::attempt(when).map_err(|errors| {
            told(errors.into_iter().next().map_or_else(String::new, |error| error.message.clone()))
        })?;
        let read = |text: &Option<String>| {
            text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok()).unwrap_or(Value::Null)
        };
        let attempt = json!({
            "status": said.status.as_str(),
            "code": said.note.code,
            "error": said.note.error,
            "return_code": said.return_code,
            "number": number,
        });
        match template.render(&Scope::attempt(&read(&said.result), &attempt, &read(&said.extracted))) {
            Ok(Value::Bool(wanted)) => Ok(wanted),
            Ok(_) => Err(told("it is neither true nor false".to_owned())),
            Err(_) if said.result_object.is_some() => Err(told(
                "its result is too large to be looked at; \"output\" may extract what is needed of it".to_owned(),
            )),
            Err(error) => Err(told(error.to_string())),
        }
    }

    /// When the next attempt begins, in milliseconds since the epoch; nothing if there is none. `retries` have been
    /// made, the first attempt was dispatched at `first_ms`, and a server may have asked for a pause.
    pub fn next_ms(
        &self,
        id: &ExecutionId,
        retries: i32,
        first_ms: i64,
        now_ms: i64,
        asked_ms: Option<i64>,
    ) -> Option<i64> {
        if retries >= self.retries_max {
            return None;
        }
        let asked_ms = asked_ms.filter(|_| self.heeds_server).map_or(0, |ms| asked_pause_ms(ms, id, retries));
        let due_ms = now_ms.saturating_add(self.pause_ms(id, retries).max(asked_ms));
        let is_late = |total_ms_max: i64| due_ms > first_ms.saturating_add(total_ms_max);
        (!self.total_ms_max.is_some_and(is_late)).then_some(due_ms)
    }

    /// The pause before the next attempt, in milliseconds: the same whenever it is asked for.
    fn pause_ms(&self, id: &ExecutionId, retries: i32) -> i64 {
        let doublings = match self.back_off {
            BackOff::Constant => 0,
            BackOff::Exponential => u32::try_from(retries).unwrap_or(0).min(62),
        };
        let pause_ms = self.delay_ms.max(0).saturating_mul(1 << doublings).min(self.delay_ms_max.max(0));
        let shortest_ms = pause_ms - part(pause_ms, u64::from(self.jitter_percent.min(100)), 100);
        shortest_ms + part(pause_ms - shortest_ms, seed(id, retries) >> 32, u64::from(u32::MAX))
    }
}

/// The pause that a server asked for, and up to a tenth more: it asks many for the same, who should not come back together.
fn asked_pause_ms(asked_ms: i64, id: &ExecutionId, retries: i32) -> i64 {
    let asked_ms = asked_ms.clamp(0, RETRY_AFTER_MS_MAX);
    asked_ms + part(asked_ms / 10, seed(id, retries) >> 32, u64::from(u32::MAX))
}

/// So much of a time.
fn part(ms: i64, share: u64, of: u64) -> i64 {
    let part = i128::from(ms) * i128::from(share) / i128::from(of);
    i64::try_from(part).unwrap_or(i64::MAX)
}

/// A number that looks random and is the same for the same attempt on every machine: FNV-1a, then mixed so that
/// neighbouring attempts have nothing in common.
fn seed(id: &ExecutionId, retries: i32) -> u64 {
    let bytes = id.as_str().bytes().chain(retries.to_le_bytes());
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry = Retry {
        on_failure: true,
        on_timeout: false,
        on_lost_worker: false,
        when: None,
        heeds_server: true,
        retries_max: 5,
        delay_ms: 100,
        back_off: BackOff::Exponential,
        delay_ms_max: 1_000,
        jitter_percent: 0,
        total_ms_max: None,
    };

    fn id(name: &str) -> ExecutionId {
        ExecutionId::of_manual(name)
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_end_after_the_last() {
        let pauses: Vec<_> = (0..6).map(|retries| RETRY.next_ms(&id("x"), retries, 0, 0, None)).collect();
        assert_eq!(pauses, [Some(100), Some(200), Some(400), Some(800), Some(1_000), None]);
        let constant = Retry { back_off: BackOff::Constant, ..RETRY };
        assert_eq!(constant.next_ms(&id("x"), 4, 0, 50, None), Some(150));
        let for_ever = Retry { retries_max: i32::MAX, delay_ms: i64::MAX, delay_ms_max: i64::MAX, ..RETRY };
        assert_eq!(for_ever.next_ms(&id("x"), 1_000, 0, 5, None), Some(i64::MAX));
    }

    #[test]
    fn only_what_it_names_is_repeated_and_only_in_its_time() {
        let both = Retry { on_timeout: true, ..RETRY };
        assert!(both.is_on(Status::Timeout) && both.is_on(Status::Failed) && !RETRY.is_on(Status::Timeout));
        for ended in [Status::Succeeded, Status::Canceled, Status::Abandoned] {
            assert!(!both.is_on(ended), "{ended:?}");
        }
        let next = |total_ms_max| Retry { total_ms_max, ..RETRY }.next_ms(&id("x"), 0, 0, 450, None);
        assert_eq!((next(Some(550)), next(Some(549))), (Some(550), None));
    }

    #[test]
    fn a_server_that_asks_for_a_pause_has_it_and_not_everybody_at_once() {
        let next =
            |n: u32, retry: &Retry, asked_ms| retry.next_ms(&id(&n.to_string()), 0, 0, 0, Some(asked_ms)).unwrap();
        assert_eq!(next(1, &RETRY, 0), 100);
        assert_eq!(next(1, &RETRY, -5), 100);
        assert_eq!(next(1, &Retry { heeds_server: false, ..RETRY }, 60_000), 100);
        let pauses: Vec<i64> = (0..1_000).map(|n| next(n, &RETRY, 60_000)).collect();
        assert!(pauses.iter().all(|ms| (60_000..=66_000).contains(ms)), "longer than its own longest pause");
        assert!(pauses.iter().filter(|ms| **ms < 63_000).count() > 400 && pauses.iter().any(|ms| *ms > 65_000));
        assert!(next(1, &RETRY, i64::MAX) <= RETRY_AFTER_MS_MAX + RETRY_AFTER_MS_MAX / 10);
        assert_eq!(Retry { total_ms_max: Some(59_999), ..RETRY }.next_ms(&id("x"), 0, 0, 0, Some(60_000)), None);
    }

    #[test]
    fn an_expression_sees_how_the_attempt_ended() {
        let said = Said {
            status: Status::Succeeded,
            note: crate::subject::Note::NONE,
            return_code: Some(3),
            result: Some("{\"state\": \"pending\"}".to_owned()),
            extracted: Some("{\"n\": 7}".to_owned()),
            result_object: None,
            worker: "w".to_owned(),
            started_at_ms: None,
            events: Vec::new(),
            retriable: false,
            retry_after_ms: None,
            stdout: crate::Wrote::default(),
            stderr: crate::Wrote::default(),
        };
        let wanted = |when: &str, said: &Said| Retry { when: Some(when.into()), ..RETRY }.is_wanted(said, 2);
        assert_eq!(RETRY.is_wanted(&said, 2), Ok(false));
        for (when, expected) in [
            ("result.state == 'pending'", true),
            ("result.state == 'done'", false),
            ("attempt.status == 'succeeded' && attempt.number < 3", true),
            ("attempt.return_code in [3, 4] && extracted.n == 7", true),
            ("attempt.code == null && attempt.error == null", true),
        ] {
            assert_eq!(wanted(when, &said), Ok(expected), "{when}");
        }
        let why = |when, said: &Said| wanted(when, said).unwrap_err();
        assert!(why("result.missing == 1", &said).starts_with("\"when\" of its retry says nothing: "));
        assert!(why("result.state", &said).ends_with("it is neither true nor false"));
        let elsewhere = Said { result: None, result_object: Some("x".to_owned()), ..said };
        assert!(why("result.state == 'pending'", &elsewhere).contains("too large"));
    }

    #[test]
    fn jitter_spreads_attempts_and_is_the_same_each_time() {
        let retry = Retry { jitter_percent: 50, delay_ms: 1_000, ..RETRY };
        let pause = |n: u32| retry.next_ms(&id(&n.to_string()), 0, 0, 0, None).unwrap();
        let pauses: Vec<i64> = (0..1_000).map(pause).collect();
        assert_eq!(pauses, (0..1_000).map(pause).collect::<Vec<_>>());
        assert!(pauses.iter().all(|ms| (500..=1_000).contains(ms)));
        for from_ms in (500..1_000).step_by(100) {
            let here = pauses.iter().filter(|ms| (from_ms..from_ms + 100).contains(*ms)).count();
            assert!((130..270).contains(&here), "{here} of 1000 from {from_ms}");
        }
    }
}
