//! What is fuzzed. A target panics where something is wrong, and says in what way it answered.

use std::sync::LazyLock;

use petrel_cel::Paths;
use petrel_cel::compile::{Names, on_parser_thread, parse, parse_quickly};
use petrel_rules::{InvalidJson, Kv, Matcher, RuleIndex, RuleSet, RuleSource, TriggerSchema, Verdict};
use serde_json::Value;

/// Deepest documents that are judged as serde_json judges them, whose own limit is near ours.
const DEPTH_COMPARED_MAX: usize = 120;
/// Longest literal that is compared with what was extracted, in bytes.
const LITERAL_BYTES_MAX: usize = 1_000;

const EVENTS: [&str; 3] = [
    "{}",
    "[1, \"a\", null]",
    r#"{"a":1,"b":{"c":["x",2.5,null,{"a":true}],"é":"é🐱"},"s":"db-1","l":[3,1,2],"t":"2001-02-03T04:05:06Z"}"#,
];

fn rule_set(criteria: &[&str]) -> Result<RuleSet, Vec<petrel_rules::CompileError>> {
    let source = |(at, text): (usize, &&str)| RuleSource {
        rule: format!("fuzz.r{at}").into(),
        criteria: Some((*text).to_owned()),
    };
    RuleSet::compile(&TriggerSchema::none(), criteria.iter().enumerate().map(source))
}

