//! `retry:` of an action: what is tried again, how often, after which pauses.

use std::sync::Arc;

use petrel_cel::Template;
use petrel_execution::{BackOff, Delivery, Retry};

use crate::engine::tell_all;
use crate::limits::{RETRIES_MAX, RETRY_DELAY_MS_MAX, RETRY_WHEN_BYTES_MAX, TIMEOUT_MS_MAX};
use crate::problems::Code;
use crate::walk::{Fields, Report, Shape};
use crate::yaml::Data;

const RETRY: Shape = Shape {
    what: "\"retry\"",
    known: &["on", "when", "times", "delay", "backoff", "delay_max", "jitter_percent", "within", "retry_after"],
    later: &[],
};

/// How an attempt may have ended, as `on` names it.
const ON: [&str; 3] = ["failure", "timeout", "lost_worker"];

/// What is read of `on`: a failure, a time-out, a lost worker.
type On = (bool, bool, bool);

pub(super) fn read(fields: &Fields<'_>, delivery: Delivery, report: &mut Report<'_>) -> Option<Retry> {
    let (key, node) = fields.entry("retry")?;
    let fields = Fields::open(node, &RETRY, report)?;
    if delivery == Delivery::AtMostOnce {
        let message = "an action with \"delivery: at_most_once\" is never started again: leave \"retry\" out";
        report.add(key.at, Code::BadValue, message);
    }
    let when = read_when(&fields, report);
    // One that has an expression is by default tried again for that alone.
    let default = if fields.entry("when").is_some() { (false, false, false) } else { (true, true, false) };
    let (on_failure, on_timeout, on_lost_worker) = read_on(&fields, default, report);
    let heeds_server = fields.flag("retry_after", true, report);
    let retries_max = whole(&fields, "times", (1, RETRIES_MAX), report);
    if fields.entry("times").is_none() {
        report.add(fields.at(), Code::Missing, "\"retry\" needs \"times\"");
    }
    let delay_ms = fields.duration_ms("delay", 0, RETRY_DELAY_MS_MAX, report).unwrap_or(1_000);
    let words = [("constant", BackOff::Constant), ("exponential", BackOff::Exponential)];
    let back_off = fields.word("backoff", &words, BackOff::Constant, report);
    let delay_ms_max = fields.duration_ms("delay_max", 1, RETRY_DELAY_MS_MAX, report).unwrap_or(RETRY_DELAY_MS_MAX);
    let jitter = whole(&fields, "jitter_percent", (0, 100), report).unwrap_or(0);
    let total_ms_max = fields.duration_ms("within", 1, TIMEOUT_MS_MAX, report);
    Some(Retry {
        on_failure,
        on_timeout,
        on_lost_worker,
        when,
        heeds_server,
        retries_max: i32::try_from(retries_max?).ok()?,
        delay_ms,
        back_off,
        delay_ms_max,
        jitter_percent: u8::try_from(jitter).ok()?,
        total_ms_max,
    })
}

