//! Evaluates a compiled expression over named values.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cel::common::types::{CelBool, CelTimestamp};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, ExecutionError, Value};
use chrono::{DateTime, Utc};

use super::check::PATTERN_PREFIX;
use super::error::{EvalError, translate};
use super::functions::{ENV, Pattern, reset_steps};
use super::value::from_json;
use super::{Expr, Names};
use crate::event::ParsedEvent;
use crate::json::CelVal;
use crate::kv::Kv;

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A field or a key is not there; holds its name.
    Missing(String),
    /// Something else.
    Error(EvalError),
}

impl From<Failure> for EvalError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Missing(name) => Self::missing_field(&name),
            Failure::Error(error) => error,
        }
    }
}

/// The values that an expression or a template sees.
#[derive(Debug)]
pub struct Scope<'s> {
    names: Names,
    values: Vec<(&'static str, Slot<'s>)>,
}

#[derive(Debug)]
enum Slot<'s> {
    Borrowed(&'s (dyn Val + 's)),
    Owned(CelVal<'s>),
}

impl<'s> Scope<'s> {
    /// What criteria and rules' parameters see: `trigger`, `now` (milliseconds since the epoch, the
    /// record's timestamp) and `kv`.
    pub fn rule(event: &'s ParsedEvent<'_>, now_ms: i64, kv: &'s Kv) -> Self {
        let now = Slot::Owned(Box::new(CelTimestamp::from(instant(now_ms).fixed_offset())));
        let values = vec![("trigger", Slot::Borrowed(event.value())), ("now", now), ("kv", Slot::Borrowed(kv.value()))];
        Self { names: Names::Rule, values }
    }

    /// What an action's command sees: `parameters`, and `execution` with its `id` and `attempt`.
    pub fn action(parameters: &serde_json::Value, execution_id: &str, attempt: u32) -> Self {
        let execution = from_json(&serde_json::json!({"id": execution_id, "attempt": attempt}));
        let values = vec![("parameters", Slot::Owned(from_json(parameters))), ("execution", Slot::Owned(execution))];
        Self { names: Names::Action, values }
    }

    pub(crate) fn names(&self) -> Names {
        self.names
    }

    pub(super) fn get(&self, name: &str) -> Option<&(dyn Val + 's)> {
        self.values.iter().find(|(n, _)| *n == name).map(|(_, slot)| match slot {
            Slot::Borrowed(value) => *value,
            Slot::Owned(value) => value.as_ref(),
        })
    }
}

/// The nearest instant that CEL can hold: years 1 to 9999.
fn instant(ms: i64) -> DateTime<Utc> {
    const MIN_MS: i64 = -62_135_596_800_000;
    const MAX_MS: i64 = 253_402_300_799_999;
    DateTime::from_timestamp_millis(ms.clamp(MIN_MS, MAX_MS)).unwrap_or_default()
}

/// A scope together with the patterns of one expression.
struct Resolver<'s> {
    scope: &'s Scope<'s>,
    patterns: &'s [Pattern],
}

impl VariableResolver for Resolver<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        if let Some(number) = variable.strip_prefix(PATTERN_PREFIX) {
            let pattern = self.patterns.get(number.parse::<usize>().ok()?)?;
            return Some(CowVal::Borrowed(pattern));
        }
        self.scope.get(variable.strip_prefix('.').unwrap_or(variable)).map(CowVal::Borrowed)
    }
}

impl Expr {
    /// Whether the expression is true; a value that is no bool is an error.
    pub fn is_true(&self, scope: &Scope<'_>) -> Result<bool, Failure> {
        self.with_value(scope, |value| match value.downcast_ref::<CelBool>() {
            Some(bool) => Ok(*bool.inner()),
            None => {
                let text = format!("the criterion is a {}, not a bool", value.get_type().name());
                Err(EvalError::new("not_bool", text))
            }
        })
    }

    /// Evaluates and hands the value on.
    pub fn with_value<T>(
        &self,
        scope: &Scope<'_>,
        take: impl FnOnce(&dyn Val) -> Result<T, EvalError>,
    ) -> Result<T, Failure> {
        let resolver = Resolver { scope, patterns: &self.patterns };
        // The interpreter is a library's, and events are anybody's: a panic there must not end a
        // partition. Nothing that it could leave half changed is used again.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut context = Context::with_env(ENV.clone());
            context.set_variable_resolver(&resolver);
            reset_steps();
            match Value::resolve_val(&self.ast, &context) {
                Ok(value) => take(value.as_ref()).map_err(Failure::Error),
                Err(ExecutionError::NoSuchKey(name)) => Err(Failure::Missing(name.to_string())),
                Err(error) => Err(Failure::Error(translate(error))),
            }
        }));
        outcome.unwrap_or_else(|_| Err(Failure::Error(EvalError::new("internal", "the interpreter panicked"))))
    }
}
