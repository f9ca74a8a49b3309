//! Whether Jinja's own parser would take a text, and what it would say else.
//!
//! The engine behind [`super`] has a parser, but other words for mistakes, and takes some texts that Jinja refuses. What
//! an inspection reports is compared with what Orquesta reports, so the grammar of Jinja 3.1 stands here, without its
//! trees. It also holds the limit of nesting, before the engine's parser recurses.
//!
//! Reading order: `lexer` (text into tokens), `parser` (the stream and its messages), `expressions`, `statements`.

mod expressions;
mod lexer;
mod parser;
mod statements;

use lexer::State;
use parser::Parser;

/// What is wrong with a whole text, if anything is.
pub(super) fn template_mistake(text: &str) -> Option<String> {
    Parser::new(text, State::Data).and_then(|mut parser| parser.template()).err().map(|mistake| mistake.0)
}

/// What is wrong with the beginning of a single expression; what follows it is not looked at, as Orquesta does not.
pub(super) fn expression_mistake(text: &str) -> Option<String> {
    Parser::new(text, State::Print).and_then(|mut parser| parser.expression()).err().map(|mistake| mistake.0)
}

/// Jinja's word for what follows an expression that is to be evaluated. Its inspections do not look for that.
pub(in crate::expression) const CHUNK: &str = "chunk after expression";

/// What is wrong with a single expression that is to be evaluated: something may not follow it.
pub(super) fn whole_expression_mistake(text: &str) -> Option<String> {
    let parsed = Parser::new(text, State::Print).and_then(|mut parser| {
        parser.expression()?;
        parser.end_of_expression()
    });
    parsed.err().map(|mistake| mistake.0)
}
