//! docs/RULES.md is true: every example has the result that it names, every function has one, and its limits
//! and codes are those of the code.
//!
//! What is read: blocks of `cel`, with lines `expression  // result`; tables, known by their headings; the
//! `json` blocks called `event`, `kv` and `schema`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use petrel_cel::compile::{Names, on_parser_thread, parse};
use petrel_cel::{Cx, Paths, Timestamp, Type, equal, functions};
use petrel_rules::extract::{Doubles, document};
use petrel_rules::{Arena, Extractor, Fault, Layout, RuleSet, RuleSource, TriggerSchema, limits};

/// The page.
static PAGE: LazyLock<String> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/RULES.md");
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
});

/// `now` of the examples: 2026-02-03T04:30:00Z.
const NOW_MS: i64 = 1_770_093_000_000;

/// Lines of all blocks that begin with this line.
fn block(opening: &str) -> Vec<&'static str> {
    let mut lines = Vec::new();
    let mut open = false;
    for line in PAGE.lines() {
        match line.strip_prefix("```") {
            Some(info) => open = !open && info == opening,
            None if open => lines.push(line),
            None => {}
        }
    }
    assert!(!lines.is_empty(), "no block of {opening}");
    lines
}

/// Rows of all tables whose headings are these. Code stands without its backticks.
fn rows(headings: &[&str]) -> Vec<Vec<String>> {
    let (mut rows, mut wanted) = (Vec::new(), false);
    for line in PAGE.lines() {
        let Some(cells) = cells(line) else {
            wanted = false;
            continue;
        };
        if cells == headings {
            wanted = true;
        } else if wanted && !cells[0].starts_with("---") {
            rows.push(cells);
        }
    }
    assert!(!rows.is_empty(), "no table of {headings:?}");
    rows
}

fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.strip_prefix("| ").or_else(|| line.strip_prefix('|'))?.strip_suffix('|')?;
    // In a table a bar is written with a backslash.
    let inner = inner.replace("\\|", "\u{0}");
    let text = |cell: &str| {
        let cell = cell.trim();
        let code = cell.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')).filter(|code| !code.contains('`'));
        code.unwrap_or(cell).replace('\u{0}', "|")
    };
    Some(inner.split('|').map(text).collect())
}

/// What an expression over the page's event comes to: whether it equals another one, or its fault's code.
fn outcome(expression: &str, expected: &str) -> Result<(), String> {
    let (event, store) = (block("json event").join("\n"), block("json kv").join("\n"));
    let mut paths = Paths::new();
    let mut compile = |text: &str| {
        let names = Names { event: Some("trigger"), vars: &["now", "kv"] };
        let parsed = on_parser_thread(|| parse(text)).map_err(|m| format!("{m:?}"))?;
        parsed.compile(names, &mut paths, None).map(|compiled| compiled.expr).map_err(|m| format!("{m:?}"))
    };
    let expr = compile(expression)?;
    let code = expected.strip_prefix("error ");
    let expected = compile(code.map_or(expected, |_| "null"))?;

    let arena = Arena::new();
    let layout = Layout::new(&paths, Doubles::new(&TriggerSchema::none()));
    let slots = Extractor::new().extract(&layout, event.as_bytes(), &arena).map_err(|e| e.to_string())?;
    let now = Timestamp::from_millis(NOW_MS).ok_or("now is out of range")?;
    let vars = [petrel_cel::Value::Timestamp(now), document(store.as_bytes(), &arena).map_err(|e| e.to_string())?];
    let found = Cx::new(&arena, &paths, slots, &vars).eval(&expr);
    let expected = Cx::new(&arena, &paths, slots, &vars).eval(&expected);
    match (found, code, expected) {
        (Err(fault), Some(code), _) if fault.code() == code => Ok(()),
        (Ok(found), None, Ok(expected)) if equal(&found, &expected) && found.type_of() == expected.type_of() => Ok(()),
        (found, Some(code), _) => Err(format!("{found:?}, not {code}")),
        (found, None, expected) => Err(format!("{found:?}, not {expected:?}")),
    }
}

/// Fails with all that is wrong.
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn check(examples: impl Iterator<Item = (String, String)>) {
    let wrong = |(expression, expected): (String, String)| {
        outcome(&expression, &expected).err().map(|found| format!("{expression}: {found}"))
    };
    none(&examples.filter_map(wrong).collect::<Vec<_>>());
}

#[test]
fn examples_in_blocks() {
    check(block("cel").into_iter().map(|line| {
        let (expression, expected) = line.rsplit_once(" // ").unwrap_or_else(|| panic!("no result: {line}"));
        (expression.trim().to_owned(), expected.trim().to_owned())
    }));
}

#[test]
fn examples_in_tables() {
    for subject in ["Function", "Macro"] {
        let rows = rows(&[subject, "What it is", "Example", "Result"]);
        check(rows.iter().map(|row| (row[2].clone(), row[3].clone())));
    }
}

#[test]
fn every_function_has_an_example() {
    let rows = rows(&["Function", "What it is", "Example", "Result"]);
    let shown: BTreeSet<&str> = rows.iter().map(|row| &*row[0]).filter(|name| !name.is_empty()).collect();
    let known: BTreeSet<&str> = functions().map(|function| function.name).collect();
    assert_eq!(shown, known);
    for row in rows {
        assert!(row[2].contains(&*row[0]), "the example does not call it: {row:?}");
    }
}

#[test]
fn every_code_has_an_example() {
    let mut wrong = Vec::new();
    let rows = rows(&["Code", "When", "Criterion"]);
    for row in &rows {
        // A criterion that has a value is an error all the same if that is no bool.
        let holds = match &*row[0] {
            // Takes many evaluations.
            "quarantined" if row[2] == "–" => Ok(()),
            "not_bool" => outcome(&format!("type({}) != bool", row[2]), "true"),
            code => outcome(&row[2], &format!("error {code}")),
        };
        wrong.extend(holds.err().map(|found| format!("{row:?}: {found}")));
    }
    none(&wrong);
    let shown: BTreeSet<&str> = rows.iter().map(|row| &*row[0]).collect();
    assert_eq!(shown, codes());
}

/// All codes. The list of faults must have them all: one that it lacks does not compile in `next`.
fn codes() -> BTreeSet<&'static str> {
    fn next(fault: Fault<'static>) -> Option<Fault<'static>> {
        Some(match fault {
            Fault::Missing(_) => Fault::NoOverload { function: "", types: [None; 3] },
            Fault::NoOverload { .. } => Fault::DivideByZero,
            Fault::DivideByZero => Fault::ModuloByZero,
            Fault::ModuloByZero => Fault::Overflow(""),
            Fault::Overflow(_) => Fault::IndexOutOfBounds,
            Fault::IndexOutOfBounds => Fault::InvalidArgument { function: "", why: "" },
            Fault::InvalidArgument { .. } => Fault::UnsupportedKey(Type::Null),
            Fault::UnsupportedKey(_) => Fault::DuplicateKey,
            Fault::DuplicateKey => Fault::NotBool(Type::Null),
            Fault::NotBool(_) => Fault::StepsExceeded,
            Fault::StepsExceeded => Fault::MemoryExceeded,
            Fault::MemoryExceeded => Fault::Quarantined,
            Fault::Quarantined => return None,
        })
    }
    std::iter::successors(Some(Fault::Missing("")), |fault| next(*fault)).map(|fault| fault.code()).collect()
}

fn rule_set(criteria: &str, schema: &TriggerSchema) -> RuleSet {
    let rule = RuleSource { rule: "page.example".into(), criteria: Some(criteria.to_owned()) };
    RuleSet::compile(schema, [rule]).unwrap_or_else(|e| panic!("{criteria}: {e:?}"))
}

#[test]
fn what_is_on_the_always_list() {
    for row in rows(&["Criterion", "Found by"]) {
        let always = rule_set(&row[0], &TriggerSchema::none()).stats().always == 1;
        assert_eq!(always, row[1].starts_with("always"), "{row:?}");
    }
}

#[test]
fn warnings() {
    let schema = serde_json::from_str(&block("json schema").join("\n")).unwrap();
    let schema = TriggerSchema::compile(&schema);
    for row in rows(&["Criterion", "Warning"]) {
        let set = rule_set(&row[0], &schema);
        let told: Vec<&str> = set.warnings().map(|warning| &*warning.message).collect();
        assert_eq!(told, [&*row[1]], "{}", row[0]);
    }
}

#[test]
fn limits_are_those_of_the_code() {
    let known = [
        ("CRITERIA_BYTES_MAX", limits::CRITERIA_BYTES_MAX),
        ("CRITERIA_NESTING_MAX", limits::CRITERIA_NESTING_MAX),
        ("CRITERIA_DEPTH_MAX", limits::CRITERIA_DEPTH_MAX),
        ("CRITERIA_ERRORS_MAX", limits::CRITERIA_ERRORS_MAX),
        ("REGEX_BYTES_MAX", limits::REGEX_BYTES_MAX),
        ("STEPS_MAX", limits::STEPS_MAX),
        ("EVAL_BYTES_MAX", limits::EVAL_BYTES_MAX),
        ("BUDGET_FAULTS_MAX", usize::from(limits::BUDGET_FAULTS_MAX)),
        ("RULE_SET_PARTS_MAX", limits::RULE_SET_PARTS_MAX),
        ("RULE_SET_REMOVED_PERCENT_MAX", limits::RULE_SET_REMOVED_PERCENT_MAX),
        ("JSON_DEPTH_MAX", limits::JSON_DEPTH_MAX),
        ("PAYLOAD_BYTES_MAX", limits::PAYLOAD_BYTES_MAX),
        ("ERROR_TEXT_BYTES_MAX", limits::ERROR_TEXT_BYTES_MAX),
        ("CRITERIA_ERROR_ROWS_MAX", limits::CRITERIA_ERROR_ROWS_MAX as usize),
        ("REQUEST_BYTES_MAX", limits::REQUEST_BYTES_MAX),
        ("TRIGGER_WAIT_MS", usize::try_from(limits::TRIGGER_WAIT_MS).unwrap()),
        ("INJECTED_WAIT_MS", usize::try_from(limits::INJECTED_WAIT_MS).unwrap()),
        ("CAUSE_DEPTH_MAX", usize::try_from(limits::CAUSE_DEPTH_MAX).unwrap()),
        ("DEAD_LETTER_HEAD_BYTES_MAX", petrel_bus::DEAD_LETTER_HEAD_BYTES_MAX),
    ];
    let shown = rows(&["Limit", "Name", "Value", "Beyond it"]);
    let shown: Vec<(&str, usize)> = shown.iter().map(|row| (&*row[1], number(&row[2]))).collect();
    assert_eq!(shown, known);
}

/// `8 KiB`, `100,000` or `512 bytes`.
fn number(text: &str) -> usize {
    let (digits, unit) = text.split_once(' ').unwrap_or((text, ""));
    let factor = match unit {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => 1,
    };
    digits.replace(',', "").parse::<usize>().unwrap_or_else(|e| panic!("{text}: {e}")) * factor
}
