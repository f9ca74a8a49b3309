//! What stands in the brackets of a call, an index or a literal.

use std::sync::Arc;

use super::lexer::{Token, TokenKind};
use super::node::Node;
use super::parser::{Parser, Tree};
use crate::error::ParseError;

impl Parser<'_> {
    /// Arguments up to the mark that closes them. They can be left out (`f(,1,,2)`) but not at the end; those of the
    /// form `name => value` come last.
    pub(super) fn arguments(&mut self, close: char) -> Result<Vec<Option<Tree>>, ParseError> {
        let mut arguments = Vec::new();
        if self.at_mark(close)? {
            self.next()?;
            return Ok(arguments);
        }
        // A named argument may stand first, or behind a value and no more than one that is left out.
        let mut named_may_follow = true;
        let mut left_out = 0;
        while self.at_mark(',')? {
            self.next()?;
            arguments.push(None);
            named_may_follow = false;
        }
        loop {
            let value = self.value(0)?;
            if named_may_follow && !self.legacy() && self.operator()? == Some("=>") {
                arguments.push(Some(self.mapping(value)?));
                return self.named_arguments(arguments, close);
            }
            arguments.push(Some(value));
            if !self.at_mark(',')? {
                self.expect(close)?;
                return Ok(arguments);
            }
            self.next()?;
            while self.at_mark(',')? {
                self.next()?;
                arguments.push(None);
                left_out += 1;
            }
            named_may_follow = left_out <= 1;
            left_out = 0;
        }
    }

    fn named_arguments(
        &mut self,
        mut arguments: Vec<Option<Tree>>,
        close: char,
    ) -> Result<Vec<Option<Tree>>, ParseError> {
        while self.at_mark(',')? {
            self.next()?;
            let name = self.value(0)?;
            if self.operator()? != Some("=>") {
                return Err(match self.next()? {
                    Some(token) => self.unexpected(&token),
                    None => ParseError::end(),
                });
            }
            arguments.push(Some(self.mapping(name)?));
        }
        self.expect(close)?;
        Ok(arguments)
    }

    fn mapping(&mut self, source: Tree) -> Result<Tree, ParseError> {
        debug_assert!(matches!(self.peek(), Ok(Some(Token { kind: TokenKind::Operator("=>"), .. }))));
        self.next()?;
        let destination = self.value(0)?;
        let depth = 1 + source.depth.max(destination.depth);
        self.within(depth)?;
        Ok(Tree { node: Arc::new(Node::Mapping(source.node, destination.node)), depth })
    }
}
