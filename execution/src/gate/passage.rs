//! What an execution still has to pass, as its owner remembers it.

use super::{GateId, Outcome, Place, What};

/// The gates of one execution, acquired one after the other in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    place: Place,
    /// In order, each once, without what its ancestors hold.
    gates: Vec<GateId>,
    /// Numbers of the acquisitions, of the first so many gates.
    acquired: Vec<u64>,
    /// Whether the last of them is not answered yet.
    awaits: bool,
    /// What its ancestors hold: it passes there with their permits.
    inherited: Vec<GateId>,
}

/// What a grant means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it is not the answer that is awaited.
    Stale,
    /// The next gate is to be asked.
    Next,
    /// It has passed them all.
    Through,
}

impl Passage {
    /// The way of an execution through the gates of its policies; `inherited` are those that its ancestors hold.
    pub fn new(place: Place, wanted: impl IntoIterator<Item = GateId>, inherited: &[GateId]) -> Self {
        let mut gates: Vec<GateId> = wanted.into_iter().filter(|gate| !inherited.contains(gate)).collect();
        gates.sort();
        gates.dedup();
        Self { place, gates, acquired: Vec::new(), awaits: false, inherited: inherited.to_vec() }
    }

    /// Asks for the next gate, under that number of its owner's messages; nothing if it awaits an answer, or has
    /// passed them all.
    pub fn ask(&mut self, number: u64) -> Option<(GateId, What)> {
        if self.awaits {
            return None;
        }
        let gate = self.gates.get(self.acquired.len())?.clone();
        self.acquired.push(number);
        self.awaits = true;
        // Two families that each wait for what the other one's ancestors hold would wait for ever.
        let may_wait = self.inherited.iter().all(|held| *held < gate);
        Some((gate, What::Acquire { place: self.place.clone(), may_wait }))
    }

    /// The gate whose answer it awaits, and the number that it asked under.
    pub fn awaited(&self) -> Option<(&GateId, u64)> {
        if !self.awaits {
            return None;
        }
        let last = self.acquired.len().checked_sub(1)?;
        Some((self.gates.get(last)?, *self.acquired.get(last)?))
    }

    /// A gate let it pass.
    pub fn granted(&mut self, gate: &GateId, number: u64) -> Step {
        if self.awaited() != Some((gate, number)) {
            return Step::Stale;
        }
        self.awaits = false;
        if self.is_through() { Step::Through } else { Step::Next }
    }

    /// A gate turned it away: whether that is the answer that it awaits. It has to give back what it has.
    pub fn refused(&mut self, gate: &GateId, number: u64) -> bool {
        let is_current = self.awaited() == Some((gate, number));
        if is_current {
            self.acquired.pop();
            self.awaits = false;
        }
        is_current
    }

    /// Whether nothing is left to pass.
    pub fn is_through(&self) -> bool {
        !self.awaits && self.acquired.len() == self.gates.len()
    }

    /// What it has, or has asked for, is given back, the last first; it may begin anew.
    pub fn give_back(&mut self, outcome: Outcome) -> Vec<(GateId, What)> {
        self.awaits = false;
        let acquired = std::mem::take(&mut self.acquired);
        let pairs = self.gates.iter().zip(acquired).rev();
        let place = &self.place;
        let release = |(gate, acquired): (&GateId, u64)| {
            (gate.clone(), What::Release { place: place.clone(), acquired, outcome })
        };
        pairs.map(release).collect()
    }

    /// What its descendants pass with its permits and those of its ancestors.
    pub fn held(&self) -> Vec<GateId> {
        let own = self.acquired.len() - usize::from(self.awaits);
        let mut held: Vec<GateId> = self.inherited.iter().chain(&self.gates[..own]).cloned().collect();
        held.sort();
        held
    }
}
