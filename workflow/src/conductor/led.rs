//! Which runs led to a task that is staged.

use std::collections::HashMap;
use std::sync::Arc;

use super::runs::RunId;

/// Of the runs that led to a staged task, how many are stored together, so that one that arrives at a join is written
/// with few others. As long as they are no more than that, they are in the piece of the staged task itself.
pub(crate) const LED_IN_CHUNK: usize = 8;

/// The runs that led to a staged task by the steps that they took, each step once, in the order in which they came
/// first. Very many may lead to a join.
#[derive(Debug, Clone, Default)]
pub(crate) struct Led {
    list: Vec<(Arc<str>, RunId)>,
    /// Where each step stands, once there are more than a look through them should cost.
    places: HashMap<Arc<str>, usize>,
}

impl Led {
    pub(crate) fn of(list: Vec<(Arc<str>, RunId)>) -> Self {
        if list.len() <= LED_IN_CHUNK {
            return Led { list, places: HashMap::default() };
        }
        let mut led = Led::default();
        led.extend(list);
        led
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether they are stored in pieces of their own.
    pub(crate) fn are_many(&self) -> bool {
        self.list.len() > LED_IN_CHUNK
    }

    pub(crate) fn as_slice(&self) -> &[(Arc<str>, RunId)] {
        &self.list
    }

    /// Those of one chunk.
    pub(crate) fn chunk(&self, chunk: usize) -> &[(Arc<str>, RunId)] {
        self.list.chunks(LED_IN_CHUNK).nth(chunk).unwrap_or_default()
    }

    /// Remembers which run took a step, in the place of an earlier one that took it, and says its place.
    pub(crate) fn insert(&mut self, step: &Arc<str>, run: RunId) -> usize {
        let place = self.place(step).unwrap_or(self.list.len());
        match self.list.get_mut(place) {
            Some((_, there)) => *there = run,
            None => {
                self.list.push((step.clone(), run));
                if self.are_many() {
                    let new = self.list.iter().enumerate().skip(self.places.len());
                    self.places.extend(new.map(|(place, (step, _))| (step.clone(), place)));
                }
            }
        }
        place
    }

    pub(crate) fn extend(&mut self, more: Vec<(Arc<str>, RunId)>) {
        for (step, run) in more {
            self.insert(&step, run);
        }
    }

    fn place(&self, step: &str) -> Option<usize> {
        if self.are_many() {
            self.places.get(step).copied()
        } else {
            self.list.iter().position(|(own, _)| **own == *step)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_is_taken_again_keeps_its_place_among_few_and_among_many() {
        let mut led = Led::default();
        for run in 0..20 {
            let step: Arc<str> = format!("t{run}__t0").into();
            assert_eq!(led.insert(&step, run), run as usize);
            assert_eq!((led.insert(&step, run + 100), led.len()), (run as usize, run as usize + 1));
            assert_eq!(led.insert(&Arc::from("t0__t0"), 7), 0);
        }
        let runs: Vec<RunId> = led.as_slice().iter().map(|(_, run)| *run).collect();
        assert_eq!(runs[..3], [7, 101, 102]);
        assert_eq!((led.chunk(0).len(), led.chunk(2).len(), led.chunk(3).len()), (8, 4, 0));
        assert_eq!(Led::of(led.as_slice().to_vec()).insert(&Arc::from("t19__t0"), 1), 19);
    }
}
