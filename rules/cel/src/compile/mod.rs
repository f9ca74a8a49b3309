//! From text to a compiled expression.
//!
//! Reading order: `parse` (limits and syntax; `lex`, `place`), `quick` (the same for very many texts),
//! `resolve` (the walk over the syntax tree: literals, lists, maps), `names` (variables and paths),
//! `operators`, `calls` (functions), `macros`, `fold` (constants, sets; `pattern`, `re2`), and for warnings
//! `types` (what a sub-expression may be) and `check` (what cannot be meant). `hint` suggests.

mod calls;
mod check;
mod fold;
mod hint;
mod lex;
mod macros;
mod names;
mod operators;
mod parse;
pub(crate) mod pattern;
mod place;
mod quick;
mod re2;
mod resolve;
mod types;

use crate::expr::Expr;
use crate::paths::Paths;
use crate::value::Type;
use resolve::Compiler;

pub use lex::outside_strings;

/// The variables that an expression may use.
#[derive(Debug, Clone, Copy)]
pub struct Names<'n> {
    /// The name of the event, whose fields become slots: `trigger`.
    pub event: Option<&'n str>,
    /// The other variables; their places are the numbers in [`crate::expr::Kind::Var`]. One whose name ends in `()` is
    /// written as a call without arguments.
    pub vars: &'n [&'n str],
}

/// What is known of an event's fields, for warnings.
pub trait EventTypes {
    /// What stands at this path.
    fn field(&self, steps: &[&str]) -> Field;
    /// The names of the fields that the schema lists below this path, for suggestions.
    fn names(&self, steps: &[&str]) -> Vec<String>;
}

/// What a schema says of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// Nothing: any value, or none.
    Open,
    /// A value of one of these types, or none.
    Of(Vec<Type>),
    /// No event has it (`additionalProperties: false`, or below a scalar).
    Never,
    /// It is not listed, though other fields beside it are.
    Unlisted,
}

/// A mistake, or a warning, located by a character's offset in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Characters before it.
    pub offset: usize,
    /// What is wrong, for people, with a suggestion where there is one.
    pub message: String,
}

/// A compiled expression, with what was noticed.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The expression.
    pub expr: Expr,
    /// What is allowed but cannot be meant: fields that no event has, comparisons that are never true.
    pub warnings: Vec<Mistake>,
    /// One more warning if the expression is a criterion: its value can never be a bool.
    pub never_bool: Option<Mistake>,
}

/// A parsed expression, its macros not expanded yet. It is `Send` and `Sync`: parsing is the slow part and
/// can be done elsewhere, once per text.
#[derive(Debug)]
pub struct Parsed {
    root: cel::parser::Expression,
    source: Box<str>,
    /// Where nodes stand, if anybody is to ask.
    places: Option<place::Places>,
}

/// Parses a text, to be called through [`on_parser_thread`].
///
/// # Errors
/// What is too long, too deeply nested or no CEL.
pub fn parse(source: &str) -> Result<Parsed, Vec<Mistake>> {
    parse::parse(source)
}

/// Parses one of very many texts: as [`parse`] does, but many times as fast, and without the places of
/// nodes. Compiling finds the same mistakes and warnings at the same places; where there are any, it parses
/// once more for them.
///
/// # Errors
/// As [`parse`].
pub fn parse_quickly(source: &str) -> Result<Parsed, Vec<Mistake>> {
    quick::parse(source).map_or_else(|| parse::parse(source), Ok)
}

/// Runs something that parses expressions on a thread with a stack for it.
pub fn on_parser_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    parse::on_parser_thread(work)
}

impl Parsed {
    /// Resolves names, expands macros, folds constants. Paths that the expression reads are added to
    /// `paths`, also where there are mistakes.
    ///
    /// # Errors
    /// Every mistake, at most [`crate::limits::CRITERIA_ERRORS_MAX`].
    pub fn compile(
        &self,
        names: Names<'_>,
        paths: &mut Paths,
        types: Option<&dyn EventTypes>,
    ) -> Result<Compiled, Vec<Mistake>> {
        self.compile_as(true, names, paths, types)
    }

    /// Like [`Parsed::compile`] without a schema, but an unknown variable or function is no mistake: it is a
    /// fault where it is evaluated, which `||` and `&&` absorb. Rules are never compiled like this; the CEL
    /// specification has expressions evaluated without having been checked.
    ///
    /// # Errors
    /// Every other mistake, at most [`crate::limits::CRITERIA_ERRORS_MAX`].
    pub fn compile_unchecked(&self, names: Names<'_>, paths: &mut Paths) -> Result<Compiled, Vec<Mistake>> {
        self.compile_as(false, names, paths, None)
    }

    fn compile_as(
        &self,
        checked: bool,
        names: Names<'_>,
        paths: &mut Paths,
        types: Option<&dyn EventTypes>,
    ) -> Result<Compiled, Vec<Mistake>> {
        let compiled = Compiler::new(self, checked, names, paths, types).compiled(&self.root);
        let silent = compiled.as_ref().is_ok_and(|of| of.warnings.is_empty() && of.never_bool.is_none());
        if silent || self.places.is_some() {
            return compiled;
        }
        // What is to be told has a place, and only the other parser knows it.
        let located = on_parser_thread(|| parse(&self.source))?;
        Compiler::new(&located, checked, names, paths, types).compiled(&located.root)
    }

    /// The text that was parsed.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Where the token of a node stands in the source, by [`Expr::id`]: characters before it and before
    /// what follows it. The token of `a + b` is the `+`, of `f(x)` and `x.f()` the bracket. Unknown if it was
    /// parsed quickly.
    pub fn place(&self, id: u64) -> Option<(usize, usize)> {
        Some(self.characters(self.places.as_ref()?.token(&self.source, id)?))
    }

    /// Where all of a node stands in the source, by [`Expr::id`]: of `1 + (a.b)` the whole, brackets that
    /// belong to it included. It looks for the node: for explaining, not for the hot path. Unknown if it was
    /// parsed quickly.
    pub fn extent(&self, id: u64) -> Option<(usize, usize)> {
        Some(self.characters(self.places.as_ref()?.extent(&self.source, &self.root, id)?))
    }

    fn characters(&self, (start, end): (usize, usize)) -> (usize, usize) {
        let before = self.source[..start].chars().count();
        (before, before + self.source[start..end].chars().count())
    }
}

#[cfg(test)]
mod render;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_fold;
#[cfg(test)]
mod tests_hostile;
#[cfg(test)]
mod tests_mistakes;
#[cfg(test)]
mod tests_quick;
#[cfg(test)]
mod tests_random;
#[cfg(test)]
mod tests_signatures;
#[cfg(test)]
mod tests_warnings;
