//! What expressions of rules and of actions may name.

use crate::compile::Names;

/// Criteria and parameters of rules: `trigger`, and by number `now` and `kv`.
pub const RULE: Names<'static> = Names { event: Some("trigger"), vars: &["now", "kv"] };

/// Commands and texts of actions: by number `parameters`, `execution` and `secret`.
pub(crate) const ACTION: Names<'static> = Names { event: None, vars: &["parameters", "execution", SECRET] };

/// What an action's file takes of its result: by number `result`.
pub(crate) const RESULT: Names<'static> = Names { event: None, vars: &["result"] };

/// What says whether another attempt follows: by number `result`, `attempt` and `extracted`.
pub(crate) const ATTEMPT: Names<'static> = Names { event: None, vars: &["result", "attempt", "extracted"] };

/// What secrets are named under: `secret.<space>.<name>`.
pub(crate) const SECRET: &str = "secret";
