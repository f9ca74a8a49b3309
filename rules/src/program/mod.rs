//! The criteria of a rule set as programs: compact, evaluated over slots, allocating nothing.
//!
//! A criterion is lowered (`lower`) to `&&`, `||`, `!` and `?:` over *leaves*. A leaf that compares one
//! path with a constant is a few words of code; every other sub-expression is a leaf too, evaluated by
//! `petrel-cel`. The words of all rules stand one behind the other (`code`), strings and other constants
//! are stored once, and behind each leaf stands where to go on (`jump`). Costly leaves (contains, matches, whole sub-expressions) are shared between rules and
//! evaluated once per event (`memo`). `run` evaluates, with `compare`.

mod code;
mod compare;
mod jump;
mod lower;
mod memo;
mod run;

pub(crate) use code::{Builder, Programs};
pub(crate) use lower::flipped;
pub(crate) use memo::Memo;
pub(crate) use run::{Out, Run, Scope};

#[cfg(test)]
mod tests;
