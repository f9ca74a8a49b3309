//! When a request is sent again.

use serde_json::Value;

use super::super::duration::parse_ms;
use super::super::keys::{Keys, Mistake};
use super::codes::Codes;

/// Most times that a request is sent again.
const TIMES_MAX: u32 = 20;
/// First and longest pause before a request is sent again where the action says nothing, in milliseconds.
const WAIT_MS: (u64, u64) = (1_000, 60_000);
/// Answers after which a request is sent again where the action does not say which: it was too early, or something on
/// the way was not ready.
const ON: [u16; 6] = [408, 425, 429, 502, 503, 504];

/// When a request is sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// How often at most; 0 is never.
    pub times: u32,
    /// First pause, in milliseconds; each is twice as long as the one before.
    pub wait_ms: u64,
    /// Longest pause, in milliseconds.
    pub wait_max_ms: u64,
    /// After which answers, where the action says it.
    pub on: Option<Codes>,
}

impl Retry {
    /// Whether a request that was answered so is one to send again. `may_arrive_twice`: whether it does no harm if what
    /// it asks for was done, or is still being done, all the same. `asks_for_it`: whether the server said when to come
    /// again.
    pub fn is_on(&self, status: u16, may_arrive_twice: bool, asks_for_it: bool) -> bool {
        match &self.on {
            // Who names a code knows what the server means by it.
            Some(on) => on.contains(status),
            None => ON.contains(&status) && (may_arrive_twice || is_untouched(status, asks_for_it)),
        }
    }

    pub(super) fn read<'k>(retry: Option<&'k Value>, keys: &mut Keys<'k>) -> Self {
        let (wait_ms, wait_max_ms) = WAIT_MS;
        let mut read = Self { times: 0, wait_ms, wait_max_ms, on: None };
        let Some(value) = retry else { return read };
        let known = ["times", "wait", "wait_max", "on"];
        let Some(entries) = keys.mapping(value, "/request/retry", "retry", &known) else { return read };
        match entries.get("times") {
            Some(times) => {
                read.times = keys.whole(times, "/request/retry/times", "times", TIMES_MAX).unwrap_or(0);
            }
            None => keys.error("/request/retry", Mistake::Missing, "\"retry\" needs \"times\""),
        }
        for (key, ms) in [("wait", &mut read.wait_ms), ("wait_max", &mut read.wait_max_ms)] {
            let Some(value) = entries.get(key) else { continue };
            let at = format!("/request/retry/{key}");
            let Some(text) = keys.text(value, &at, key) else { continue };
            match parse_ms(text) {
                Ok(wait_ms) => *ms = wait_ms,
                Err(message) => keys.error(at, Mistake::BadValue, message),
            }
        }
        read.on = entries.get("on").map(|codes| Codes::read(codes, "/request/retry/on", "on", keys));
        read
    }
}

/// Whether an answer says that nothing was done of what was asked for. A gateway that gave up, or a server that waited
/// for too long, says nothing of the kind.
pub fn is_untouched(status: u16, asks_for_it: bool) -> bool {
    matches!(status, 425 | 429) || (status == 503 && asks_for_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_not_arrive_twice_is_sent_again_only_where_nothing_was_done() {
        let retry = |on| Retry { times: 3, wait_ms: 1, wait_max_ms: 1, on };
        for (status, twice, once, once_asked) in [
            (200, false, false, false),
            (408, true, false, false),
            (425, true, true, true),
            (429, true, true, true),
            (500, false, false, false),
            (502, true, false, false),
            (503, true, false, true),
            (504, true, false, false),
        ] {
            let on = |may, asks| retry(None).is_on(status, may, asks);
            assert_eq!((on(true, false), on(false, false), on(false, true)), (twice, once, once_asked), "{status}");
        }
        // The action says so.
        let said = retry(Some(Codes::of(&[(500, 502)])));
        assert_eq!([500, 502, 503, 429].map(|status| said.is_on(status, false, true)), [true, true, false, false]);
    }
}
