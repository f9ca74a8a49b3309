//! Which variables an expression names, as Orquesta's inspections look for them: by its text, without parsing it.

use std::sync::LazyLock;

use regex::Regex;

/// A reference to variables, as far as it is written without a space.
static REFERENCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let rest = r#"[\]\[a-zA-Z0-9_'"\.()]*"#;
    Regex::new(&format!(r#"\bctx\(['"]?{rest}['"]?\)\.?{rest}"#)).ok()
});

/// What names a variable in a reference: `ctx().name`, and `ctx(name)` without and with quotes.
static NAMES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = [r"\bctx\(([a-zA-Z0-9_-]+)\)", r"\bctx\('([a-zA-Z0-9_-]+)'\)", r#"\bctx\("([a-zA-Z0-9_-]+)"\)"#];
    patterns.into_iter().filter_map(|pattern| Regex::new(pattern).ok()).collect()
});

/// The references in an expression, sorted, each once: `ctx().foo.bar`, `ctx(foo)[0]`.
pub(super) fn references(expression: &str) -> Vec<String> {
    let found = REFERENCE.as_ref().map(|regex| regex.find_iter(expression).map(|found| found.as_str().to_owned()));
    let mut references: Vec<String> = found.into_iter().flatten().collect();
    references.sort();
    references.dedup();
    references
}

/// The names of variables in a reference.
pub(super) fn names(reference: &str) -> Vec<&str> {
    let captured = NAMES.iter().filter_map(|regex| Some(regex.captures(reference)?.get(1)?.as_str()));
    dotted_name(reference).into_iter().chain(captured).collect()
}

/// The first name behind `ctx().` that is not called. What stands before a bracket may be a name up to an earlier end of
/// a word, as a regular expression finds it: of `a-b(` it is `a-`.
fn dotted_name(reference: &str) -> Option<&str> {
    const CTX: &str = "ctx().";
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for (at, _) in reference.match_indices(CTX) {
        if reference[..at].ends_with(is_word) {
            continue;
        }
        let rest = &reference[at + CTX.len()..];
        let longest = rest.find(|c| !(is_word(c) || c == '-')).unwrap_or(rest.len());
        let ends_word = |length: &usize| {
            let before = rest[..*length].ends_with(is_word);
            let after = rest[*length..].starts_with(is_word);
            before != after && !rest[*length..].starts_with('(')
        };
        if let Some(length) = (1..=longest).rev().find(ends_word) {
            return Some(&rest[..length]);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_with_what_hangs_on_them() {
        for (expression, expected) in [
            ("ctx().foobar", vec!["ctx().foobar"]),
            ("ctx(foo).get(bar) + ctx('fu')[0]", vec!["ctx('fu')[0]", "ctx(foo).get(bar)"]),
            ("notctx(foo) and $x", vec![]),
            ("ctx(ctx(\"foobar\"))", vec!["ctx(ctx(\"foobar\"))"]),
            ("ctx().a ctx().a", vec!["ctx().a"]),
        ] {
            assert_eq!(references(expression), expected, "{expression}");
        }
    }

    #[test]
    fn names_are_those_of_variables_and_not_of_methods() {
        for (reference, expected) in [
            ("ctx().foo.bar", vec!["foo"]),
            ("ctx().foo.get(bar)", vec!["foo"]),
            ("ctx().get(foo)", vec![]),
            ("ctx().keys()", vec![]),
            ("ctx(foo)", vec!["foo"]),
            ("ctx('foo').bar", vec!["foo"]),
            ("ctx(\"foo\")[0]", vec!["foo"]),
            ("ctx(foo')", vec![]),
            ("ctx(ctx(foo))", vec!["foo"]),
            ("ctx(foo.bar)", vec![]),
            ("ctx().get-x(1)", vec!["get-"]),
        ] {
            assert_eq!(names(reference), expected, "{reference}");
        }
    }
}
