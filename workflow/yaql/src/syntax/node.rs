//! The tree that an expression is.

use std::sync::Arc;

use crate::value::Value;

/// A part of an expression.
pub(crate) enum Node {
    /// A number, a text in quotes, true, false or null.
    Constant(Value),
    /// A bare word: a name where one is wanted, and else a text.
    Keyword(Arc<str>),
    /// What stands in parentheses.
    Wrap(Arc<Node>),
    /// `a => b`.
    Mapping(Arc<Node>, Arc<Node>),
    /// A call: operators, indexes, literals of lists and dictionaries and variables are calls too.
    Call(Call),
}

/// A call of a function by its name.
pub(crate) struct Call {
    pub(crate) name: Arc<str>,
    /// `None`: left out, as in `f(1,,2)`.
    pub(crate) arguments: Vec<Option<Arc<Node>>>,
    /// Whether it is written as a function, so that it can be a method of what stands before a dot.
    pub(crate) uses_receiver: bool,
}

impl Node {
    /// The constant that this is, also if it is a bare word.
    pub(crate) fn constant(&self) -> Option<Value> {
        match self {
            Node::Constant(value) => Some(value.clone()),
            Node::Keyword(word) => Some(Value::String(Arc::clone(word))),
            Node::Wrap(_) | Node::Mapping(..) | Node::Call(_) => None,
        }
    }

    /// Calls `visit` for this and everything in it.
    pub(crate) fn visit<'a>(&'a self, visit: &mut impl FnMut(&'a Node)) {
        visit(self);
        match self {
            Node::Constant(_) | Node::Keyword(_) => {}
            Node::Wrap(inner) => inner.visit(visit),
            Node::Mapping(source, destination) => {
                source.visit(visit);
                destination.visit(visit);
            }
            Node::Call(call) => call.arguments.iter().flatten().for_each(|argument| argument.visit(visit)),
        }
    }
}
