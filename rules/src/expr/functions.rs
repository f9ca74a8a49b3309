//! The functions that expressions may call: CEL's standard library, and our own versions of two.

use std::any::Any;
use std::cell::Cell;
use std::sync::{Arc, LazyLock};

use cel::common::functions::Function;
use cel::common::types::{
    CelBool, CelInt, CelList, CelMap, CelString, CelTimestamp, DYN_TYPE, Kind, STRING_TYPE, Type,
};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{Env, ExecutionError};
use chrono::{DateTime, Datelike as _, Utc};
use regex::{Regex, RegexBuilder};

use crate::limits::{CRITERIA_STEPS_MAX, REGEX_BYTES_MAX};

/// What the range of every comprehension is wrapped in: counts its steps and puts maps in order.
pub(super) const RANGE: &str = "@range";
/// What `matches` with a literal pattern becomes.
pub(super) const MATCHES: &str = "@matches";
/// What `has` becomes: on a scalar the language says false, where the interpreter has an error.
pub(super) const HAS: &str = "@has";
/// What `timestamp` becomes: strict, and in UTC, which the accessors answer in.
pub(super) const TIMESTAMP: &str = "@timestamp";

/// A function by name, with the numbers of arguments that it takes; a receiver is not counted.
pub(super) struct Known {
    pub name: &'static str,
    pub global: &'static [usize],
    pub member: &'static [usize],
}

const fn known(name: &'static str, global: &'static [usize], member: &'static [usize]) -> Known {
    Known { name, global, member }
}

/// CEL's standard functions. Macros are expanded before anybody asks.
pub(super) const FUNCTIONS: &[Known] = &[
    known("bool", &[1], &[]),
    known("bytes", &[1], &[]),
    known("contains", &[], &[1]),
    known("double", &[1], &[]),
    known("duration", &[1], &[]),
    known("dyn", &[1], &[]),
    known("endsWith", &[], &[1]),
    known("getDate", &[], &[0, 1]),
    known("getDayOfMonth", &[], &[0, 1]),
    known("getDayOfWeek", &[], &[0, 1]),
    known("getDayOfYear", &[], &[0, 1]),
    known("getFullYear", &[], &[0, 1]),
    known("getHours", &[], &[0, 1]),
    known("getMilliseconds", &[], &[0, 1]),
    known("getMinutes", &[], &[0, 1]),
    known("getMonth", &[], &[0, 1]),
    known("getSeconds", &[], &[0, 1]),
    known("int", &[1], &[]),
    known("matches", &[2], &[1]),
    known("size", &[1], &[0]),
    known("startsWith", &[], &[1]),
    known("string", &[1], &[]),
    known("timestamp", &[1], &[]),
    known("type", &[1], &[]),
    known("uint", &[1], &[]),
];

/// Macros of CEL, for suggestions.
pub(super) const MACROS: &[&str] = &["has", "all", "exists", "exists_one", "map", "filter"];

/// Names of types, which are values.
pub(super) const TYPES: &[&str] =
    &["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];

/// The environment of every expression.
pub(super) static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(false);
    for (name, types, function) in [
        (RANGE, vec![DYN_TYPE], range as Function),
        (MATCHES, vec![STRING_TYPE, DYN_TYPE], matches),
        (HAS, vec![DYN_TYPE, STRING_TYPE], has),
        (TIMESTAMP, vec![DYN_TYPE], timestamp),
    ] {
        let declared = env.add_overload(name, name, types, function);
        debug_assert!(declared.is_ok(), "no other function has a name with @");
    }
    Arc::new(env)
});

thread_local! {
    /// Steps that the evaluation on this thread may still take.
    static STEPS_LEFT: Cell<u64> = const { Cell::new(0) };
}

/// Begins an evaluation on this thread.
pub(super) fn reset_steps() {
    STEPS_LEFT.set(CRITERIA_STEPS_MAX);
}

