//! From tokens to a tree.

use std::sync::Arc;

use super::lexer::{Lexer, Token, TokenKind};
use super::node::{Call, Node};
use super::operators::{INDEX_POWER, binary, unary};
use crate::error::ParseError;
use crate::options::{Dialect, Options};
use crate::value::Value;

/// The tree of an expression.
pub(crate) fn parse(text: &str, options: &Options) -> Result<Arc<Node>, ParseError> {
    let limits = &options.limits;
    if text.len() > limits.text_bytes_max {
        let most = limits.text_bytes_max;
        return Err(ParseError::limit(format!("the expression has more than {most} bytes (text_bytes_max)")));
    }
    let mut parser = Parser { lexer: Lexer::new(text), peeked: None, text, options, depth: 0 };
    let root = parser.value(0)?;
    match parser.next()? {
        None => Ok(root.node),
        Some(token) => Err(parser.unexpected(&token)),
    }
}

pub(super) struct Parser<'t> {
    lexer: Lexer,
    /// The token ahead; `Some(None)` is the end.
    peeked: Option<Option<Token>>,
    text: &'t str,
    options: &'t Options,
    depth: usize,
}

/// A tree and how deep it is.
pub(super) struct Tree {
    pub(super) node: Arc<Node>,
    pub(super) depth: usize,
}

impl Parser<'_> {
    pub(super) fn next(&mut self) -> Result<Option<Token>, ParseError> {
        match self.peeked.take() {
            Some(token) => Ok(token),
            None => self.lexer.next(),
        }
    }

    pub(super) fn peek(&mut self) -> Result<Option<&Token>, ParseError> {
        if self.peeked.is_none() {
            self.peeked = Some(self.lexer.next()?);
        }
        Ok(self.peeked.as_ref().and_then(Option::as_ref))
    }

    pub(super) fn unexpected(&self, token: &Token) -> ParseError {
        ParseError::unexpected(&token.kind.text(), token.position, self.text)
    }

    pub(super) fn legacy(&self) -> bool {
        self.options.dialect == Dialect::Legacy
    }

    /// Whether the next token is this mark.
    pub(super) fn at_mark(&mut self, mark: char) -> Result<bool, ParseError> {
        Ok(matches!(self.peek()?, Some(Token { kind: TokenKind::Mark(next), .. }) if *next == mark))
    }

    /// The text of the next token if it is an operator.
    pub(super) fn operator(&mut self) -> Result<Option<&'static str>, ParseError> {
        Ok(match self.peek()? {
            Some(Token { kind: TokenKind::Operator(symbol), .. }) => Some(symbol),
            _ => None,
        })
    }

    /// A value with every operator behind it that binds tighter than `power`.
    pub(super) fn value(&mut self, power: u8) -> Result<Tree, ParseError> {
        self.depth += 1;
        self.within(self.depth)?;
        let mut left = self.prefix()?;
        loop {
            if let Some(symbol) = self.operator()? {
                if symbol == "[" && INDEX_POWER > power {
                    self.next()?;
                    let mut arguments = vec![Some(left)];
                    arguments.extend(self.arguments(']')?);
                    left = self.call("#indexer", arguments, false)?;
                    continue;
                }
                let Some(operator) = binary(symbol, self.legacy()).filter(|operator| operator.power > power) else {
                    break;
                };
                self.next()?;
                let right = self.value(operator.power - u8::from(operator.right_associative))?;
                left = self.call(operator.function, vec![Some(left), Some(right)], false)?;
                continue;
            }
            // A call binds loosest of all: `2 * $f(3)` calls the product.
            if power == 0 && self.delegates() && self.at_mark('(')? {
                self.next()?;
                let mut arguments = vec![Some(left)];
                arguments.extend(self.arguments(')')?);
                left = self.call("#call", arguments, true)?;
                continue;
            }
            break;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn delegates(&self) -> bool {
        self.options.delegates
    }

    fn prefix(&mut self) -> Result<Tree, ParseError> {
        let Some(token) = self.next()? else { return Err(ParseError::end()) };
        match token.kind {
            TokenKind::Constant(value) => Ok(leaf(Node::Constant(value))),
            TokenKind::Keyword(word) => Ok(leaf(Node::Keyword(word.into()))),
            TokenKind::Variable(name) => {
                let name = leaf(Node::Constant(Value::string(name)));
                self.call("#get_context_data", vec![Some(name)], false)
            }
            TokenKind::Function(name) => {
                let arguments = self.arguments(')')?;
                self.call(&name, arguments, true)
            }
            TokenKind::Mark('(') => {
                let inner = self.value(0)?;
                self.expect(')')?;
                let depth = inner.depth + 1;
                self.within(depth)?;
                Ok(Tree { node: Arc::new(Node::Wrap(inner.node)), depth })
            }
            TokenKind::Operator("[") => {
                let arguments = self.arguments(']')?;
                self.call("#list", arguments, false)
            }
            TokenKind::Operator("{") => {
                let arguments = self.arguments('}')?;
                self.call("#map", arguments, false)
            }
            TokenKind::Operator(symbol) => match unary(symbol) {
                Some((function, power)) => {
                    // One more or less than its own power makes no difference: no operator between has it.
                    let operand = self.value(power - 1)?;
                    self.call(function, vec![Some(operand)], false)
                }
                None => Err(self.unexpected(&token)),
            },
            TokenKind::Mark(_) => Err(self.unexpected(&token)),
        }
    }

    pub(super) fn expect(&mut self, mark: char) -> Result<(), ParseError> {
        match self.next()? {
            Some(Token { kind: TokenKind::Mark(next), .. }) if next == mark => Ok(()),
            Some(token) => Err(self.unexpected(&token)),
            None => Err(ParseError::end()),
        }
    }

    /// Whether a tree may be this deep.
    pub(super) fn within(&self, depth: usize) -> Result<(), ParseError> {
        let most = self.options.limits.nesting_max;
        if depth > most {
            return Err(ParseError::limit(format!("the expression nests more than {most} deep (nesting_max)")));
        }
        Ok(())
    }

    fn call(&self, name: &str, arguments: Vec<Option<Tree>>, uses_receiver: bool) -> Result<Tree, ParseError> {
        let depth = 1 + arguments.iter().flatten().map(|argument| argument.depth).max().unwrap_or(0);
        self.within(depth)?;
        let arguments = arguments.into_iter().map(|argument| argument.map(|tree| tree.node)).collect();
        Ok(Tree { node: Arc::new(Node::Call(Call { name: name.into(), arguments, uses_receiver })), depth })
    }
}

pub(super) fn leaf(node: Node) -> Tree {
    Tree { node: Arc::new(node), depth: 1 }
}
