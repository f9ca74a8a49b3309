//! Regular expressions, compiled once. The language's patterns are RE2's, see `re2`.

use regex::{Regex, RegexBuilder};

use super::re2::translated;
use crate::limits::REGEX_BYTES_MAX;

/// Compiles a pattern within limits.
///
/// # Errors
/// What is wrong with it, for people.
pub(crate) fn compile_pattern(pattern: &str) -> Result<Regex, String> {
    let pattern = translated(pattern).map_err(|e| format!("invalid regular expression: {e}"))?;
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
            (r"a\<b\>", "a<b>", true),
            (r"\<b", "a b", false),
            (r"^[\<\>]+$", "<>", true),
            (r"\Bx", "éx", false),
            (r"^\B\x{e9}", "é", true),
            (r"\b{start}", "a{start}", true),
            ("^{\"level\"", "{\"level\":1}", true),
            ("a{b}", "a{b}", true),
            ("a{,3}", "a{,3}", true),
            ("a{1,b", "a{1,b", true),
            ("a{1,2,3}", "a{1,2,3}", true),
            ("^a{10}$", "aaaaaaaaaa", true),
            ("^a{2}{", "aa{", true),
            ("^a{01}", "a{01}", true),
            ("^a{0}b{1,}c{1,2}$", "bbcc", true),
            (r"^\p{Greek}\x{41}$", "αA", true),
            (r"^\p{^Greek}\P{^Latin}\PN$", "aba", true),
            (r"^[\p{^Greek}\x{3b1}]+$", "aα", true),
            (r"^[\x{61}-\x{63}]+$", "abc", true),
            (r"^\101\0[\60-\67]$", "A\u{0}7", true),
            (r"^[\w-.]+$", "a-.", true),
            (r"^[\s-z]$", "A", false),
            (r"^[\s-z]$", "-", true),
            (r"^[\d--/]+$", "1-./", true),
            (r"^[a-c-e]+$", "b-e", true),
            ("^[a-]-[-a]$", "---", true),
            ("^[^-a]$", "-", false),
            ("^[[:]{2}$", "[:", true),
            ("^[[:a]+$", "[:a", true),
            ("^[^^]$", "^", false),
            ("^[a^]$", "^", true),
            ("^[é-ü{]+$", "í{", true),
            ("(?i-s:A.)(?P<x>b)", "axb", true),
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
            ("(?x) a b", "invalid regular expression: error: unrecognized flag"),
            ("(?i-u:a)", "invalid regular expression: error: unrecognized flag"),
            (r"(a)\1", "invalid regular expression: error: backreferences are not supported"),
            ("[b-a]", "invalid regular expression: error: invalid character class range, the start must be <= the end"),
            ("{2}", "invalid regular expression: error: repetition operator missing expression"),
            ("((a{100}){100}){100}", "the regular expression is larger than 262144 bytes when compiled"),
        ];
        for (pattern, expected) in cases {
            assert_eq!(compile_pattern(pattern).unwrap_err(), expected, "{pattern}");
        }
    }
}
