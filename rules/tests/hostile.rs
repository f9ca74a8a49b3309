//! Rules and events made to do harm (rows 10 and 19 to 23 of the bad inputs): each ends in an error or a
//! counted "no match", in little memory, with the process alive.
//!
//! Each case runs in a process of its own, so that an overflowing stack fails one test and not all of
//! them, and so that the peak of its memory is its own.

use std::process::Command;

use petrel_rules::{Kv, Matcher, RuleIndex, RuleSet, RuleSource, TriggerSchema, Verdict};

/// Most memory that a case may ever have had, in bytes, the program itself included.
const PEAK_BYTES_MAX: u64 = 50_000_000;

/// The variable that tells a child which case it is.
const CHILD: &str = "PETREL_HOSTILE_CASE";

/// Runs the case of this test in a child and checks how it ended.
fn alone(test: &str, case: fn()) {
    if std::env::var(CHILD).is_ok_and(|name| name == test) {
        case();
        println!("peak: {}", peak_bytes());
        return;
    }
    let program = std::env::current_exe().unwrap();
    let child = Command::new(program).args(["--exact", test, "--nocapture"]).env(CHILD, test).output().unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{}\n{text}\n{}", child.status, String::from_utf8_lossy(&child.stderr));
    let peak = text.lines().find_map(|line| line.split("peak: ").nth(1)).expect("the child tells its peak");
    let peak: u64 = peak.parse().unwrap();
    println!("{test}: {peak} bytes at most");
    assert!(peak < PEAK_BYTES_MAX, "{test} took {peak} bytes");
}

/// The largest resident size that this process ever had.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux tells the peak");
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

fn compile(criteria: &[&str]) -> Result<RuleSet, Vec<String>> {
    let source = |(at, text): (usize, &&str)| RuleSource {
        rule: format!("hostile.r{at}").into(),
        criteria: Some((*text).to_owned()),
    };
    let sources = criteria.iter().enumerate().map(source);
    RuleSet::compile(&TriggerSchema::none(), sources).map_err(|e| e.iter().map(ToString::to_string).collect())
}

/// What is heard of each rule: `true`, `false`, `missing`, a code, or nothing of what is no candidate.
fn verdicts(set: &RuleSet, event: &str) -> Result<Vec<&'static str>, String> {
    let mut heard = vec![""; set.len()];
    let on = &mut |index: RuleIndex, verdict: Verdict<'_>| {
        heard[index.0] = match verdict {
            Verdict::True => "true",
            Verdict::False => "false",
            Verdict::Missing(_) => "missing",
            Verdict::Error(error) => error.code,
        };
    };
    Matcher::new().run(set, event.as_bytes(), 0, &Kv::empty(), on).map_err(|e| e.to_string())?;
    Ok(heard)
}

/// Row 10.
#[test]
fn deep_events_are_no_json() {
    alone("deep_events_are_no_json", || {
        let sets = ["true", "trigger == trigger", "trigger.a.a.a.a == 1", "trigger.exists(x, x == 1)"];
        for criteria in sets {
            let set = compile(&[criteria]).unwrap();
            for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]"), ("[", ""), ("{\"a\":[", "")] {
                let event = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
                let error = verdicts(&set, &event).unwrap_err();
                assert!(error.contains("too deep"), "{criteria}: {open}: {error}");
            }
        }
    });
}

/// Row 19.
#[test]
fn signs_before_brackets_do_not_explode() {
    alone("signs_before_brackets_do_not_explode", || {
        for sign in ["!!(", "-(", "!(", "--(", "!-("] {
            for count in [31, 63, 64, 1_000] {
                for end in ["", "x"] {
                    compile(&[&format!("{}{end}", sign.repeat(count))]).unwrap_err();
                }
                let whole = format!("{}x{}", sign.repeat(count), ")".repeat(count));
                compile(&[&whole]).unwrap_err();
            }
        }
        let whole = format!("{}true{}", "!!(".repeat(31), ")".repeat(31));
        let set = compile(&[&whole]).unwrap();
        assert_eq!(verdicts(&set, "{}").unwrap(), ["true"], "it is odd, and a rule like any other");
    });
}

/// Row 20.
#[test]
fn deep_rules_are_errors() {
    alone("deep_rules_are_errors", || {
        let shapes = [
            ("(", "true", ")"),
            ("[", "1", "]"),
            ("{1: ", "1", "}"),
            ("trigger[", "1", "]"),
            ("size(", "trigger", ")"),
            ("[1].all(x, ", "true", ")"),
            ("(true && ", "true", ")"),
            ("(1 + ", "1", ")"),
            ("(true ? true : ", "true", ")"),
        ];
        for (open, middle, close) in shapes {
            for depth in [200, 1_000, 100_000] {
                let whole = format!("{}{middle}{}", open.repeat(depth), close.repeat(depth));
                let half = format!("{}{middle}", open.repeat(depth));
                for text in [whole, half] {
                    assert!(!compile(&[&text]).unwrap_err().is_empty(), "{depth} of {open}");
                }
            }
        }
        // Deep without a bracket, within the limit on the text: an error or a rule, but an end.
        for link in [".a", "[0]", " + 1", " * 1", " && true", " || true", " == 1", ".?a", " ? 1 : 1", " in trigger"] {
            let text = format!("trigger{}", link.repeat(8 * 1024 / link.len() - 1));
            if let Ok(set) = compile(&[&text]) {
                verdicts(&set, "{\"a\":{\"a\":1}}").unwrap();
            }
        }
    });
}

