//! Random numbers that are a function of their seed on every machine: SplitMix64.

use std::collections::HashSet;

/// A stream of random numbers.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// In `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// In `0..limit`; 0 if the limit is 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.unit() * limit as f64) as usize
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of a list that is not empty.
    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            let other = self.below(at + 1);
            list.swap(at, other);
        }
    }
}

/// Ranks from 0, the frequent ones first: the k-th is drawn in proportion to 1/k^s.
#[derive(Debug)]
pub(crate) struct Zipf(Vec<f64>);

impl Zipf {
    pub(crate) fn new(ranks: usize, s: f64) -> Self {
        let mut total = 0.0;
        let mut cumulative: Vec<f64> = (1..=ranks)
            .map(|rank| {
                total += 1.0 / (rank as f64).powf(s);
                total
            })
            .collect();
        cumulative.iter_mut().for_each(|sum| *sum /= total);
        Self(cumulative)
    }

    pub(crate) fn draw(&self, random: &mut Random) -> usize {
        let at = random.unit();
        self.0.partition_point(|&sum| sum < at).min(self.0.len() - 1)
    }
}

/// A word that can be spoken.
pub(crate) fn word(random: &mut Random, syllables: usize) -> String {
    const STARTS: [&str; 20] =
        ["b", "c", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "st", "tr", "pl", "ch"];
    const VOWELS: [&str; 8] = ["a", "e", "i", "o", "u", "ai", "ea", "ou"];
    let mut word = String::new();
    for _ in 0..syllables {
        word.push_str(STARTS[random.below(STARTS.len())]);
        word.push_str(VOWELS[random.below(VOWELS.len())]);
    }
    word
}

/// `count` values of `make`, no two the same.
pub(crate) fn distinct(random: &mut Random, count: usize, make: impl Fn(&mut Random) -> String) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut values = Vec::with_capacity(count);
    while values.len() < count {
        let value = make(random);
        if seen.insert(value.clone()) {
            values.push(value);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_stream() {
        // The published first output of SplitMix64 for the seed 0.
        assert_eq!(Random::new(0).bits(), 0xE220_A839_7B1D_CDAF);
        let (mut one, mut two) = (Random::new(7), Random::new(7));
        assert!((0..100).all(|_| one.bits() == two.bits()));
        assert_ne!(Random::new(1).bits(), Random::new(2).bits());
    }

    #[test]
    fn draws_stay_in_range_and_favour_the_first() {
        let mut random = Random::new(1);
        let zipf = Zipf::new(10, 1.0);
        let mut counts = [0; 10];
        for _ in 0..10_000 {
            assert!(random.below(3) < 3 && random.unit() < 1.0);
            counts[zipf.draw(&mut random)] += 1;
        }
        assert!(counts[0] > 2 * counts[2] && counts[9] > 0, "{counts:?}");
    }

    #[test]
    fn shuffling_keeps_everything() {
        let mut list: Vec<u32> = (0..50).collect();
        Random::new(3).shuffle(&mut list);
        assert_ne!(list, (0..50).collect::<Vec<_>>());
        list.sort_unstable();
        assert_eq!(list, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn distinct_values_are() {
        let words = distinct(&mut Random::new(5), 300, |random| word(random, 2));
        assert_eq!(words.iter().collect::<HashSet<_>>().len(), 300);
    }
}
