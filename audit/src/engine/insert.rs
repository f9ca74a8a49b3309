//! Splits an `INSERT` with data into its head and its data, so that the data can go through a file.

use super::lexer::{Kind, Lexer, Token};

/// How a request's text is to be run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// As it is.
    AsIs,
    /// An insert whose data begins at byte `data` of the text.
    Data {
        /// `INSERT INTO t (a, b)`.
        head: String,
        /// `SETTINGS …` or nothing.
        settings: String,
        /// Name of the format.
        format: String,
        /// Where the data begins.
        data: usize,
    },
    /// Not to be run at all, and why.
    Refused(&'static str),
}

/// Decides by the text alone; the engine judges everything else.
pub(super) fn plan(text: &[u8]) -> Plan {
    let mut tokens = Lexer::new(text).peekable();
    if !tokens.next().is_some_and(|t| t.is(text, "INSERT")) {
        return Plan::AsIs;
    }
    tokens.next_if(|t| t.is(text, "INTO"));
    tokens.next_if(|t| t.is(text, "TABLE") || t.is(text, "FUNCTION"));
    // The name may be a keyword: `format`, `values`.
    tokens.next();
    while tokens.next_if(|t| t.kind == Kind::Other(b'.')).is_some() {
        tokens.next();
    }
    let mut settings_from = None;
    while let Some(token) = tokens.next() {
        if token.depth > 0 || token.kind != Kind::Word {
            continue;
        }
        let is = |keyword| token.is(text, keyword);
        if is("SELECT") || is("WITH") || is("WATCH") {
            return Plan::AsIs;
        }
        if is("FROM") {
            return Plan::Refused("INSERT … FROM INFILE reads a file of the engine's machine; send the data instead");
        }
        if is("SETTINGS") && settings_from.is_none() {
            settings_from = Some(token.start);
        }
        if is("VALUES") {
            return with_data(text, token, settings_from, "Values", token.end);
        }
        if is("FORMAT") {
            let Some(name) = tokens.next().filter(|t| t.kind == Kind::Word) else { return Plan::AsIs };
            let format = String::from_utf8_lossy(&text[name.start..name.end]).into_owned();
            return with_data(text, token, settings_from, &format, data_start(text, name.end));
        }
    }
    Plan::AsIs
}

fn with_data(text: &[u8], keyword: Token, settings_from: Option<usize>, format: &str, data: usize) -> Plan {
    let head_end = settings_from.unwrap_or(keyword.start);
    let part = |from, to| std::str::from_utf8(&text[from..to]).map(|s: &str| s.trim().to_owned());
    match (part(0, head_end), part(head_end, keyword.start)) {
        (Ok(head), Ok(settings)) => Plan::Data { head, settings, format: format.to_owned(), data },
        _ => Plan::Refused("the statement is not UTF-8"),
    }
}

/// Behind the format's name: blanks, then one end of line at most, as ClickHouse has it.
fn data_start(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\x0c')) {
        at += 1;
    }
    if text.get(at) == Some(&b'\r') {
        at += 1;
    }
    if text.get(at) == Some(&b'\n') {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, head: &str, settings: &str, format: &str, data: &str) {
        let Plan::Data { head: h, settings: s, format: f, data: d } = plan(text.as_bytes()) else {
            panic!("{text:?} is not taken as an insert with data: {:?}", plan(text.as_bytes()));
        };
        assert_eq!((h.as_str(), s.as_str(), f.as_str(), &text[d..]), (head, settings, format, data), "{text:?}");
    }

    #[test]
    fn data_is_found() {
        check("INSERT INTO t FORMAT RowBinary\n\n\nx", "INSERT INTO t", "", "RowBinary", "\n\nx");
        check("insert into `a.b`.t(x, `format`) format CSV 1,2", "insert into `a.b`.t(x, `format`)", "", "CSV", "1,2");
        check(
            "INSERT INTO t (a) SETTINGS x = 'FORMAT y', z = 1 FORMAT TSV\r\n1",
            "INSERT INTO t (a)",
            "SETTINGS x = 'FORMAT y', z = 1",
            "TSV",
            "1",
        );
        check("INSERT INTO format VALUES (1)", "INSERT INTO format", "", "Values", " (1)");
        check("INSERT INTO db.values VALUES (1)", "INSERT INTO db.values", "", "Values", " (1)");
        let commented = "/* FORMAT A */ INSERT -- FORMAT B\n INTO t FORMAT C";
        check(commented, "/* FORMAT A */ INSERT -- FORMAT B\n INTO t", "", "C", "");
        check(
            "INSERT INTO FUNCTION null('a Int8') VALUES (1)",
            "INSERT INTO FUNCTION null('a Int8')",
            "",
            "Values",
            " (1)",
        );
    }

    #[test]
    fn everything_else_is_left_alone() {
        for text in ["SELECT 1 FORMAT CSV", "", "INSERT INTO t SELECT 1 FORMAT CSV", "INSERT INTO t", "CREATE TABLE x"]
        {
            assert_eq!(plan(text.as_bytes()), Plan::AsIs, "{text:?}");
        }
        let infile = plan(b"INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV");
        assert!(matches!(infile, Plan::Refused(why) if why.contains("INFILE")), "{infile:?}");
    }
}