/// Row 21.
#[test]
fn a_thousand_million_steps_stop_at_the_budget() {
    alone("a_thousand_million_steps_stop_at_the_budget", || {
        let nested = "trigger.l.all(a, trigger.l.all(b, trigger.l.all(c, a + b + c >= 0)))";
        let filtered = "trigger.l.exists(a, trigger.l.exists(b, size(trigger.l.filter(c, a + b + c < 0)) > 0))";
        let mapped = "trigger.l.map(a, trigger.l.map(b, trigger.l.map(c, a + b + c))).size() == 0";
        let set = compile(&[nested, filtered, mapped, "trigger.l.all(a, a >= 0)"]).unwrap();
        let list: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
        let heard = verdicts(&set, &format!("{{\"l\":[{}]}}", list.join(","))).unwrap();
        assert_eq!(heard, ["steps_exceeded", "steps_exceeded", "steps_exceeded", "true"], "each rule has its own budget");
    });
}

/// Row 22.
#[test]
fn patterns_that_grow_are_rejected() {
    alone("patterns_that_grow_are_rejected", || {
        let patterns = ["a{1000}{1000}", "((a{100}){100}){100}", "(x+x+){1000}{1000}", "(\\\\pL{1000}){1000}", "a{1000000000}"];
        for pattern in patterns {
            let errors = compile(&[&format!("trigger.s.matches(\"{pattern}\")")]).unwrap_err();
            assert_eq!(errors.len(), 1, "{pattern}: {errors:?}");
        }
        // What takes others exponential time takes this engine none to speak of.
        let set = compile(&["trigger.s.matches('^(a+)+$')", "trigger.s.matches('(a|aa)+b')"]).unwrap();
        let heard = verdicts(&set, &format!("{{\"s\":\"{}!\"}}", "a".repeat(100_000))).unwrap();
        assert!(heard.iter().all(|verdict| ["", "false"].contains(verdict)), "{heard:?}");
    });
}

/// Row 23.
#[test]
fn errors_are_counted_and_missing_fields_are_not() {
    alone("errors_are_counted_and_missing_fields_are_not", || {
        let cases = [
            ("1 / trigger.zero == 1", "divide_by_zero"),
            ("1 % trigger.zero == 1", "modulo_by_zero"),
            ("trigger.one / trigger.zero > 0 && true", "divide_by_zero"),
            ("trigger.max + trigger.one > 0", "overflow"),
            ("-trigger.min > 0", "overflow"),
            ("trigger.s + trigger.one == 1", "no_such_overload"),
            ("trigger.s < trigger.one", "no_such_overload"),
            ("size(trigger.one) == 1", "no_such_overload"),
            ("trigger.l[trigger.one] == 1", "index_out_of_bounds"),
            ("int(trigger.s) == 1", "invalid_argument"),
            ("trigger.one", "not_bool"),
            ("trigger.none == 1 || trigger.zero == 1", "missing"),
            ("1 / trigger.zero == 1 || trigger.one == 1", "true"),
            ("trigger.one == 1", "true"),
        ];
        let criteria: Vec<&str> = cases.iter().map(|(text, _)| *text).collect();
        let set = compile(&criteria).unwrap();
        let event =
            r#"{"zero":0,"one":1,"s":"x","l":[1],"max":9223372036854775807,"min":-9223372036854775808}"#;
        let heard = verdicts(&set, event).unwrap();
        for ((text, expected), heard) in cases.iter().zip(&heard) {
            // What the index does not even propose is no match either, and is not heard of.
            let silent = heard.is_empty() && *expected != "true";
            assert!(heard == expected || silent, "{text}: {heard:?}, expected {expected:?}");
        }
        let proposed = heard.iter().filter(|heard| !heard.is_empty()).count();
        assert!(proposed >= 10, "most of these have nothing for an index: {heard:?}");
    });
}

/// Values of an event that are large do not multiply.
#[test]
fn what_is_built_is_bounded() {
    alone("what_is_built_is_bounded", || {
        let criteria = [
            "trigger.l.map(x, trigger.s + trigger.s).size() == 0",
            "trigger.l.map(x, trigger.l).size() == 0",
            "trigger.l.all(x, trigger.s.contains(trigger.s))",
        ];
        let set = compile(&criteria).unwrap();
        let list = vec!["1"; 20].join(",");
        let event = format!("{{\"s\":\"{}\",\"l\":[{list}]}}", "x".repeat(300_000));
        let heard = verdicts(&set, &event).unwrap();
        assert!(["memory_exceeded", "false"].contains(&heard[0]), "{heard:?}");
    });
}