fn range<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let Some(range) = args.pop() else { return Err(ExecutionError::invalid_argument_count(1, 0)) };
    let steps = range.as_sizer().map_or(0, |s| u64::try_from(*s.size().inner()).unwrap_or(0));
    let Some(left) = STEPS_LEFT.get().checked_sub(steps) else {
        STEPS_LEFT.set(0);
        return Err(ExecutionError::function_error(RANGE, "too many steps"));
    };
    // A comprehension over nothing is a step too, or an inner one would be free.
    STEPS_LEFT.set(left.saturating_sub(1));
    match range.downcast_ref::<CelMap<'_>>() {
        Some(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort();
            let keys: Vec<Box<dyn Val + 'v>> = keys.into_iter().map(|k| k.inner().clone_as_boxed()).collect();
            Ok(CowVal::owned(CelList::from(keys)))
        }
        None => Ok(range),
    }
}

fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let text = args.first().and_then(|a| a.downcast_ref::<CelString<'_>>());
    let pattern = args.get(1).and_then(|a| a.downcast_ref::<Pattern>());
    match (text, pattern) {
        (Some(text), Some(pattern)) => Ok(CowVal::owned(CelBool::from(pattern.0.is_match(text.inner())))),
        _ => Err(ExecutionError::no_such_overload("matches", vec![])),
    }
}

fn has<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [value, field] = args.as_slice() else { return Err(ExecutionError::invalid_argument_count(2, args.len())) };
    match value.get_type().kind() {
        Kind::Map => {
            let map = value.as_container().ok_or_else(|| ExecutionError::no_such_overload("has", vec![]))?;
            Ok(CowVal::owned(CelBool::from(map.contains(field.as_ref())?)))
        }
        Kind::List => Err(ExecutionError::no_such_overload("has", vec!["list".to_owned()])),
        _ => Ok(CowVal::owned(CelBool::from(false))),
    }
}

fn timestamp<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let Some(value) = args.pop() else { return Err(ExecutionError::invalid_argument_count(1, 0)) };
    let instant = if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        strict_timestamp(text.inner())
    } else if let Some(seconds) = value.downcast_ref::<CelInt>() {
        DateTime::from_timestamp_secs(*seconds.inner())
    } else if value.downcast_ref::<CelTimestamp>().is_some() {
        return Ok(value);
    } else {
        return Err(ExecutionError::no_such_overload("timestamp", vec![value.get_type().name().to_owned()]));
    };
    match instant.filter(|i| (1..=9999).contains(&i.year())) {
        Some(instant) => Ok(CowVal::owned(CelTimestamp::from(instant.fixed_offset()))),
        None => Err(ExecutionError::function_error("timestamp", "not an RFC 3339 timestamp of the years 1 to 9999")),
    }
}

/// RFC 3339 with a capital `T` and `Z` and without leap seconds; the library takes more.
fn strict_timestamp(text: &str) -> Option<DateTime<Utc>> {
    let strict = text.as_bytes().get(10) == Some(&b'T') && !text.ends_with('z');
    let parsed = DateTime::parse_from_rfc3339(text).ok().filter(|_| strict)?;
    (parsed.timestamp_subsec_nanos() < 1_000_000_000).then(|| parsed.to_utc())
}

/// A compiled pattern as a value that only [`MATCHES`] can use.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Regex);

static PATTERN_TYPE: Type = Type::new_unspecified_type("petrel.pattern");

impl Pattern {
    pub fn compile(pattern: &str) -> Result<Self, String> {
        let regex = RegexBuilder::new(pattern).size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).build();
        regex.map(Self).map_err(|e| match e {
            regex::Error::CompiledTooBig(bytes) => {
                format!("the regular expression is larger than {bytes} bytes when compiled")
            }
            regex::Error::Syntax(text) => {
                format!("invalid regular expression: {}", text.lines().last().unwrap_or_default())
            }
            _ => "invalid regular expression".to_owned(),
        })
    }
}

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        &PATTERN_TYPE
    }

    fn cel_type() -> &'static Type {
        &PATTERN_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Pattern {}
