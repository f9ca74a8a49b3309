//! Everything that an expression calls by name.
//!
//! One file per library, each with a table of its [`Function`]s; [`all`] goes through the tables. A
//! namespaced function (`math.greatest`) is global and has its whole name in the table.

mod call;
mod convert;
mod encoders;
mod glob;
mod json;
mod lists;
mod math;
mod net;
mod optional;
mod out;
mod regex;
mod semver;
mod sets;
mod standard;
mod strings;
#[cfg(test)]
mod tests_standard;
mod time;

use std::fmt;

use crate::eval::Cx;
use crate::fault::Fault;
use crate::value::Value;

pub(crate) use optional::answered_by;

/// How a function is implemented: the receiver, if any, is the first argument. It finds the overload by
/// the types of its arguments, charges what it goes through, and allocates in the arena only.
pub type Call = for<'a, 'c> fn(&'c mut Cx<'a>, &'c [Value<'a>]) -> Result<Value<'a>, Fault<'a>>;

/// A function by name.
pub struct Function {
    /// Its name as it is written, with its namespace: `size`, `math.greatest`.
    pub name: &'static str,
    /// Numbers of arguments that it takes when called as `f(a, b)`.
    pub global: &'static [usize],
    /// Numbers of arguments that it takes when called as `a.f(b)`; the receiver is not counted.
    pub member: &'static [usize],
    pub(crate) call: Call,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The tables of all libraries.
const TABLES: &[&[Function]] = &[
    standard::TABLE,
    convert::TABLE,
    time::TABLE,
    encoders::TABLE,
    glob::TABLE,
    json::TABLE,
    lists::TABLE,
    math::TABLE,
    net::TABLE,
    optional::TABLE,
    regex::TABLE,
    semver::TABLE,
    sets::TABLE,
    strings::TABLE,
];

/// All functions.
pub fn all() -> impl Iterator<Item = &'static Function> {
    TABLES.iter().copied().flatten()
}
