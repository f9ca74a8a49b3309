//! From text to a syntax tree, within limits.

use cel::common::ast::{EntryExpr, Expr as Node, SourceInfo};
use cel::parser::Expression;

use super::lex::outside_strings;
use super::place::Places;
use super::{Mistake, Parsed};
use crate::limits::{
    CRITERIA_BYTES_MAX, CRITERIA_DEPTH_MAX, CRITERIA_ERRORS_MAX, CRITERIA_NESTING_MAX, PARSER_STACK_BYTES,
};

pub(super) fn parse(source: &str) -> Result<Parsed, Vec<Mistake>> {
    within_limits(source).map_err(|m| vec![m])?;
    let (root, info) = syntax_tree(source)?;
    if is_too_deep(&root) {
        let message =
            format!("the expression is nested more than {CRITERIA_DEPTH_MAX} deep; use `in` or shorter chains");
        return Err(vec![Mistake { offset: 0, message }]);
    }
    Ok(Parsed { root, source: source.into(), places: Some(Places::new(&info)) })
}

/// Whether a tree is deeper than the compiler goes.
pub(super) fn is_too_deep(root: &Expression) -> bool {
    deeper_than(root, CRITERIA_DEPTH_MAX)
}

pub(super) fn on_parser_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let builder = std::thread::Builder::new().name("cel-parser".into()).stack_size(PARSER_STACK_BYTES);
    std::thread::scope(|scope| match builder.spawn_scoped(scope, work) {
        Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        // The system has no thread to give; nothing here can go on.
        Err(e) => panic!("cannot start the parser's thread: {e}"),
    })
}

fn syntax_tree(source: &str) -> Result<(Expression, SourceInfo), Vec<Mistake>> {
    // The parser is a library's: whatever it panics on is a mistake in the expression. An environment
    // without macros leaves them as the calls that they are written as.
    let parsed = std::panic::catch_unwind(|| {
        let parser = cel::Env::default().parser().enable_optional_syntax(true).enable_ident_escape_syntax(true);
        parser.parse_with_source_info(source)
    });
    match parsed {
        Ok(Ok(parsed)) => Ok(parsed),
        Ok(Err(errors)) => Err(syntax_mistakes(source, errors)),
        Err(_) => Err(vec![Mistake { offset: 0, message: "the expression cannot be parsed".into() }]),
    }
}

/// Checks what must hold before the parser may see it.
pub(super) fn within_limits(source: &str) -> Result<(), Mistake> {
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
    // The parser quotes what it has read, which may be everything.
    let short: String = short.chars().take(MESSAGE_CHARS_MAX).collect();
    format!("syntax error: {short}")
}

/// Longest message of the parser that is handed on.
const MESSAGE_CHARS_MAX: usize = 200;

/// Characters before a line and column of the parser, which count from 1.
fn offset_of(source: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line - 1).unwrap_or(0);
    let before: usize = source.split_inclusive('\n').take(line).map(|l| l.chars().count()).sum();
    before + usize::try_from(column - 1).unwrap_or(0)
}

fn deeper_than(expr: &Expression, left: usize) -> bool {
    let mut deeper = left == 0;
    if !deeper {
        each_child(expr, &mut |child| deeper = deeper || deeper_than(child, left - 1));
    }
    deeper
}

/// Visits the nodes directly below this one.
pub(super) fn each_child<'e>(expr: &'e Expression, visit: &mut dyn FnMut(&'e Expression)) {
    match &expr.expr {
        Node::Select(select) => visit(&select.operand),
        Node::Call(call) => call.target.as_deref().into_iter().chain(&call.args).for_each(visit),
        Node::List(list) => list.elements.iter().for_each(visit),
        Node::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    visit(&entry.key);
                    visit(&entry.value);
                }
            }
        }
        Node::Struct(message) => {
            for entry in &message.entries {
                if let EntryExpr::StructField(field) = &entry.expr {
                    visit(&field.value);
                }
            }
        }
        Node::Comprehension(c) => {
            [&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result].into_iter().for_each(visit);
        }
        Node::Ident(_) | Node::Literal(_) | Node::Unspecified => {}
    }
}
