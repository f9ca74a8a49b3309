//! From text to a tree.

mod arguments;
mod escapes;
mod lexer;
mod node;
mod operators;
mod parser;

pub(crate) use node::{Call, Node};
pub(crate) use parser::parse;