/// A way to the answers: `Matcher::run` or `Matcher::scan`.
type Ask =
    fn(&mut Matcher, &RuleSet, &[u8], i64, &Kv, &mut dyn FnMut(RuleIndex, Verdict<'_>)) -> Result<(), InvalidJson>;

/// What every rule says.
fn answers(set: &RuleSet, event: &[u8]) -> Result<Vec<(usize, String)>, String> {
    asked(Matcher::scan, set, event)
}

fn asked(ask: Ask, set: &RuleSet, event: &[u8]) -> Result<Vec<(usize, String)>, String> {
    asked_of(&mut Matcher::new(), ask, set, event)
}

fn asked_of(matcher: &mut Matcher, ask: Ask, set: &RuleSet, event: &[u8]) -> Result<Vec<(usize, String)>, String> {
    let mut heard = Vec::new();
    let on = &mut |index: RuleIndex, verdict: Verdict<'_>| {
        let answer = match verdict {
            Verdict::True => "true",
            Verdict::False => "false",
            Verdict::Missing(_) => "missing",
            Verdict::Error(fault) => fault.code(),
        };
        heard.push((index.0, answer.to_owned()));
    };
    let ran = ask(matcher, set, event, 0, &Kv::empty(), on);
    heard.sort();
    ran.map(|()| heard).map_err(|e| e.to_string())
}

/// Text as a criterion: it compiles, and then runs, or has mistakes that stand somewhere in it.
pub fn compile(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    on_parser_thread(|| parsers_agree(&text));
    let errors = match rule_set(&[&text]) {
        Ok(set) => return EVENTS.map(|event| format!("{:?}", answers(&set, event.as_bytes()).unwrap())).concat(),
        Err(errors) => errors,
    };
    assert!(!errors.is_empty(), "a refusal has a reason");
    for error in &errors {
        assert_eq!(error.at, "fuzz.r0");
        assert!(!error.message.is_empty());
        let line = text.split('\n').nth(error.line as usize - 1);
        let columns = line.map_or(0, |line| line.chars().count() + 1);
        assert!((1..=columns).contains(&(error.column as usize)), "{error:?} stands behind its line");
    }
    // Names differ, kinds of mistakes do not.
    let mut kinds: Vec<String> = errors.iter().map(|error| outside_quotes(&error.message)).collect();
    kinds.dedup();
    kinds.join(";")
}

/// The parser for very many rules accepts what the other one does, and both give the same expression.
fn parsers_agree(text: &str) {
    let [quick, thorough] = [parse_quickly, parse].map(|parser| {
        let names = Names { event: Some("trigger"), vars: &["now", "kv"] };
        let compiled = parser(text).and_then(|parsed| parsed.compile(names, &mut Paths::new(), None));
        compiled.map(|compiled| format!("{:?}", compiled.expr))
    });
    assert_eq!(quick, thorough, "{text:?}");
}

fn outside_quotes(message: &str) -> String {
    message.split(['`', '"', '\'']).step_by(2).take(2).collect()
}

/// Sets that read nothing, everything, and some paths.
static READERS: LazyLock<[RuleSet; 4]> = LazyLock::new(|| {
    let sets: [&[&str]; 4] = [
        &["true"],
        &["trigger == trigger"],
        &["trigger.a == 1", "trigger.a.b == 'x'", "has(trigger.b.c)", "trigger.d > 1"],
        &["trigger.a.exists(x, x == 1)", "trigger.b.c.startsWith('x')", "trigger.a[0] == null"],
    ];
    sets.map(|criteria| rule_set(criteria).expect("the rules are right"))
});

/// Bytes as an event: JSON or not as serde_json says, whatever is read of it, and with its values.
pub fn extract(input: &[u8]) -> String {
    let ours = READERS.each_ref().map(|set| answers(set, input));
    let taken = ours[0].is_ok();
    assert_eq!(asked(Matcher::run, &READERS[0], input).is_ok(), taken, "what is JSON depends on the index");
    assert!(ours.iter().all(|answer| answer.is_ok() == taken), "what is JSON depends on what is read: {ours:?}");
    if !taken {
        let told = ours.each_ref().map(|answer| answer.as_ref().err());
        assert!(told.iter().all(|error| *error == told[0]), "what is wrong depends on what is read: {told:?}");
    }
    check_warm(input);
    if depth(input) <= DEPTH_COMPARED_MAX {
        let theirs = serde_json::from_slice::<Value>(input);
        // Near the largest double, serde_json's rounding takes a finite number for an infinite one.
        let rounded = |error: &serde_json::Error| error.to_string().starts_with("number out of range");
        let same = taken == theirs.is_ok() || (taken && theirs.as_ref().is_err_and(rounded));
        assert!(same, "ours: {:?}, serde_json's: {theirs:?}", ours[0]);
        if let Ok(value) = theirs {
            check_values(input, &value);
        }
    }
    format!("{ours:?}")
}

/// What was seen before never changes an answer: one matcher sees the event, near misses of it and others, for
/// all sets in turn.
fn check_warm(input: &[u8]) {
    let third = input.len() / 3;
    let (start, end) = (&input[..third], &input[input.len() - third..]);
    let near = [[start, end].concat(), [start, input].concat(), [&input[..input.len() - third], b"}"].concat()];
    let others = EVENTS.iter().map(|event| event.as_bytes());
    let mut warm = Matcher::new();
    for event in [input, input].into_iter().chain(near.iter().map(Vec::as_slice)).chain(others).chain([input]) {
        for set in READERS.iter() {
            let told = || String::from_utf8_lossy(event).into_owned();
            assert_eq!(asked_of(&mut warm, Matcher::scan, set, event), answers(set, event), "warm: {}", told());
        }
    }
}

/// Most that brackets can be nested, those in strings included.
fn depth(input: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut most = 0;
    for byte in input {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

/// The document, and its member `a`, are what serde_json reads.
fn check_values(input: &[u8], value: &Value) {
    if has_double(value) {
        return check_double(input);
    }
    let mut criteria = vec![format!("trigger == {}", literal(value))];
    if let Some(member) = value.get("a") {
        criteria.push(format!("trigger.a == {}", literal(member)));
    }
    criteria.retain(|text| text.len() <= LITERAL_BYTES_MAX && depth(text.as_bytes()) < 20);
    let criteria: Vec<&str> = criteria.iter().map(String::as_str).collect();
    let set = rule_set(&criteria).unwrap_or_else(|errors| panic!("{criteria:?}: {errors:?}"));
    let heard = answers(&set, input).unwrap();
    let all_true = heard.len() == criteria.len() && heard.iter().all(|(_, answer)| answer == "true");
    assert!(all_true, "{criteria:?}: {heard:?}");
}

/// serde_json rounds some doubles wrongly as this workspace has it; the standard library does not.
fn check_double(input: &[u8]) {
    let Some(double) = std::str::from_utf8(input).ok().and_then(|text| text.trim().parse::<f64>().ok()) else { return };
    let set = rule_set(&[&format!("trigger == {double:?}")]).expect("doubles are literals");
    assert_eq!(answers(&set, input).unwrap(), [(0, "true".to_owned())], "{double:?}");
}

fn has_double(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(list) => list.iter().any(has_double),
        Value::Object(map) => map.values().any(has_double),
        _ => false,
    }
}

/// A JSON value in CEL.
fn literal(value: &Value) -> String {
    match value {
        Value::Number(number) if number.is_u64() && !number.is_i64() => format!("{number}u"),
        Value::Array(list) => format!("[{}]", list.iter().map(literal).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let member = |(name, value): (&String, &Value)| format!("{}: {}", text(name), literal(value));
            format!("{{{}}}", map.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        Value::String(string) => text(string),
        other => other.to_string(),
    }
}

/// A string in CEL, with everything strange by its number.
fn text(string: &str) -> String {
    let escaped = string.chars().map(|c| match c {
        ' '..='~' if !['"', '\\'].contains(&c) => c.to_string(),
        other => format!("\\U{:08x}", u32::from(other)),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// Rules and an event, separated by tabs, the event last: together the rules answer as each alone, and the
/// index proposes every one that is true.
pub fn matching(input: &[u8]) -> String {
    let parts: Vec<&[u8]> = input.split(|byte| *byte == b'\t').collect();
    let Some((event, rules)) = parts.split_last() else { return String::new() };
    let texts: Vec<String> = rules.iter().take(4).map(|rule| String::from_utf8_lossy(rule).into_owned()).collect();
    let alone: Vec<(&str, RuleSet)> =
        texts.iter().filter_map(|text| Some((text.as_str(), rule_set(&[text]).ok()?))).collect();
    let criteria: Vec<&str> = alone.iter().map(|(text, _)| *text).collect();
    let set = rule_set(&criteria).expect("rules that compile compile together");
    let together = answers(&set, event);
    for (at, (text, set)) in alone.iter().enumerate() {
        let alone = answers(set, event).map(|answers| answers[0].1.clone());
        let together = together.as_ref().map(|answers| answers[at].1.clone());
        assert_eq!(alone.as_ref().ok(), together.as_ref().ok(), "{text}");
    }
    if let Ok(answers) = &together {
        let proposed = asked(Matcher::run, &set, event).expect("it is JSON");
        assert!(proposed.iter().all(|answer| answers.contains(answer)), "{proposed:?} of {answers:?}");
        let mut matches = answers.iter().filter(|(_, answer)| answer == "true");
        assert!(matches.all(|answer| proposed.contains(answer)), "{proposed:?} of {answers:?}");
    }
    format!("{together:?}")
}
