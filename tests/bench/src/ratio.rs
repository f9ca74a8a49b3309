//! Ratios of cells, round by round.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cell::{Cell, Way, rounded};

/// A rate divided by another of the same round, over all rounds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ratio {
    pub name: String,
    pub pairs: Vec<f64>,
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

/// `over / under` for every round that has both; none if no round has.
pub(crate) fn ratio(cells: &[Cell], over: Way, under: Way) -> Option<Ratio> {
    let rates = |way: Way| -> BTreeMap<usize, f64> {
        cells.iter().filter(|c| c.way == way).map(|c| (c.round, c.events_per_s())).collect()
    };
    let below = rates(under);
    let pairs: Vec<f64> = rates(over).iter().filter_map(|(round, rate)| Some(rate / below.get(round)?)).collect();
    let (min, median, max) = spread(&pairs)?;
    Some(Ratio { name: format!("{}/{}", over.letter(), under.letter()), pairs, min, median, max })
}

/// Least, middle and largest value.
pub(crate) fn spread(values: &[f64]) -> Option<(f64, f64, f64)> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = (sorted.len().checked_sub(1)? / 2, sorted.len() / 2);
    Some((*sorted.first()?, f64::midpoint(sorted[middle.0], sorted[middle.1]), *sorted.last()?))
}

impl Ratio {
    pub(crate) fn json(&self) -> Value {
        let pairs: Vec<f64> = self.pairs.iter().copied().map(rounded).collect();
        json!({"pairs": pairs, "min": rounded(self.min), "median": rounded(self.median), "max": rounded(self.max)})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Cost;

    fn cell(way: Way, round: usize, wall_s: f64) -> Cell {
        let cost = Cost { wall_s, user_s: 1.0, system_s: 0.0, others_s: 0.0 };
        let (written, split) = (Default::default(), Vec::new());
        Cell { way, round, events: 100, cost, commits: 0, commit_s: 0.0, written, split }
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let cells = [
            cell(Way::Pass, 1, 1.0),
            cell(Way::Match, 1, 2.0),
            cell(Way::Pass, 2, 4.0),
            cell(Way::Match, 2, 4.0),
            cell(Way::Pass, 3, 3.0),
        ];
        let found = ratio(&cells, Way::Match, Way::Pass).unwrap();
        assert_eq!((found.name.as_str(), found.pairs), ("C/B", vec![0.5, 1.0]));
        assert_eq!((found.min, found.median, found.max), (0.5, 0.75, 1.0));
        assert_eq!(ratio(&cells, Way::Match, Way::Consume), None);
    }

    #[test]
    fn the_middle_of_odd_and_even_counts() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some((1.0, 2.0, 3.0)));
        assert_eq!(spread(&[4.0, 1.0]), Some((1.0, 2.5, 4.0)));
        assert_eq!(spread(&[]), None);
    }
}
