//! From characters to words, numbers, texts and symbols.

use super::escapes::decode;
use super::operators::{SYMBOLS, is_word};
use crate::error::ParseError;
use crate::value::{Value, str_text};

/// A token and where it begins, in characters.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) position: usize,
}

#[derive(Clone)]
pub(crate) enum TokenKind {
    /// `$name`, with the `$`.
    Variable(String),
    Constant(Value),
    Keyword(String),
    /// A name with the `(` right behind it.
    Function(String),
    /// An operator that is a symbol or a word, `[`, `{`, or `=>`.
    Operator(&'static str),
    /// One of `()],}`.
    Mark(char),
}

impl TokenKind {
    /// The token as messages have it.
    pub(crate) fn text(&self) -> String {
        match self {
            TokenKind::Variable(text) | TokenKind::Keyword(text) | TokenKind::Function(text) => text.clone(),
            TokenKind::Constant(value) => str_text(value),
            TokenKind::Operator(symbol) => (*symbol).to_owned(),
            TokenKind::Mark(mark) => mark.to_string(),
        }
    }
}

/// Gives the tokens of a text one by one: what is wrong behind the place where the grammar ends does not count.
pub(crate) struct Lexer {
    characters: Vec<char>,
    position: usize,
}

impl Lexer {
    pub(crate) fn new(text: &str) -> Lexer {
        Lexer { characters: text.chars().collect(), position: 0 }
    }

    /// The next token; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Token>, ParseError> {
        while matches!(self.peek(0), Some(' ' | '\t' | '\r' | '\n')) {
            self.position += 1;
        }
        let position = self.position;
        let Some(first) = self.peek(0) else { return Ok(None) };
        let kind = match first {
            '$' => {
                let end = self.word_end(position + 1);
                Some(TokenKind::Variable(self.take(end)))
            }
            '0'..='9' => self.number()?,
            '\'' | '"' | '`' => self.quoted(first)?,
            _ if is_word_character(first) && !first.is_numeric() => self.word(),
            '(' | ')' | ']' | ',' | '}' => {
                self.position += 1;
                Some(TokenKind::Mark(first))
            }
            _ => self.symbol(),
        };
        match kind {
            Some(kind) => Ok(Some(Token { kind, position })),
            None => Err(ParseError::lexical(first, position)),
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.position + ahead).copied()
    }

    fn take(&mut self, end: usize) -> String {
        let text = self.characters[self.position..end].iter().collect();
        self.position = end;
        text
    }

    fn word_end(&self, from: usize) -> usize {
        let word = self.characters[from..].iter().take_while(|character| is_word_character(**character));
        from + word.count()
    }

    /// A word: with `(` right behind it a call, whatever it means else.
    fn word(&mut self) -> Option<TokenKind> {
        let start = self.position;
        let end = self.word_end(start);
        if self.characters.get(end) == Some(&'(') {
            let name = self.take(end);
            self.position += 1;
            return Some(TokenKind::Function(name));
        }
        if self.characters[start..].starts_with(&['_', '_']) {
            return None;
        }
        let word = self.take(end);
        Some(match word.as_str() {
            "true" => TokenKind::Constant(Value::Bool(true)),
            "false" => TokenKind::Constant(Value::Bool(false)),
            "null" => TokenKind::Constant(Value::Null),
            "mod" => TokenKind::Operator("mod"),
            "in" => TokenKind::Operator("in"),
            "not" => TokenKind::Operator("not"),
            "and" => TokenKind::Operator("and"),
            "or" => TokenKind::Operator("or"),
            _ => {
                debug_assert!(!is_word(&word));
                TokenKind::Keyword(word)
            }
        })
    }

    /// Digits, with a fraction if digits follow the point. A letter must not follow.
    fn number(&mut self) -> Result<Option<TokenKind>, ParseError> {
        let start = self.position;
        let digits = |from: usize| from + self.characters[from..].iter().take_while(|c| c.is_ascii_digit()).count();
        let whole = digits(start);
        let ends = |end: usize| !self.characters.get(end).copied().is_some_and(is_word_character);
        let fraction = if self.characters.get(whole) == Some(&'.') { digits(whole + 1) } else { whole };
        if fraction > whole + 1 && ends(fraction) {
            let text = self.take(fraction);
            return Ok(text.parse().ok().map(|value| TokenKind::Constant(Value::Float(value))));
        }
        if !ends(whole) {
            return Ok(None);
        }
        let text = self.take(whole);
        match text.parse() {
            Ok(value) => Ok(Some(TokenKind::Constant(Value::Int(value)))),
            Err(_) => {
                let message = format!("the number at position {start} has more than 128 bits");
                Err(ParseError::new("OverflowError", message, Some(start)))
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Option<TokenKind>, ParseError> {
        let start = self.position;
        let mut at = start + 1;
        loop {
            match self.characters.get(at) {
                None => return Ok(None),
                // What is escaped is part of the text, but the end of a line cannot be.
                Some('\\') if self.characters.get(at + 1).is_none_or(|next| *next == '\n') => return Ok(None),
                Some('\\') => at += 2,
                Some(end) if *end == quote => break,
                Some(_) => at += 1,
            }
        }
        let inner: String = self.characters[start + 1..at].iter().collect();
        self.position = at + 1;
        let text = if quote == '`' { inner.replace("\\`", "`") } else { decode(&inner, start)? };
        Ok(Some(TokenKind::Constant(Value::string(text))))
    }

    fn symbol(&mut self) -> Option<TokenKind> {
        let symbol = SYMBOLS
            .iter()
            .find(|symbol| symbol.chars().enumerate().all(|(ahead, character)| self.peek(ahead) == Some(character)))?;
        self.position += symbol.len();
        Some(TokenKind::Operator(symbol))
    }
}

fn is_word_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}
