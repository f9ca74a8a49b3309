//! Executions with several gates, and with children: all of them get through.

use std::collections::BTreeMap;

use petrel_schemas::ExecutionId;
use proptest::prelude::*;

use super::memory::Memory;
use crate::gate::{
    Class, Decided, Excess, GateId, GateMessage, Gates, Limit, Outcome, Passage, Place, Step, Terms, What,
};

const ONE: Terms = Terms { limit: Limit::Concurrency { permits_max: 1 }, excess: Excess::Wait };

fn gate(number: u8) -> GateId {
    match number % 2 {
        0 => GateId::of_key(&format!("p.g{}", number / 2), "key"),
        _ => GateId::total(&format!("p.g{}", number / 2)),
    }
}

fn place(execution: &ExecutionId) -> Place {
    Place { class: Class::Normal, asked_at_ms: 0, execution: execution.clone() }
}

/// A parent with its gates and the gates of each child, which run one after the other while the parent holds its own.
#[derive(Debug, Clone)]
struct Family {
    own: Vec<u8>,
    children: Vec<Vec<u8>>,
}

/// An owner that drives families through the gates; answers wait in `answers` until the test delivers one.
struct Owner {
    store: Memory,
    number: u64,
    families: Vec<Family>,
    passages: BTreeMap<ExecutionId, Passage>,
    answers: Vec<(ExecutionId, GateId, u64, Decided)>,
    /// Which gates are held by whom, as the grants say.
    held: BTreeMap<GateId, ExecutionId>,
    ended: Vec<(ExecutionId, bool)>,
}

impl Owner {
    fn tell(&mut self, gate: GateId, what: What) {
        if let What::Release { place, .. } = &what
            && self.held.get(&gate) == Some(&place.execution)
        {
            self.held.remove(&gate);
        }
        let message = GateMessage { sender: 1, number: self.number, gate, what };
        let mut gates = Gates::new(&mut self.store, 0);
        assert!(gates.message(&message, Some(&ONE)));
        for decision in gates.into_decisions() {
            let Some((place, number)) = decision.about else { continue };
            if decision.decided == Decided::Granted {
                let before = self.held.insert(decision.gate.clone(), place.execution.clone());
                assert_eq!(before, None, "{} has one permit", decision.gate);
            }
            if !matches!(decision.decided, Decided::Waits(_)) {
                self.answers.push((place.execution, decision.gate, number, decision.decided));
            }
        }
        self.store.check();
    }

    fn start(&mut self, id: ExecutionId, gates: &[u8], inherited: &[GateId]) {
        let passage = Passage::new(place(&id), gates.iter().copied().map(gate), inherited);
        self.passages.insert(id.clone(), passage);
        self.go_on(&id);
    }

    fn go_on(&mut self, id: &ExecutionId) {
        self.number += 1;
        let passage = self.passages.get_mut(id).unwrap();
        match passage.ask(self.number) {
            Some((gate, what)) => self.tell(gate, what),
            None => self.runs(id),
        }
    }

    /// It has all its permits: a parent starts its first child, a child is over at once.
    fn runs(&mut self, id: &ExecutionId) {
        let passage = &self.passages[id];
        assert!(passage.is_through());
        let held = passage.held();
        match id.parent() {
            Some(_) => self.end(id, true),
            None => self.next_child(id, 1, &held),
        }
    }

    fn next_child(&mut self, parent: &ExecutionId, number: u32, held: &[GateId]) {
        let family = self.families.iter().enumerate().find(|(n, _)| ExecutionId::of_manual(&n.to_string()) == *parent);
        let children = family.unwrap().1.children.clone();
        match children.get(number as usize - 1) {
            Some(gates) => self.start(parent.child(number).unwrap(), gates, held),
            None => self.end(parent, true),
        }
    }

    fn end(&mut self, id: &ExecutionId, is_good: bool) {
        let outcome = if is_good { Outcome::Succeeded } else { Outcome::Neither };
        let mut passage = self.passages.remove(id).unwrap();
        for (gate, what) in passage.give_back(outcome) {
            self.number += 1;
            self.tell(gate, what);
        }
        self.ended.push((id.clone(), is_good));
        if let Some(parent) = id.parent() {
            let number: u32 = id.to_string().rsplit('.').next().unwrap().parse().unwrap();
            let held = self.passages[&parent].held();
            self.next_child(&parent, number + 1, &held);
        }
    }

    fn deliver(&mut self, which: prop::sample::Index) {
        let (id, gate, number, decided) = self.answers.remove(which.index(self.answers.len()));
        let Some(passage) = self.passages.get_mut(&id) else { panic!("{id} is over and was answered") };
        match decided {
            Decided::Refused(_) => {
                assert!(passage.refused(&gate, number));
                self.end(&id, false);
            }
            _ => match passage.granted(&gate, number) {
                Step::Stale => panic!("{id} did not wait for {gate}"),
                Step::Next => self.go_on(&id),
                Step::Through => self.runs(&id),
            },
        }
    }
}

#[test]
fn a_passage_asks_in_the_order_of_gates_and_ignores_what_is_stale() {
    let id = ExecutionId::of_manual("x");
    let mut passage = Passage::new(place(&id), [gate(3), gate(1), gate(0), gate(3), gate(5)], &[gate(1)]);
    assert_eq!(passage.ask(7), Some((gate(0), What::Acquire { place: place(&id), may_wait: false })));
    assert_eq!((passage.ask(8), passage.awaited()), (None, Some((&gate(0), 7))));
    assert_eq!(passage.granted(&gate(0), 6), Step::Stale);
    assert_eq!(passage.granted(&gate(0), 7), Step::Next);
    assert_eq!(passage.granted(&gate(0), 7), Step::Stale, "an answer that comes again");
    assert_eq!(passage.ask(9), Some((gate(3), What::Acquire { place: place(&id), may_wait: true })));
    assert_eq!(passage.held(), [gate(0), gate(1)]);
    let released = passage.give_back(Outcome::Neither);
    let acquired: Vec<(GateId, u64)> = released
        .into_iter()
        .map(|(gate, what)| match what {
            What::Release { acquired, .. } => (gate, acquired),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(acquired, [(gate(3), 9), (gate(0), 7)], "also what was only asked for");
    assert_eq!(passage.held(), [gate(1)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn families_get_through_and_leave_nothing(
        families in prop::collection::vec(
            (prop::collection::vec(0..6_u8, 0..4), prop::collection::vec(prop::collection::vec(0..6_u8, 0..3), 0..3))
                .prop_map(|(own, children)| Family { own, children }),
            1..8,
        ),
        order in prop::collection::vec(any::<prop::sample::Index>(), 400),
    ) {
        let mut owner = Owner {
            store: Memory::default(),
            number: 0,
            families: families.clone(),
            passages: BTreeMap::new(),
            answers: Vec::new(),
            held: BTreeMap::new(),
            ended: Vec::new(),
        };
        for (n, family) in families.iter().enumerate() {
            owner.start(ExecutionId::of_manual(&n.to_string()), &family.own, &[]);
        }
        for which in order {
            if owner.answers.is_empty() {
                break;
            }
            owner.deliver(which);
        }
        prop_assert!(owner.passages.is_empty(), "they wait for each other: {:?}", owner.passages);
        prop_assert!(owner.store.is_empty() && owner.held.is_empty());
        let total: usize = families.iter().map(|family| 1 + family.children.len()).sum();
        prop_assert_eq!(owner.ended.len(), total);
        // What was turned away is a child that asked out of order, never a parent.
        for (id, is_good) in &owner.ended {
            prop_assert!(*is_good || id.parent().is_some());
        }
    }
}
