//! Regular expressions, compiled once.

use regex::{Regex, RegexBuilder};

use crate::limits::REGEX_BYTES_MAX;

/// Compiles a pattern within limits.
///
/// # Errors
/// What is wrong with it, for people.
pub(crate) fn compile_pattern(pattern: &str) -> Result<Regex, String> {
    let regex = RegexBuilder::new(pattern).size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).build();
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
