//! Where expressions stand in a text.

use petrel_cel::compile::outside_strings;

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'t> {
    /// As it is written.
    Plain(&'t str),
    /// An expression with its delimiters.
    Expression(&'t str),
}

/// The parts of a text between these delimiters, which stand on one line; what is left open is plain.
pub(super) fn split<'t>(text: &'t str, [open, close]: [&str; 2]) -> Vec<Part<'t>> {
    let mut parts = Vec::new();
    let mut plain = 0;
    let mut from = 0;
    while let Some(begin) = text[from..].find(open).map(|at| from + at) {
        let inside = &text[begin + open.len()..];
        let line = &inside[..inside.find('\n').unwrap_or(inside.len())];
        let Some(length) = line.find(close) else {
            // Delimiters are of ASCII: the next one may begin within this one.
            from = begin + 1;
            continue;
        };
        let end = begin + open.len() + length + close.len();
        if plain < begin {
            parts.push(Part::Plain(&text[plain..begin]));
        }
        parts.push(Part::Expression(&text[begin..end]));
        (plain, from) = (end, end);
    }
    if plain < text.len() {
        parts.push(Part::Plain(&text[plain..]));
    }
    parts
}

/// Only the expressions of a text.
pub(super) fn expressions<'t>(text: &'t str, delimiters: [&str; 2]) -> impl Iterator<Item = &'t str> {
    split(text, delimiters).into_iter().filter_map(|part| match part {
        Part::Expression(expression) => Some(expression),
        Part::Plain(_) => None,
    })
}

/// An expression without its delimiters. Every character of them goes, however often it stands there, as in Orquesta.
pub(super) fn stripped<'t>(expression: &'t str, [open, close]: [&str; 2]) -> &'t str {
    expression.trim_matches(|c| open.contains(c) || close.contains(c)).trim()
}

/// The parts of a text with `${…}`; `$${` stands for `${` and is a plain part of its own.
///
/// # Errors
/// What is left open.
pub(super) fn split_cel(text: &str) -> Result<Vec<Part<'_>>, &str> {
    let mut parts = Vec::new();
    let mut plain = 0;
    let mut from = 0;
    while let Some(begin) = text[from..].find("${").map(|at| from + at) {
        if text[plain..begin].ends_with('$') {
            parts.push(Part::Plain(&text[plain..begin - 1]));
            (plain, from) = (begin, begin + 2);
            continue;
        }
        let inside = &text[begin + 2..];
        let mut depth = 0_usize;
        let end = outside_strings(inside).find_map(|(at, c)| match c {
            '{' => {
                depth += 1;
                None
            }
            '}' if depth == 0 => Some(at),
            '}' => {
                depth -= 1;
                None
            }
            _ => None,
        });
        let end = begin + 2 + end.ok_or(&text[begin..])? + 1;
        if plain < begin {
            parts.push(Part::Plain(&text[plain..begin]));
        }
        parts.push(Part::Expression(&text[begin..end]));
        (plain, from) = (end, end);
    }
    if plain < text.len() {
        parts.push(Part::Plain(&text[plain..]));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::Part::{Expression, Plain};
    use super::*;

    #[test]
    fn expressions_stand_between_the_nearest_delimiters_of_a_line() {
        let jinja = ["{{", "}}"];
        for (text, parts) in [
            ("", vec![]),
            ("plain", vec![Plain("plain")]),
            ("{{ a }}", vec![Expression("{{ a }}")]),
            ("a {{ b }}{{ c }} d", vec![Plain("a "), Expression("{{ b }}"), Expression("{{ c }}"), Plain(" d")]),
            ("{{ {{ a }} }}", vec![Expression("{{ {{ a }}"), Plain(" }}")]),
            ("{{ {'a': {}}} }}", vec![Expression("{{ {'a': {}}"), Plain("} }}")]),
            ("{{ a\n}} {{ b }}", vec![Plain("{{ a\n}} "), Expression("{{ b }}")]),
            ("{{{ a }}", vec![Expression("{{{ a }}")]),
            ("{{ a", vec![Plain("{{ a")]),
            ("{{}}}", vec![Expression("{{}}"), Plain("}")]),
        ] {
            assert_eq!(split(text, jinja), parts, "{text}");
        }
        assert_eq!(split("<% 'é' %>é", ["<%", "%>"]), [Expression("<% 'é' %>"), Plain("é")]);
    }

    #[test]
    fn all_characters_of_delimiters_are_stripped() {
        assert_eq!(stripped("{{ {{ a }}", ["{{", "}}"]), "{{ a");
        assert_eq!(stripped("{{{'a': 1}}", ["{{", "}}"]), "'a': 1");
        assert_eq!(stripped("<% <% a > %>", ["<%", "%>"]), "<% a >");
    }

    #[test]
    fn cel_ends_at_its_own_brace() {
        for (text, parts) in [
            ("${a}", Ok(vec![Expression("${a}")])),
            ("a ${ {'b': '}'} } c", Ok(vec![Plain("a "), Expression("${ {'b': '}'} }"), Plain(" c")])),
            ("$${a}", Ok(vec![Plain(""), Plain("${a}")])),
            ("cost: 5$", Ok(vec![Plain("cost: 5$")])),
            ("a ${b", Err("${b")),
        ] {
            assert_eq!(split_cel(text), parts, "{text}");
        }
    }
}
