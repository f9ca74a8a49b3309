//! The tokens of JSON (RFC 8259) over text that is known to be UTF-8.

use std::borrow::Cow;

/// What went wrong, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScanError {
    pub message: &'static str,
    pub offset: usize,
}

/// A number as it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Uint(u64),
    Double(f64),
}

/// A position in a text.
pub(crate) struct Scanner<'e> {
    text: &'e str,
    at: usize,
}

impl<'e> Scanner<'e> {
    pub fn new(text: &'e str) -> Self {
        Self { text, at: 0 }
    }

    pub fn error<T>(&self, message: &'static str) -> Result<T, ScanError> {
        self.error_at(self.at, message)
    }

    fn error_at<T>(&self, offset: usize, message: &'static str) -> Result<T, ScanError> {
        Err(ScanError { message, offset })
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space, not taken.
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    /// Takes the byte that [`Self::peek`] showed.
    pub fn bump(&mut self) {
        self.at += 1;
    }

    /// Takes this literal.
    pub fn literal(&mut self, word: &str) -> Result<(), ScanError> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        self.error("expected a value")
    }

    /// Takes a number, at its first byte.
    pub fn number(&mut self) -> Result<Number, ScanError> {
        let start = self.at;
        let negative = self.byte() == Some(b'-');
        if negative {
            self.at += 1;
        }
        let first = self.byte();
        let digits = self.digits()?;
        if first == Some(b'0') && digits > 1 {
            return self.error_at(start, "a number must not begin with 0");
        }
        let mut integral = true;
        if self.byte() == Some(b'.') {
            integral = false;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            integral = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        let written = &self.text[start..self.at];
        if integral {
            if let Ok(int) = written.parse::<i64>() {
                return Ok(Number::Int(int));
            }
            if let Ok(uint) = written.parse::<u64>() {
                return Ok(Number::Uint(uint));
            }
        }
        match written.parse::<f64>() {
            Ok(double) if double.is_finite() => Ok(Number::Double(double)),
            _ => self.error_at(start, "number out of range"),
        }
    }

    fn digits(&mut self) -> Result<usize, ScanError> {
        let start = self.at;
        while self.byte().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { self.error("expected a digit") } else { Ok(self.at - start) }
    }

    /// Takes a string, at its opening quote. Borrowed if it has no escapes.
    pub fn string(&mut self) -> Result<Cow<'e, str>, ScanError> {
        self.at += 1;
        let start = self.plain()?;
        if self.byte() == Some(b'"') {
            let text = &self.text[start..self.at];
            self.at += 1;
            return Ok(Cow::Borrowed(text));
        }
        let mut out = String::with_capacity(self.at - start + 16);
        out.push_str(&self.text[start..self.at]);
        loop {
            if self.byte() == Some(b'"') {
                self.at += 1;
                return Ok(Cow::Owned(out));
            }
            out.push(self.escape()?);
            let start = self.plain()?;
            out.push_str(&self.text[start..self.at]);
        }
    }

    /// Takes a string without building it; its escapes are validated all the same.
    pub fn skip_string(&mut self) -> Result<(), ScanError> {
        self.at += 1;
        loop {
            self.plain()?;
            if self.byte() == Some(b'"') {
                self.at += 1;
                return Ok(());
            }
            self.escape()?;
        }
    }

    /// Goes on to the next quote or backslash; gives where it began.
    fn plain(&mut self) -> Result<usize, ScanError> {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        let Some(length) = rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..=0x1f)) else {
            return self.error_at(self.text.len(), "the string does not end");
        };
        self.at += length;
        if rest[length] < 0x20 {
            return self.error("control character in a string");
        }
        Ok(start)
    }

    /// Takes an escape, at its backslash.
    fn escape(&mut self) -> Result<char, ScanError> {
        let start = self.at;
        self.at += 2;
        let escaped = match self.text.as_bytes().get(start + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            _ => return self.error_at(start, "invalid escape"),
        };
        Ok(escaped)
    }

    /// The rest of a `\u` escape that began at `start`; a pair of surrogates is one character.
    fn unicode(&mut self, start: usize) -> Result<char, ScanError> {
        let first = self.hex()?;
        let code = match first {
            0xD800..=0xDBFF => {
                if !self.text.as_bytes()[self.at..].starts_with(b"\\u") {
                    return self.error_at(start, "half of a surrogate pair");
                }
                self.at += 2;
                match self.hex()? {
                    second @ 0xDC00..=0xDFFF => 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00),
                    _ => return self.error_at(start, "half of a surrogate pair"),
                }
            }
            code => code,
        };
        char::from_u32(code).map_or_else(|| self.error_at(start, "half of a surrogate pair"), Ok)
    }

    fn hex(&mut self) -> Result<u32, ScanError> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = self.byte().and_then(|b| char::from(b).to_digit(16)) else {
                return self.error("expected a hexadecimal digit");
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }
}
