//! The tests, and the two lists beside them.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value as Json;

/// Tests that do not apply, as `id: what is named`.
pub(crate) const INAPPLICABLE: &str = include_str!("inapplicable.txt");
/// Tests that apply and do not pass, as `id: reason`. Lines that begin with # are comments.
const SKIPPED: &str = include_str!("skipped.txt");

/// How many tests the pinned version has: fewer would be a conversion gone wrong.
const TESTS: usize = 2344;

/// Everything.
pub(crate) struct Suite {
    /// The tests in the specification's order.
    pub(crate) cases: Vec<Case>,
    /// The inapplicable tests as the script found them, in the form of [`INAPPLICABLE`].
    pub(crate) found_inapplicable: String,
    /// Reasons by id.
    pub(crate) skipped: BTreeMap<&'static str, &'static str>,
}

/// One test.
pub(crate) struct Case {
    /// `file/section/name`; the second of the same name has `#2` behind it.
    pub(crate) id: String,
    pub(crate) file: String,
    pub(crate) expr: String,
    /// The namespace in which names are looked for first.
    pub(crate) container: Option<String>,
    /// Values by variable, as the Protocol Buffers of the specification look in JSON.
    pub(crate) bindings: Vec<(String, Json)>,
    pub(crate) expected: Expected,
    pub(crate) applies: bool,
}

/// What a test demands.
pub(crate) enum Expected {
    /// This value.
    Value(Json),
    /// Any error; this is the text that cel-go's has.
    Error(String),
    /// A static type: nothing is evaluated.
    CheckOnly,
}

impl Suite {
    /// Reads what the set-up brought.
    pub(crate) fn load() -> Result<Suite> {
        let found_inapplicable = read("inapplicable.txt")?;
        let tests: Json = serde_json::from_str(&read("tests.json")?).context("tests.json")?;
        let inapplicable: HashSet<&str> = pairs(INAPPLICABLE).map(|(id, _)| id).collect();
        let tests = tests.as_array().context("tests.json is no list")?;
        let cases: Vec<Case> = tests.iter().map(|test| case(test, &inapplicable)).collect::<Result<_>>()?;
        ensure!(cases.len() == TESTS, "tests.json has {} tests, not {TESTS}", cases.len());
        Ok(Suite { cases, found_inapplicable, skipped: pairs(SKIPPED).collect() })
    }
}

fn read(name: &str) -> Result<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/dev/cel-spec");
    let file = dir.join(name);
    fs::read_to_string(&file).with_context(|| format!("no {}; run: cargo xtask deps --cel-spec", file.display()))
}

/// The `id: text` lines of a list.
fn pairs(list: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    // Without a reason the line is reported as naming no test.
    lines.map(|line| line.split_once(": ").unwrap_or((line, "")))
}

fn case(test: &Json, inapplicable: &HashSet<&str>) -> Result<Case> {
    let text = |key: &str| test[key].as_str().map(str::to_owned);
    let id = text("id").context("a test without an id")?;
    let expected = match &test["expected"] {
        Json::Object(expected) => match expected.iter().next() {
            Some((kind, value)) if kind == "value" => Expected::Value(value.clone()),
            Some((kind, Json::String(error))) if kind == "error" => Expected::Error(error.clone()),
            Some((kind, _)) if kind == "checkOnly" => Expected::CheckOnly,
            _ => bail!("{id}: what is expected?"),
        },
        _ => bail!("{id}: nothing expected"),
    };
    let bindings = test["bindings"].as_object().with_context(|| format!("{id}: no bindings"))?;
    Ok(Case {
        file: text("file").with_context(|| format!("{id}: no file"))?,
        expr: text("expr").with_context(|| format!("{id}: no expression"))?,
        container: text("container"),
        bindings: bindings.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        expected,
        applies: !inapplicable.contains(id.as_str()),
        id,
    })
}