/// An expression over how an attempt ended, compiled to see whether it is one.
fn read_when(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Arc<str>> {
    let when = fields.text("when", report)?;
    if when.value.len() > RETRY_WHEN_BYTES_MAX {
        let message =
            format!("\"when\" must have at most {RETRY_WHEN_BYTES_MAX} bytes, for it travels with executions");
        report.add(when.place.at, Code::TooLarge, message);
        return None;
    }
    if let Err(errors) = Template::attempt(&when.value) {
        tell_all(&errors, &when, report.problems());
        return None;
    }
    Some(when.value.as_str().into())
}

fn read_on(fields: &Fields<'_>, default: On, report: &mut Report<'_>) -> On {
    let Some((_, node)) = fields.entry("on") else { return default };
    let words = fields.texts("on", report);
    if matches!(&node.data, Data::List(items) if items.is_empty()) {
        report.add(
            node.at,
            Code::BadValue,
            "\"on\" names nothing; leave it out, or say \"failure\", \"timeout\" or \"lost_worker\"",
        );
    }
    for word in &words {
        if !ON.contains(&word.value.as_str()) {
            let message =
                format!("\"on\" must hold \"failure\", \"timeout\" or \"lost_worker\", found {:?}", word.value);
            report.add(word.place.at, Code::BadValue, message);
        }
    }
    let holds = |wanted: &str| words.iter().any(|word| word.value == wanted);
    (holds(ON[0]), holds(ON[1]), holds(ON[2]))
}

fn whole(fields: &Fields<'_>, key: &str, (min, max): (i64, i64), report: &mut Report<'_>) -> Option<i64> {
    let node = fields.get(key, report)?;
    let number = match &node.data {
        Data::Number(number) => number.as_i64(),
        _ => None,
    };
    let fits = number.filter(|number| (min..=max).contains(number));
    if fits.is_none() {
        report.add(node.at, Code::BadValue, format!("{key:?} must be a whole number from {min} to {max}"));
    }
    fits
}

#[cfg(test)]
mod tests {
    use petrel_execution::{BackOff, Retry};

    use crate::testkit::{load, problems, source};

    fn action(text: &str) -> String {
        format!("name: a\nrunner: noop\n{text}\n")
    }

    #[test]
    fn it_is_read_with_its_defaults() {
        let retry = |text: &str| {
            let text = action(text);
            let revision =
                load(vec![source("", &[("pack.yaml", "name: p\nversion: 1.0.0\n"), ("actions/a.yaml", &text)])]);
            revision.compiled().action("p.a").unwrap().plan.retry.clone()
        };
        let least = Retry {
            on_failure: true,
            on_timeout: true,
            on_lost_worker: false,
            when: None,
            heeds_server: true,
            retries_max: 3,
            delay_ms: 1_000,
            back_off: BackOff::Constant,
            delay_ms_max: 86_400_000,
            jitter_percent: 0,
            total_ms_max: None,
        };
        assert_eq!(retry(""), None);
        assert_eq!(retry("retry: { times: 3 }"), Some(least.clone()));
        let wanted = Retry { on_failure: false, on_timeout: false, when: Some("result.n < 3".into()), ..least.clone() };
        assert_eq!(retry("retry: { times: 3, when: result.n < 3 }"), Some(wanted.clone()));
        let wanted = Retry { on_lost_worker: true, heeds_server: false, ..wanted };
        let text = "retry: { times: 3, when: result.n < 3, on: [lost_worker], retry_after: false }";
        assert_eq!(retry(text), Some(wanted));
        let all = "retry: { on: [timeout], times: 5, delay: 2s, backoff: exponential, delay_max: 1m, \
                   jitter_percent: 20, within: 1h }";
        let wanted = Retry {
            on_failure: false,
            retries_max: 5,
            delay_ms: 2_000,
            back_off: BackOff::Exponential,
            delay_ms_max: 60_000,
            jitter_percent: 20,
            total_ms_max: Some(3_600_000),
            ..least
        };
        assert_eq!(retry(all), Some(wanted));
    }

    #[test]
    fn what_is_wrong_is_told_where_it_stands() {
        let cases = [
            ("retry: {}", "actions/a.yaml:3:8: \"retry\" needs \"times\""),
            ("retry: 3", "actions/a.yaml:3:8: expected \"retry\" as a mapping, found a number"),
            ("retry: { times: 0 }", "actions/a.yaml:3:17: \"times\" must be a whole number from 1 to 100"),
            (
                "retry: { times: 1, on: [lost] }",
                "actions/a.yaml:3:25: \"on\" must hold \"failure\", \"timeout\" or \"lost_worker\", found \"lost\"",
            ),
            (
                "retry: { times: 1, on: [] }",
                "actions/a.yaml:3:24: \"on\" names nothing; leave it out, or say \"failure\", \"timeout\" or \"lost_worker\"",
            ),
            ("retry: { times: 1, dealy: 1s }", "actions/a.yaml:3:20: unknown key \"dealy\", did you mean \"delay\"?"),
            ("retry: { times: 1, delay: 2d }", "actions/a.yaml:3:27: \"delay\" must be from 0ms to 1d, found 2d"),
            (
                "retry: { times: 1, when: x == 1 }",
                "actions/a.yaml:3:26: unknown variable `x`; there are `result`, `attempt`, `extracted`",
            ),
            (
                "delivery: at_most_once\nretry: { times: 1 }",
                "actions/a.yaml:4:1: an action with \"delivery: at_most_once\" is never started again: leave \"retry\" out",
            ),
        ];
        for (text, wanted) in cases {
            let text = action(text);
            let files = [("pack.yaml", "name: p\nversion: 1.0.0\n"), ("actions/a.yaml", text.as_str())];
            assert_eq!(problems(vec![source("", &files)]).to_string(), wanted);
        }
    }
}
