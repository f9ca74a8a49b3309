//! Events, from a seed: one line of JSON each, in the same order on every machine.

mod city;
mod ops;

use crate::schema::Corpus;

/// Events of a corpus.
pub(crate) const EVENTS: usize = 200_000;
/// What everything is drawn from.
pub(crate) const SEED: u64 = 20_261_122;

/// The first `events` of a corpus of [`EVENTS`], as lines.
pub(crate) fn lines(corpus: Corpus, events: usize) -> String {
    match corpus {
        Corpus::City => city::lines(events),
        Corpus::Ops => ops::lines(events),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_a_function_of_the_seed_and_of_the_size_that_is_said() {
        for (corpus, bytes) in [(Corpus::City, 600..700), (Corpus::Ops, 300..360)] {
            let lines = lines(corpus, 500);
            assert_eq!(lines, super::lines(corpus, 500));
            assert!(super::lines(corpus, 20).lines().eq(lines.lines().take(20)));
            assert_eq!(lines.lines().count(), 500);
            assert!(bytes.contains(&(lines.len() / 500)), "{}", lines.len() / 500);
            for line in lines.lines() {
                let event: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(event.is_object(), "{line}");
            }
        }
    }
}
