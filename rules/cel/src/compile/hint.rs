//! Suggestions.

/// The candidate that somebody may have meant.
pub(super) fn closest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let name = name.to_lowercase();
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3))
        .min()
        .map(|(_, candidate)| candidate)
}

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
