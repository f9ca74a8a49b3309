//! Times of many events, and what is told of them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cell::rounded;

/// Times in milliseconds, in order.
#[derive(Debug, Clone)]
pub(super) struct Times(Vec<f64>);

impl Times {
    pub(super) fn of(times: Vec<Duration>) -> Self {
        let mut all: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
        all.sort_by(f64::total_cmp);
        Self(all)
    }

    /// The least value that so many per cent of all do not exceed.
    pub(super) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or(f64::NAN)
    }

    pub(super) fn json(&self) -> Value {
        let [p50, p90, p99, max] = [50, 90, 99, 100].map(|percent| rounded(self.percentile(percent)));
        json!({"count": self.0.len(), "p50": p50, "p90": p90, "p99": p99, "max": max})
    }

    pub(super) fn print(&self, what: &str) {
        let [p50, p90, p99, max] = [50, 90, 99, 100].map(|percent| self.percentile(percent));
        println!("  {what:<14} p50 {p50:>7.1} ms  p90 {p90:>7.1}  p99 {p99:>7.1}  max {max:>7.1}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let times = Times::of((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!([1, 50, 99, 100].map(|percent| times.percentile(percent)), [2.0, 100.0, 198.0, 200.0]);
        assert_eq!(Times::of(vec![Duration::from_millis(7)]).percentile(50), 7.0);
    }
}
