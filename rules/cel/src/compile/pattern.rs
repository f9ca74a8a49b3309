//! Regular expressions, compiled once.
//!
//! The language's patterns are RE2's, the crate `regex` has its own. They differ in what `\d`, `\w`, `\s` and
//! `\b` mean, which in RE2 is ASCII, in `\Q…\E`, and inside of brackets, where the crate has classes in
//! classes and operators between them. So patterns are translated.

use regex::{Regex, RegexBuilder};

use crate::limits::REGEX_BYTES_MAX;

/// Compiles a pattern within limits.
///
/// # Errors
/// What is wrong with it, for people.
pub(crate) fn compile_pattern(pattern: &str) -> Result<Regex, String> {
    let pattern = translated(pattern);
    let regex = RegexBuilder::new(&pattern).size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).build();
    regex.map_err(|e| match e {
        regex::Error::CompiledTooBig(bytes) => {
            format!("the regular expression is larger than {bytes} bytes when compiled")
        }
        regex::Error::Syntax(text) => {
            format!("invalid regular expression: {}", text.lines().last().unwrap_or_default())
        }
        _ => "invalid regular expression".to_owned(),
    })
}

/// An RE2 pattern as one of the crate `regex`.
fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = match c {
            '\\' => escape(rest, &mut out, false),
            '[' => class(rest, &mut out),
            _ => literal(rest, c, &mut out),
        };
    }
    out
}

/// Copies a character; what follows it.
fn literal<'p>(rest: &'p str, c: char, out: &mut String) -> &'p str {
    out.push(c);
    &rest[c.len_utf8()..]
}

/// Translates the escape that `rest` begins with; what follows it.
fn escape<'p>(rest: &'p str, out: &mut String, in_class: bool) -> &'p str {
    const DIGIT: &str = "0-9";
    const WORD: &str = "0-9A-Za-z_";
    const SPACE: &str = r"\t\n\f\r ";
    let Some(escaped) = rest[1..].chars().next() else { return literal(rest, '\\', out) };
    let after = &rest[1 + escaped.len_utf8()..];
    let positive = |set: &str| if in_class { set.to_owned() } else { format!("[{set}]") };
    let text = match escaped {
        'd' => positive(DIGIT),
        'w' => positive(WORD),
        's' => positive(SPACE),
        'D' => format!("[^{DIGIT}]"),
        'W' => format!("[^{WORD}]"),
        'S' => format!("[^{SPACE}]"),
        'b' if !in_class => r"(?-u:\b)".to_owned(),
        'Q' if !in_class => {
            let (quoted, after) = after.split_once(r"\E").unwrap_or((after, ""));
            out.push_str(&regex::escape(quoted));
            return after;
        }
        _ => format!(r"\{escaped}"),
    };
    out.push_str(&text);
    after
}

/// Translates the class in brackets that `rest` begins with; what follows it.
fn class<'p>(rest: &'p str, out: &mut String) -> &'p str {
    let mut rest = literal(rest, '[', out);
    if rest.starts_with('^') {
        rest = literal(rest, '^', out);
    }
    // A bracket that closes nothing stands for itself.
    if let Some(after) = rest.strip_prefix(']') {
        out.push_str(r"\]");
        rest = after;
    }
    while let Some(c) = rest.chars().next() {
        rest = match c {
            ']' => return literal(rest, c, out),
            '\\' => escape(rest, out, true),
            '[' => match rest.find(":]").filter(|_| rest.starts_with("[:")) {
                Some(end) => {
                    out.push_str(&rest[..end + 2]);
                    &rest[end + 2..]
                }
                None => {
                    out.push_str(r"\[");
                    &rest[1..]
                }
            },
            // Doubled, these are operators.
            '&' | '~' => {
                out.push('\\');
                literal(rest, c, out)
            }
            '-' if rest.starts_with("--") => {
                // A range to a hyphen, or one from it where nothing stands before.
                out.push_str(if out.ends_with(['[', '^']) { r"\--" } else { r"-\-" });
                &rest[2..]
            }
            _ => literal(rest, c, out),
        };
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_re2() {
        let cases = [
            (r"^\d+$", "12", true),
            (r"^\d+$", "١٢", false),
            (r"^\D$", "١", true),
            (r"^\w+$", "aZ_9", true),
            (r"^\w$", "é", false),
            (r"^[\w.-]+@\w+$", "a.b-c@d", true),
            (r"^[^\s\d]+$", "a1", false),
            (r"^[\D]$", "é", true),
            (r"^[\W\d]+$", "é1", true),
            (r"^[\W\d]+$", "a", false),
            (r"\bx\b", "éxé", true),
            (r"a\Q.*\Eb", "a.*b", true),
            (r"a\Q.*", "axx", false),
            ("^[[a]+$", "[a", true),
            ("^[]a]+$", "]a", true),
            ("^[^]a]$", "]", false),
            ("^[a&&b]+$", "a&b", true),
            ("^[a~~b]+$", "a~b", true),
            ("^[+--]+$", "+,-", true),
            ("^[--/]+$", "-./", true),
            ("^[--/]+$", "0", false),
            ("^[[:alpha:]]+$", "ab", true),
            ("^[[:alpha:][:digit:]_]+$", "a1_", true),
            (r"^[\]\\]+$", r"]\", true),
            (r"^\\d$", r"\d", true),
            (r"^\pL$", "é", true),
            ("(?i)straße", "STRAßE", true),
            ("^.$", "🐱", true),
            (r"^\.$", "x", false),
        ];
        for (pattern, text, expected) in cases {
            let regex = compile_pattern(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
            assert_eq!(regex.is_match(text), expected, "{pattern} on {text}: {regex}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            ("(", "invalid regular expression: error: unclosed group"),
            ("[a", "invalid regular expression: error: unclosed character class"),
            ("\\", "invalid regular expression: error: incomplete escape sequence, reached end of pattern prematurely"),
            ("((a{100}){100}){100}", "the regular expression is larger than 262144 bytes when compiled"),
        ];
        for (pattern, expected) in cases {
            assert_eq!(compile_pattern(pattern).unwrap_err(), expected, "{pattern}");
        }
    }
}
