//! From text to a checked expression, within limits.

use std::fmt;

use cel::parser::Expression;

use super::Expr;
use super::check::{Checker, each_child};
use super::functions::ENV;
use super::lex::outside_strings;
use crate::limits::{
    CRITERIA_BYTES_MAX, CRITERIA_DEPTH_MAX, CRITERIA_ERRORS_MAX, CRITERIA_NESTING_MAX, PARSER_STACK_BYTES,
};

/// A mistake in an expression or a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileError {
    /// Where the expression stands: the rule's reference for a criterion, a JSON pointer
    /// (`/parameters/host`) for a template.
    pub at: String,
    /// Line inside that text, from 1.
    pub line: u32,
    /// Column inside that text, in characters, from 1.
    pub column: u32,
    /// What is wrong, for people, with a suggestion where there is one.
    pub message: String,
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.at, self.line, self.column, self.message)
    }
}

impl std::error::Error for CompileError {}

/// A mistake, located by a character's offset.
#[derive(Debug)]
pub(crate) struct Mistake {
    /// Characters before it.
    pub offset: usize,
    pub message: String,
}

/// Variables that an expression may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// `trigger`, `now`, `kv`.
    Rule,
    /// `parameters`, `execution`.
    Action,
}

impl Names {
    pub fn all(self) -> &'static [&'static str] {
        match self {
            Self::Rule => &["trigger", "now", "kv"],
            Self::Action => &["parameters", "execution"],
        }
    }
}

/// Runs something that parses expressions on a thread with a stack for it.
pub(crate) fn on_parser_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let builder = std::thread::Builder::new().name("cel-parser".into()).stack_size(PARSER_STACK_BYTES);
    std::thread::scope(|scope| match builder.spawn_scoped(scope, work) {
        Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        // The system has no thread to give; nothing here can go on.
        Err(e) => panic!("cannot start the parser's thread: {e}"),
    })
}

/// Compiles one expression; to be called on the parser's thread.
pub(crate) fn compile(source: &str, names: Names) -> Result<Expr, Vec<Mistake>> {
    within_limits(source).map_err(|m| vec![m])?;
    // The parser is a library's: whatever it panics on is a mistake in the expression.
    let parsed = std::panic::catch_unwind(|| ENV.parser().parse_with_source_info(source));
    let (mut ast, info) = match parsed {
        Ok(Ok(parsed)) => parsed,
        Ok(Err(errors)) => return Err(syntax_mistakes(source, errors)),
        Err(_) => return Err(vec![Mistake { offset: 0, message: "the expression cannot be parsed".into() }]),
    };
    if deeper_than(&ast, CRITERIA_DEPTH_MAX) {
        let message =
            format!("the expression is nested more than {CRITERIA_DEPTH_MAX} deep; use `in` or shorter chains");
        return Err(vec![Mistake { offset: 0, message }]);
    }
    let mut checker = Checker::new(names, &info);
    checker.check(&mut ast);
    if checker.mistakes.is_empty() {
        return Ok(Expr { ast, patterns: checker.patterns, reads: checker.reads });
    }
    let mut mistakes = checker.mistakes;
    mistakes.truncate(CRITERIA_ERRORS_MAX);
    Err(mistakes)
}

/// Checks what must hold before the parser may see it.
fn within_limits(source: &str) -> Result<(), Mistake> {
    if source.len() > CRITERIA_BYTES_MAX {
        let message = format!("the expression has {} bytes, more than {CRITERIA_BYTES_MAX}", source.len());
        return Err(Mistake { offset: 0, message });
    }
    if source.trim().is_empty() {
        return Err(Mistake { offset: 0, message: "the expression is empty".into() });
    }
    let mut depth = 0_usize;
    for (byte, c) in outside_strings(source) {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > CRITERIA_NESTING_MAX {
            let message = format!("brackets are nested more than {CRITERIA_NESTING_MAX} deep");
            return Err(Mistake { offset: source[..byte].chars().count(), message });
        }
    }
    Ok(())
}

fn syntax_mistakes(source: &str, errors: cel::ParseErrors) -> Vec<Mistake> {
    let mut mistakes: Vec<Mistake> = Vec::new();
    for error in errors.errors {
        let offset = offset_of(source, error.pos);
        // One slip makes the parser complain several times at the same place.
        if mistakes.iter().all(|m| m.offset != offset) {
            mistakes.push(Mistake { offset, message: plain_words(&error.msg) });
        }
    }
    mistakes.truncate(CRITERIA_ERRORS_MAX);
    mistakes
}

/// The parser's message without its lists of token names.
fn plain_words(message: &str) -> String {
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    if message.contains("OtherError") || message.contains("recursion") {
        return "the expression is nested too deeply".into();
    }
    let short = message.split(" expecting ").next().unwrap_or(message);
    let short = short.replace("mismatched input", "unexpected").replace("extraneous input", "unexpected");
    let short = short.replace("token recognition error at:", "unexpected");
    let short = short.replace("no viable alternative at input", "unexpected");
    let short = short.replace("'<EOF>'", "end of the expression");
    format!("syntax error: {short}")
}

/// Characters before a line and column of the parser, which count from 1.
fn offset_of(source: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line - 1).unwrap_or(0);
    let before: usize = source.split_inclusive('\n').take(line).map(|l| l.chars().count()).sum();
    before + usize::try_from(column - 1).unwrap_or(0)
}

/// Line and column, from 1, of a character's offset.
pub(crate) fn position(source: &str, offset: usize) -> (u32, u32) {
    let (mut line, mut column) = (1, 1);
    for c in source.chars().take(offset) {
        (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    (line, column)
}

fn deeper_than(expr: &Expression, left: usize) -> bool {
    let mut deeper = left == 0;
    if !deeper {
        each_child(expr, &mut |child| deeper = deeper || deeper_than(child, left - 1));
    }
    deeper
}
