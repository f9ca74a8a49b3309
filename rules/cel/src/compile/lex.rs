//! Where the strings and comments of a CEL expression are, without parsing it.

/// The characters of an expression that stand outside its strings and comments, with their byte offsets. A
/// string that does not end goes to the end.
pub(super) fn outside_strings(source: &str) -> impl Iterator<Item = (usize, char)> {
    let mut at = 0;
    let mut before = [' '; 2];
    std::iter::from_fn(move || {
        loop {
            let rest = &source[at..];
            let c = rest.chars().next()?;
            let here = at;
            if rest.starts_with("//") {
                at += rest.find('\n').unwrap_or(rest.len());
                before = [' '; 2];
            } else if matches!(c, '"' | '\'') {
                at += string_bytes(rest, c, is_raw(before));
                before = [' '; 2];
            } else {
                at += c.len_utf8();
                before = [before[1], c];
                return Some((here, c));
            }
        }
    })
}

/// Whether what stands before a quote makes it a raw string: `r`, `br` or `rb`, in either case.
fn is_raw(before: [char; 2]) -> bool {
    matches!(before[1], 'r' | 'R') || (matches!(before[1], 'b' | 'B') && matches!(before[0], 'r' | 'R'))
}

/// Length of the string that `rest` begins with, both quotes included.
fn string_bytes(rest: &str, quote: char, raw: bool) -> usize {
    let triple: String = std::iter::repeat_n(quote, 3).collect();
    let close = if rest.starts_with(&triple) { triple.as_str() } else { &triple[..1] };
    let mut at = close.len();
    while at < rest.len() {
        if rest[at..].starts_with(close) {
            return at + close.len();
        }
        let mut chars = rest[at..].chars();
        let first = chars.next().map_or(1, char::len_utf8);
        let escaped = if !raw && rest[at..].starts_with('\\') { chars.next().map_or(0, char::len_utf8) } else { 0 };
        at += first + escaped;
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_comments_are_left_out() {
        let cases = [
            (r#"a + "}" + b"#, "a +  + b"),
            (r#""\"}" + '}'"#, " + "),
            (r#"r"\" + x"#, "r + x"),
            (r#""""a"}b""" + c"#, " + c"),
            ("'it''s'", ""),
            ("a 'open }", "a "),
            ("ä 'ö' ü", "ä  ü"),
            ("a // it's\n+ b", "a \n+ b"),
            ("a / b // (", "a / b "),
        ];
        for (source, outside) in cases {
            assert_eq!(outside_strings(source).map(|(_, c)| c).collect::<String>(), outside, "{source}");
        }
    }
}
