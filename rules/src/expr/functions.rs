//! The functions that expressions may call: CEL's standard library, and our own versions of two.

use std::any::Any;
use std::cell::Cell;
use std::sync::{Arc, LazyLock};

use cel::common::types::{CelBool, CelList, CelMap, CelString, DYN_TYPE, STRING_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{Env, ExecutionError};
use regex::{Regex, RegexBuilder};

use crate::limits::{CRITERIA_STEPS_MAX, REGEX_BYTES_MAX};

/// What the range of every comprehension is wrapped in: counts its steps and puts maps in order.
pub(super) const RANGE: &str = "@range";
/// What `matches` with a literal pattern becomes.
pub(super) const MATCHES: &str = "@matches";

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
    let range = env.add_overload(RANGE, "petrel_range", vec![DYN_TYPE], range);
    let matches = env.add_overload(MATCHES, "petrel_matches", vec![STRING_TYPE, DYN_TYPE], matches);
    debug_assert!(range.is_ok() && matches.is_ok(), "no other function has a name with @");
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
