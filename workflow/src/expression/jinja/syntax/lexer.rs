//! Text into tokens.

use super::parser::Mistake;

/// What a token is; those of operators have their text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    PrintBegin,
    PrintEnd,
    BlockBegin,
    BlockEnd,
    Name,
    Text,
    Integer,
    Float,
    Operator,
    End,
}

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub kind: Kind,
    /// As it is written; of no use for data.
    pub text: &'t str,
}

/// What the lexer is within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Text.
    Data,
    /// `{{ … }}`
    Print,
    /// `{% … %}`
    Block,
}

/// Two characters first: the longest is taken.
const OPERATORS: [&str; 27] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",", ";", "",
];

/// Reads one token after the other.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'t> {
    source: &'t str,
    at: usize,
    state: State,
    /// The brackets that are open, each as the one that closes it.
    open: Vec<char>,
}

impl<'t> Lexer<'t> {
    pub fn new(source: &'t str, state: State) -> Self {
        // A last line without text is no line.
        Lexer { source: source.strip_suffix('\n').unwrap_or(source), at: 0, state, open: Vec::new() }
    }

    /// The next token; the last one is [`Kind::End`], again and again.
    pub fn next(&mut self) -> Result<Token<'t>, Mistake> {
        if self.state == State::Data {
            return self.data();
        }
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        let rest = self.rest();
        if rest.is_empty() {
            return Ok(Token { kind: Kind::End, text: "" });
        }
        if self.open.is_empty()
            && let Some(length) = self.closing(rest)
        {
            let kind = if self.state == State::Print { Kind::PrintEnd } else { Kind::BlockEnd };
            self.state = State::Data;
            return Ok(self.take(kind, length));
        }
        if let Some((kind, length)) = number(rest, self.source[..self.at].ends_with('.')) {
            return Ok(self.take(kind, length));
        }
        let name = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        if name > 0 {
            if rest.starts_with(|c: char| c.is_numeric()) {
                return Err(Mistake("Invalid character in identifier".to_owned()));
            }
            return Ok(self.take(Kind::Name, name));
        }
        if let Some(length) = string(rest) {
            return Ok(self.take(Kind::Text, length));
        }
        self.operator(rest)
    }

    fn rest(&self) -> &'t str {
        &self.source[self.at..]
    }

    fn take(&mut self, kind: Kind, length: usize) -> Token<'t> {
        let text = &self.rest()[..length];
        self.at += length;
        Token { kind, text }
    }

    /// Bytes of the delimiter that ends the state, if it stands here, with the space that a dash takes away.
    fn closing(&self, rest: &str) -> Option<usize> {
        let end = if self.state == State::Print { "}}" } else { "%}" };
        let plus = if self.state == State::Block { rest.strip_prefix('+') } else { None };
        let after = plus.or_else(|| rest.strip_prefix('-')).unwrap_or(rest).strip_prefix(end)?;
        let after = if rest.starts_with('-') { after.trim_start() } else { after };
        Some(rest.len() - after.len())
    }

    fn operator(&mut self, rest: &'t str) -> Result<Token<'t>, Mistake> {
        let operator = OPERATORS.iter().find(|operator| rest.starts_with(**operator)).map_or("", |operator| *operator);
        match operator {
            "" => {
                let c = rest.chars().next().unwrap_or_default();
                let place = self.source[..self.at].chars().count();
                let shown = crate::expression::python::quoted(&c.to_string());
                return Err(Mistake(format!("unexpected char {shown} at {place}")));
            }
            "{" => self.open.push('}'),
            "(" => self.open.push(')'),
            "[" => self.open.push(']'),
            "}" | ")" | "]" => match self.open.pop() {
                None => return Err(Mistake(format!("unexpected '{operator}'"))),
                Some(expected) if !operator.starts_with(expected) => {
                    return Err(Mistake(format!("unexpected '{operator}', expected '{expected}'")));
                }
                Some(_) => {}
            },
            _ => {}
        }
        Ok(self.take(Kind::Operator, operator.len()))
    }

    /// Text up to what begins, or what begins here.
    fn data(&mut self) -> Result<Token<'t>, Mistake> {
        loop {
            let rest = self.rest();
            if rest.is_empty() {
                return Ok(Token { kind: Kind::End, text: "" });
            }
            let begin = ["{{", "{%", "{#"].iter().filter_map(|begin| rest.find(begin)).min();
            match begin {
                None => return Ok(self.take(Kind::Data, rest.len())),
                Some(0) => {}
                Some(length) => return Ok(self.take(Kind::Data, length)),
            }
            if let Some(comment) = rest.strip_prefix("{#") {
                let end = comment.find("#}").ok_or_else(|| Mistake("Missing end of comment tag".to_owned()))?;
                self.at += end + 4;
                continue;
            }
            if let Some(body) = tag(rest, "raw") {
                let ends = body.match_indices("{%").find_map(|(at, _)| tag(&body[at..], "endraw"));
                let after = ends.ok_or_else(|| Mistake("Missing end of raw directive".to_owned()))?;
                self.at = self.source.len() - after.len();
                continue;
            }
            let (state, kind) = if rest.starts_with("{{") {
                (State::Print, Kind::PrintBegin)
            } else {
                (State::Block, Kind::BlockBegin)
            };
            self.state = state;
            let sign = usize::from(rest[2..].starts_with(['-', '+']));
            return Ok(self.take(kind, 2 + sign));
        }
    }
}

/// What follows `{% name %}`, if that stands here.
fn tag<'t>(rest: &'t str, name: &str) -> Option<&'t str> {
    let inside = rest.strip_prefix("{%")?;
    let inside = inside.strip_prefix(['-', '+']).unwrap_or(inside).trim_start();
    let end = inside.strip_prefix(name)?.trim_start();
    end.strip_prefix(['-', '+']).unwrap_or(end).strip_prefix("%}")
}

/// A number at the beginning: its kind and bytes. Behind a dot it is never a float.
fn number(rest: &str, after_dot: bool) -> Option<(Kind, usize)> {
    let digits = |text: &str| text.find(|c: char| !(c.is_ascii_digit() || c == '_')).unwrap_or(text.len());
    if !rest.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let whole = digits(rest);
    let mut length = whole;
    if let Some(fraction) = rest[length..].strip_prefix('.').filter(|f| f.starts_with(|c: char| c.is_ascii_digit())) {
        length += 1 + digits(fraction);
    }
    if let Some(exponent) = rest[length..].strip_prefix(['e', 'E']) {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if unsigned.starts_with(|c: char| c.is_ascii_digit()) {
            length += 1 + exponent.len() - unsigned.len() + digits(unsigned);
        }
    }
    if length > whole && !after_dot {
        return Some((Kind::Float, length));
    }
    for (prefix, radix) in [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)] {
        if let Some(after) = rest.strip_prefix(prefix) {
            let end = after.find(|c: char| !(c.is_digit(radix) || c == '_')).unwrap_or(after.len());
            return Some((Kind::Integer, if end == 0 { 1 } else { 2 + end }));
        }
    }
    if rest.starts_with('0') {
        let zeros = rest.find(|c: char| c != '0' && c != '_').unwrap_or(rest.len());
        return Some((Kind::Integer, zeros));
    }
    Some((Kind::Integer, whole))
}

/// Bytes of a string at the beginning, with its quotes.
fn string(rest: &str) -> Option<usize> {
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}
