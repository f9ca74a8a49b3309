//! How long to wait before a request is sent again.

use jiff::fmt::rfc2822::DateTimeParser;
use petrel_execution::runner::Retry;
use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};

/// The pause after so many times, in milliseconds, where the server does not say it: each twice as long as the one
/// before.
pub(super) fn pause_ms(retry: &Retry, times: u32) -> u64 {
    let doubled = 1_u64.checked_shl(times.saturating_sub(1)).unwrap_or(u64::MAX);
    retry.wait_ms.saturating_mul(doubled).min(retry.wait_max_ms.max(retry.wait_ms))
}

/// What the server asks for, in milliseconds: seconds, or a time, from which on one may come again. A time is one of the
/// server's clock, which it tells as well.
pub(super) fn retry_after_ms(headers: &HeaderMap, now_ms: i64) -> Option<u64> {
    let said = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = said.parse::<u64>() {
        return Some(seconds.saturating_mul(1_000));
    }
    let then_ms = time_ms(said)?;
    let told = headers.get(DATE).map(HeaderValue::to_str).and_then(Result::ok).and_then(time_ms);
    Some(u64::try_from(then_ms.saturating_sub(told.unwrap_or(now_ms))).unwrap_or(0))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn time_ms(text: &str) -> Option<i64> {
    let parser = DateTimeParser::new().relaxed_weekday(true);
    parser.parse_timestamp(text).ok().map(|time| time.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let retry = Retry { times: 9, wait_ms: 100, wait_max_ms: 1_000, on: None };
        assert_eq!([1, 2, 3, 4, 5, 200].map(|n| pause_ms(&retry, n)), [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(pause_ms(&Retry { wait_max_ms: 5, ..retry }, 2), 100);
    }

    #[test]
    fn the_server_says_when_to_come_again() {
        let ask = |after: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(after).unwrap());
            date.map(|date| headers.insert(DATE, HeaderValue::from_str(date).unwrap()));
            // An hour before what is asked for below.
            retry_after_ms(&headers, 784_108_177_000)
        };
        assert_eq!(ask("120", None), Some(120_000));
        assert_eq!(ask("Sun, 06 Nov 1994 08:49:37 GMT", None), Some(3_600_000));
        // By the server's clock it is in a minute.
        assert_eq!(ask("Sun, 06 Nov 1994 08:49:37 GMT", Some("Sun, 06 Nov 1994 08:48:37 GMT")), Some(60_000));
        assert_eq!(ask("Sun, 06 Nov 1994 08:49:37 GMT", Some("Mon, 07 Nov 1994 08:48:37 GMT")), Some(0));
        for nothing in ["", "soon", "-5", "1.5"] {
            assert_eq!(ask(nothing, None), None, "{nothing}");
        }
        assert_eq!(retry_after_ms(&HeaderMap::new(), 0), None);
    }
}
