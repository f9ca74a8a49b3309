//! Words of messages: suggestions, names, numbers.

use std::borrow::Cow;

/// The candidate that somebody may have meant.
pub(super) fn closest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let name = shown(name).to_lowercase();
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// A name as it is shown in a message.
pub(super) fn shown(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(NAME_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]).into(),
        None => name.into(),
    }
}

/// Longest name that is shown whole.
const NAME_CHARS_MAX: usize = 64;

/// `a` or `an`, before a word.
pub(super) fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" }
}

/// `1 or 2`
pub(super) fn numbers(of: &[usize]) -> String {
    of.iter().map(usize::to_string).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_suggested() {
        let cases = [
            ("triger", Some("trigger")),
            ("HOST", Some("host")),
            ("hots", Some("host")),
            ("x", None),
            ("frobnicate", None),
        ];
        for (name, expected) in cases {
            assert_eq!(closest(name, ["trigger", "host", "kv"].into_iter()), expected, "{name}");
        }
    }
}
