//! Gates of the model: as many pass as have room, one after the other, and answers come whenever they are fetched.

use std::collections::{BTreeMap, VecDeque};

use super::model::Model;
use crate::execution::Known;
use crate::gate::{About, Answer, GateId, GateMessage, What};
use crate::owner::Message;

/// Room of each gate.
const ROOM: usize = 1;

#[derive(Default)]
pub struct Turnstiles {
    waits: BTreeMap<GateId, VecDeque<About>>,
    permits: BTreeMap<GateId, Vec<About>>,
    answers: VecDeque<(GateId, About, Answer)>,
}

impl Turnstiles {
    /// What the model's owner has told since, in order.
    pub fn hear_all(&mut self, model: &mut Model) {
        for message in std::mem::take(&mut model.told_gates) {
            self.hear(message);
        }
    }

    fn hear(&mut self, message: GateMessage) {
        let GateMessage { gate, what, .. } = message;
        let (waits, permits) =
            (self.waits.entry(gate.clone()).or_default(), self.permits.entry(gate.clone()).or_default());
        match what {
            What::Acquire { about, .. } if permits.contains(&about) => {
                self.answers.push_back((gate.clone(), about, Answer::Granted));
            }
            What::Acquire { about, .. } if waits.contains(&about) => {}
            What::Acquire { about, .. } => {
                assert!(!permits.iter().any(|of| of.execution == about.execution), "{about:?} has another permit");
                waits.push_back(about);
            }
            What::Release { about, .. } => {
                waits.retain(|of| *of != about);
                permits.retain(|of| *of != about);
            }
            other => panic!("{other:?}"),
        }
        while permits.len() < ROOM
            && let Some(next) = waits.pop_front()
        {
            permits.push(next.clone());
            self.answers.push_back((gate.clone(), next, Answer::Granted));
        }
    }

    /// The next answer reaches the model's owner; what that decides. Nothing where there is none.
    pub fn answer(&mut self, model: &mut Model) -> Option<Vec<String>> {
        let (gate, about, answer) = self.answers.pop_front()?;
        let decided = model.tell(Message::Gate { gate, about, answer });
        self.hear_all(model);
        Some(decided)
    }

    /// All answers, and those that they lead to.
    pub fn answer_all(&mut self, model: &mut Model) -> Vec<String> {
        let mut decided = Vec::new();
        self.hear_all(model);
        while let Some(more) = self.answer(model) {
            decided.extend(more);
        }
        decided
    }

    /// A gate turns away who waits there, or is to pass next.
    pub fn refuse(&mut self, model: &mut Model, answer: Answer) -> Vec<String> {
        self.hear_all(model);
        let (gate, about, _) = self.answers.pop_front().expect("somebody waits");
        self.permits.entry(gate.clone()).or_default().retain(|of| *of != about);
        let decided = model.tell(Message::Gate { gate, about, answer });
        self.hear_all(model);
        decided
    }

    /// Whether nothing is out and nobody waits.
    pub fn is_empty(&self) -> bool {
        self.permits.values().all(Vec::is_empty) && self.waits.values().all(VecDeque::is_empty)
    }

    /// How many permits are out.
    pub fn out(&self) -> usize {
        self.permits.values().map(Vec::len).sum()
    }

    /// What an owner believes to have the gate has an entry of, and the other way round, but for what is on its way.
    pub fn check(&self, model: &Model) -> Result<(), String> {
        let mut held = Vec::new();
        for id in model.states.keys() {
            let Some(Known::Live(execution)) = model.known(&petrel_schemas::ExecutionId::parse(id).unwrap()) else {
                continue;
            };
            let passage = execution.core().passage.clone();
            for (gate, acquisition) in passage.iter().flat_map(|passage| passage.own()) {
                let about = About { execution: execution.id().clone(), acquisition };
                if !self.permits.get(gate).is_some_and(|permits| permits.contains(&about)) {
                    return Err(format!("{about:?} is not held at {gate}"));
                }
                held.push((gate.clone(), about));
            }
        }
        for (gate, about) in self.permits.iter().flat_map(|(gate, of)| of.iter().map(move |about| (gate, about))) {
            let on_its_way = self.answers.iter().any(|(at, of, _)| (at, of) == (gate, about));
            if !on_its_way && !held.contains(&(gate.clone(), about.clone())) {
                return Err(format!("nobody knows that {about:?} is held at {gate}"));
            }
        }
        Ok(())
    }
}
