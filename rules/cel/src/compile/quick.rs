//! The parser for very many texts: the crate `cel`'s second one, which takes a few microseconds where the
//! first takes a hundred.
//!
//! It is not the authority. It tells no places of nodes and expands the standard macros, and its errors are
//! not handed on: whatever it refuses, and whatever has a macro other than `has`, the first parser parses. A
//! text that both accept has the same tree from both, which tests try with all expressions at hand.

use cel::common::ast::Expr as Node;
use cel::parser::{Expression, PrattParser};

use super::Parsed;
use super::parse::{each_child, is_too_deep, within_limits};

/// The tree of a text, or nothing if it is for the first parser to say what it is.
pub(super) fn parse(source: &str) -> Option<Parsed> {
    within_limits(source).ok()?;
    let parsed = std::panic::catch_unwind(|| {
        PrattParser::default().enable_optional_syntax(true).enable_ident_escape_syntax(true).parse(source)
    });
    let root = parsed.ok()?.ok()?;
    (!is_too_deep(&root) && is_as_written(&root)).then(|| Parsed { root, source: source.into(), places: None })
}

/// Whether no macro was expanded but `has`, which the compiler takes either way.
fn is_as_written(node: &Expression) -> bool {
    let mut written = !matches!(node.expr, Node::Comprehension(_));
    each_child(node, &mut |child| written = written && is_as_written(child));
    written
}
