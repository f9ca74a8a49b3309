//! The stream of tokens, and the words for what is wrong with it.

use super::lexer::{Kind, Lexer, State, Token};
use crate::expression::limits::{JINJA_NESTING_MAX, JINJA_OPERATORS_MAX};
use crate::expression::python::quoted;

/// What is wrong, in Jinja's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake(pub String);

/// What is parsed, or why not.
pub(super) type Parsed<T = ()> = Result<T, Mistake>;

/// One text that is parsed.
#[derive(Debug)]
pub(super) struct Parser<'t> {
    lexer: Lexer<'t>,
    pub current: Token<'t>,
    /// How deep what is parsed nests.
    depth: usize,
    /// How many operators the current expression has so far.
    operators: usize,
    /// The tags that are open.
    pub tags: Vec<&'t str>,
    /// For each open block, the tags that would go on with it.
    pub ends: Vec<&'static [&'static str]>,
}

impl<'t> Parser<'t> {
    pub fn new(source: &'t str, state: State) -> Parsed<Self> {
        let mut lexer = Lexer::new(source, state);
        let current = lexer.next()?;
        Ok(Parser { lexer, current, depth: 0, operators: 0, tags: Vec::new(), ends: Vec::new() })
    }

    /// The current token; the stream goes on.
    pub fn advance(&mut self) -> Parsed<Token<'t>> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.current, next))
    }

    /// The token behind the current one.
    pub fn look(&self) -> Parsed<Token<'t>> {
        self.lexer.clone().next()
    }

    pub fn is_operator(&self, text: &str) -> bool {
        self.current.kind == Kind::Operator && self.current.text == text
    }

    pub fn is_name(&self, name: &str) -> bool {
        self.current.kind == Kind::Name && self.current.text == name
    }

    /// Goes on if this operator stands here.
    pub fn skip_operator(&mut self, text: &str) -> Parsed<bool> {
        let here = self.is_operator(text);
        if here {
            self.advance()?;
        }
        Ok(here)
    }

    /// Goes on if this name stands here.
    pub fn skip_name(&mut self, name: &str) -> Parsed<bool> {
        let here = self.is_name(name);
        if here {
            self.advance()?;
        }
        Ok(here)
    }

    pub fn expect_operator(&mut self, text: &str) -> Parsed {
        if self.skip_operator(text)? { Ok(()) } else { Err(self.expected(text)) }
    }

    pub fn expect_name(&mut self, name: &str) -> Parsed {
        if self.skip_name(name)? { Ok(()) } else { Err(self.expected(name)) }
    }

    /// A token of this kind.
    pub fn expect(&mut self, kind: Kind) -> Parsed<Token<'t>> {
        if self.current.kind == kind { self.advance() } else { Err(self.expected(kind_text(kind))) }
    }

    fn expected(&self, what: &str) -> Mistake {
        if self.current.kind == Kind::End {
            return Mistake(format!("unexpected end of template, expected {}.", quoted(what)));
        }
        Mistake(format!("expected token {}, got {}", quoted(what), quoted(self.described())))
    }

    /// How messages call the current token.
    pub fn described(&self) -> &'t str {
        match self.current.kind {
            Kind::Name | Kind::Operator => self.current.text,
            kind => kind_text(kind),
        }
    }

    /// An expression begins that stands by itself.
    pub fn begin_expression(&mut self) {
        self.operators = 0;
    }

    /// One more operator, filter, call or subscript: each of them may put all that stands before it one level deeper.
    pub fn count_operator(&mut self) -> Parsed {
        self.operators += 1;
        if self.operators > JINJA_OPERATORS_MAX {
            return Err(Mistake(format!("the expression has more than {JINJA_OPERATORS_MAX} operators")));
        }
        Ok(())
    }

    /// One level deeper, while `parse` runs.
    pub fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == JINJA_NESTING_MAX {
            return Err(Mistake(format!("it nests deeper than {JINJA_NESTING_MAX} levels")));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// Nothing follows.
    pub fn end_of_expression(&self) -> Parsed {
        if self.current.kind == Kind::End { Ok(()) } else { Err(Mistake(super::CHUNK.to_owned())) }
    }
}

/// How messages call tokens of a kind.
fn kind_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Data => "template data / text",
        Kind::PrintBegin => "begin of print statement",
        Kind::PrintEnd => "end of print statement",
        Kind::BlockBegin => "begin of statement block",
        Kind::BlockEnd => "end of statement block",
        Kind::Name => "name",
        Kind::Text => "string",
        Kind::Integer => "integer",
        Kind::Float => "float",
        Kind::Operator => "operator",
        Kind::End => "end of template",
    }
}
