//! Just enough of ClickHouse's lexical rules to find words outside of strings, comments and parentheses.

/// A word or a quoted identifier at some depth of parentheses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    /// First byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
    /// What it is.
    pub kind: Kind,
    /// How many parentheses are open around it.
    pub depth: u32,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Letters, digits and `_`, not quoted.
    Word,
    /// Quoted with `"` or `` ` ``, or a string.
    Quoted,
    /// Any other single character.
    Other(u8),
}

/// Iterates over the tokens of a text, from the first byte on.
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    depth: u32,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            self.at += match rest {
                [b, ..] if b.is_ascii_whitespace() => 1,
                [b'-', b'-', ..] | [b'#', b'!' | b' ', ..] => length_until(rest, b"\n"),
                [b'/', b'*', ..] => 2 + length_until(&rest[2..], b"*/"),
                _ => return,
            };
        }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.skip_blank();
        let start = self.at;
        let first = *self.text.get(start)?;
        let rest = &self.text[start..];
        let (length, kind) = match first {
            b'\'' | b'"' | b'`' => (quoted_length(rest), Kind::Quoted),
            b if is_word(b) => (rest.iter().take_while(|b| is_word(**b)).count(), Kind::Word),
            b => (1, Kind::Other(b)),
        };
        if matches!(first, b')' | b']' | b'}') {
            self.depth = self.depth.saturating_sub(1);
        }
        let token = Token { start, end: start + length, kind, depth: self.depth };
        if matches!(first, b'(' | b'[' | b'{') {
            self.depth += 1;
        }
        self.at = token.end;
        Some(token)
    }
}

impl Token {
    /// Whether it is that keyword, in any case.
    pub(super) fn is(self, text: &[u8], keyword: &str) -> bool {
        self.kind == Kind::Word && text[self.start..self.end].eq_ignore_ascii_case(keyword.as_bytes())
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn length_until(text: &[u8], end: &[u8]) -> usize {
    text.windows(end.len()).position(|w| w == end).map_or(text.len(), |at| at + end.len())
}

/// Length of a quoted thing: a backslash escapes, a doubled quote is one.
fn quoted_length(text: &[u8]) -> usize {
    let quote = text[0];
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b if b == quote && text.get(at + 1) == Some(&quote) => at += 2,
            b if b == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}
