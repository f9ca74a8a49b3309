//! What an execution still has to pass, as its owner remembers it.

use petrel_schemas::ExecutionId;

use super::{About, Answer, Class, GateId, InForce, Outcome, Refusal, Stamp, What};

/// After how long an owner asks again, in milliseconds, where no answer has come: the first time.
pub const ASK_AGAIN_MS: i64 = 60_000;

/// The longest such time, in milliseconds: each is twice the one before.
pub const ASK_AGAIN_MS_MAX: i64 = 3_600_000;

/// How often an execution that was turned away for the order of gates tries again, before it ends.
pub const OUT_OF_ORDER_MAX: u32 = 100;

/// The first pause before that, in milliseconds.
pub const OUT_OF_ORDER_PAUSE_MS: i64 = 1_000;

/// The longest such pause, in milliseconds: each is twice the one before.
pub const OUT_OF_ORDER_PAUSE_MS_MAX: i64 = 60_000;

/// The gates of one execution, acquired one after the other in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    pub(crate) class: Class,
    /// In order, each once, without what its ancestors hold.
    pub(crate) gates: Vec<GateId>,
    /// Names of the acquisitions, of the first so many gates.
    pub(crate) acquired: Vec<Stamp>,
    /// Whether the last of them is not answered yet.
    pub(crate) awaits: bool,
    /// How often it was asked for again.
    pub(crate) asked_again: u32,
    /// How often it was turned away for the order of gates.
    pub(crate) turned_away: u32,
    /// What its ancestors hold: it passes there with their permits.
    pub(crate) inherited: Vec<GateId>,
    /// Whether anything of it has run, or may have, under what it has acquired.
    pub(crate) begun: bool,
}

/// What its owner has to do about an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it is known already.
    Nothing,
    /// The next gate is to be asked.
    Next,
    /// It has passed them all.
    Through,
    /// The gate has given, or still has, what nobody awaits or holds: that is to be sent to it.
    Return(What),
    /// It was turned away for the order of gates: it gives back what it has ([`Passage::give_back`]), and asks anew
    /// after that time, in milliseconds.
    Pause {
        /// How long it waits.
        for_ms: i64,
    },
    /// It was turned away, and its execution ends; it gives back what it has.
    Ends(Refusal),
}

impl Passage {
    /// The way of an execution through the gates of its policies; `inherited` are those that its ancestors hold.
    pub fn new(class: Class, wanted: impl IntoIterator<Item = GateId>, inherited: &[GateId]) -> Self {
        let mut gates: Vec<GateId> = wanted.into_iter().filter(|gate| !inherited.contains(gate)).collect();
        gates.sort();
        gates.dedup();
        Self {
            class,
            gates,
            acquired: Vec::new(),
            awaits: false,
            asked_again: 0,
            turned_away: 0,
            inherited: inherited.to_vec(),
            begun: false,
        }
    }

    /// Asks for the next gate, under the stamp of that message; nothing if it awaits an answer, or has passed them all.
    pub fn ask(&mut self, execution: &ExecutionId, stamp: Stamp, in_force: &InForce) -> Option<(GateId, What)> {
        if self.awaits || self.is_through() {
            return None;
        }
        self.acquired.push(stamp);
        (self.awaits, self.asked_again) = (true, 0);
        self.question(execution, in_force)
    }

    /// No answer has come for long: asks for the same once more, under any stamp. Nothing if it awaits none.
    pub fn ask_again(&mut self, execution: &ExecutionId, in_force: &InForce) -> Option<(GateId, What)> {
        self.asked_again = self.asked_again.saturating_add(1);
        self.question(execution, in_force)
    }

    fn question(&self, execution: &ExecutionId, in_force: &InForce) -> Option<(GateId, What)> {
        let (gate, acquisition) = self.awaited()?;
        // Two families that each wait for what the other one's ancestors hold would wait for ever.
        let may_wait = self.inherited.iter().all(|held| held < gate);
        let about = About { execution: execution.clone(), acquisition };
        let (class, in_force) = (self.class, in_force.clone());
        Some((gate.clone(), What::Acquire { about, class, may_wait, in_force }))
    }

    /// After how long the question that it has just asked is asked again, in milliseconds.
    pub fn ask_again_ms(&self) -> i64 {
        doubled(ASK_AGAIN_MS, self.asked_again, ASK_AGAIN_MS_MAX)
    }

    /// The gate whose answer it awaits, and the acquisition that it asked for.
    pub fn awaited(&self) -> Option<(&GateId, Stamp)> {
        if !self.awaits {
            return None;
        }
        let last = self.acquired.len().checked_sub(1)?;
        Some((self.gates.get(last)?, *self.acquired.get(last)?))
    }

    /// A gate has answered.
    pub fn hear(&mut self, gate: &GateId, about: &About, answer: Answer) -> Step {
        let is_awaited = self.awaited() == Some((gate, about.acquisition));
        match answer {
            Answer::Granted | Answer::Held if is_awaited => {
                self.awaits = false;
                if self.is_through() { Step::Through } else { Step::Next }
            }
            Answer::Granted | Answer::Held if self.holds(gate, about.acquisition) => Step::Nothing,
            Answer::Granted | Answer::Held => Step::Return(Self::unknown(about)),
            Answer::Refused(_) if !is_awaited => Step::Nothing,
            Answer::Refused(refusal) => {
                self.acquired.pop();
                self.awaits = false;
                match refusal {
                    Refusal::OutOfOrder(_) if self.turned_away < OUT_OF_ORDER_MAX => {
                        let for_ms = doubled(OUT_OF_ORDER_PAUSE_MS, self.turned_away, OUT_OF_ORDER_PAUSE_MS_MAX);
                        self.turned_away += 1;
                        Step::Pause { for_ms }
                    }
                    _ => Step::Ends(refusal),
                }
            }
        }
    }

    /// What is answered about an acquisition of an execution that is not known, or is over.
    pub fn unknown(about: &About) -> What {
        What::Release { about: about.clone(), outcome: Outcome::Silent }
    }

    /// Whether nothing is left to pass.
    pub fn is_through(&self) -> bool {
        !self.awaits && self.acquired.len() == self.gates.len()
    }

    /// Whether it holds that acquisition.
    pub fn holds(&self, gate: &GateId, acquisition: Stamp) -> bool {
        self.own().any(|held| held == (gate, acquisition))
    }

    /// What it holds itself.
    pub fn own(&self) -> impl Iterator<Item = (&GateId, Stamp)> {
        let own = self.acquired.len() - usize::from(self.awaits);
        self.gates.iter().zip(self.acquired.iter().copied()).take(own)
    }

    /// What it has, or has asked for, is given back, the last first; it may begin anew.
    pub fn give_back(&mut self, execution: &ExecutionId, outcome: Outcome) -> Vec<(GateId, What)> {
        (self.awaits, self.begun) = (false, false);
        let acquired = std::mem::take(&mut self.acquired);
        let release = |(gate, acquisition): (&GateId, Stamp)| {
            let about = About { execution: execution.clone(), acquisition };
            (gate.clone(), What::Release { about, outcome })
        };
        self.gates.iter().zip(acquired).rev().map(release).collect()
    }

    /// What its descendants pass with its permits and those of its ancestors.
    pub fn held(&self) -> Vec<GateId> {
        let mut held: Vec<GateId> = self.inherited.iter().chain(self.own().map(|(gate, _)| gate)).cloned().collect();
        held.sort();
        held
    }
}

/// A time that has been doubled so often, up to a longest one.
fn doubled(first_ms: i64, times: u32, longest_ms: i64) -> i64 {
    first_ms.saturating_mul(1 << times.min(32)).min(longest_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{Kind, Why};

    fn gate(key: &str) -> GateId {
        GateId::of_key("p.x", Kind::Concurrency, key).unwrap()
    }

    fn stamp(number: u64) -> Stamp {
        Stamp { epoch: 1, number }
    }

    struct Case {
        id: ExecutionId,
        passage: Passage,
    }

    impl Case {
        fn new(inherited: &[GateId]) -> Self {
            let wanted = [gate("d"), gate("b"), gate("a"), gate("d")];
            Self { id: ExecutionId::of_manual("x"), passage: Passage::new(Class::Normal, wanted, inherited) }
        }

        fn about(&self, number: u64) -> About {
            About { execution: self.id.clone(), acquisition: stamp(number) }
        }

        fn ask(&mut self, number: u64) -> Option<(GateId, bool)> {
            let in_force = InForce { revision: "r".into(), since_ms: 0 };
            let asked = self.passage.ask(&self.id, stamp(number), &in_force);
            asked.map(|(gate, what)| match what {
                What::Acquire { about, may_wait, .. } if about == self.about(number) => (gate, may_wait),
                other => panic!("{other:?}"),
            })
        }

        fn hear(&mut self, key: &str, number: u64, answer: Answer) -> Step {
            let about = self.about(number);
            self.passage.hear(&gate(key), &about, answer)
        }

        fn returned(&self, number: u64) -> Step {
            Step::Return(What::Release { about: self.about(number), outcome: Outcome::Silent })
        }
    }

    #[test]
    fn it_asks_in_the_order_of_gates_and_answers_what_it_does_not_await() {
        let mut case = Case::new(&[gate("b")]);
        assert_eq!(case.ask(7), Some((gate("a"), false)), "its ancestors hold a later one");
        assert_eq!(case.ask(8), None, "one after the other");
        assert_eq!(case.hear("a", 6, Answer::Granted), case.returned(6));
        assert_eq!(case.hear("a", 7, Answer::Granted), Step::Next);
        assert_eq!(case.hear("a", 7, Answer::Granted), Step::Nothing, "an answer that comes again");
        assert_eq!(case.hear("a", 7, Answer::Held), Step::Nothing, "it holds it still");
        assert_eq!(case.hear("a", 7, Answer::Refused(Refusal::TooManyWait)), Step::Nothing);
        assert_eq!(case.ask(9), Some((gate("d"), true)));
        assert_eq!(case.passage.held(), [gate("a"), gate("b")]);
        assert_eq!(case.hear("d", 9, Answer::Held), Step::Through, "who is asked whether it holds it was granted it");
        let id = case.id.clone();
        let released: Vec<(GateId, Stamp)> = case
            .passage
            .give_back(&id, Outcome::NotStarted)
            .into_iter()
            .map(|(gate, what)| match what {
                What::Release { about, outcome: Outcome::NotStarted } => (gate, about.acquisition),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(released, [(gate("d"), stamp(9)), (gate("a"), stamp(7))], "the last first");
        assert_eq!(case.passage.held(), [gate("b")]);
        assert_eq!(case.hear("a", 7, Answer::Granted), case.returned(7));
    }

    #[test]
    fn what_it_only_asked_for_is_given_back_too() {
        let mut case = Case::new(&[]);
        case.ask(1);
        let id = case.id.clone();
        assert_eq!(case.passage.give_back(&id, Outcome::NotStarted).len(), 1);
        assert!(case.passage.awaited().is_none() && !case.passage.is_through());
    }

    #[test]
    fn it_asks_again_for_the_same_after_longer_and_longer() {
        let mut case = Case::new(&[]);
        let in_force = InForce { revision: "r".into(), since_ms: 0 };
        let id = case.id.clone();
        assert_eq!(case.passage.ask_again(&id, &in_force), None);
        let first = case.passage.ask(&id, stamp(1), &in_force);
        assert_eq!(case.passage.ask_again_ms(), ASK_AGAIN_MS);
        assert_eq!(case.passage.ask_again(&id, &in_force), first);
        assert_eq!(case.passage.ask_again_ms(), 2 * ASK_AGAIN_MS);
        for _ in 0..100 {
            case.passage.ask_again(&id, &in_force);
        }
        assert_eq!(case.passage.ask_again_ms(), ASK_AGAIN_MS_MAX);
    }

    #[test]
    fn who_is_turned_away_for_the_order_tries_again_so_often() {
        let mut case = Case::new(&[]);
        let refused = Answer::Refused(Refusal::OutOfOrder(Why::Concurrency));
        let mut pauses = Vec::new();
        for number in 1..=u64::from(OUT_OF_ORDER_MAX) {
            case.ask(number);
            let Step::Pause { for_ms } = case.hear("a", number, refused) else { panic!("after {number}") };
            pauses.push(for_ms);
        }
        assert_eq!(pauses[..7], [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000]);
        case.ask(1_000);
        assert_eq!(case.hear("a", 1_000, refused), Step::Ends(Refusal::OutOfOrder(Why::Concurrency)));
        let mut other = Case::new(&[]);
        other.ask(1);
        let refusal = Refusal::Excess(Why::Radius);
        assert_eq!(other.hear("a", 1, Answer::Refused(refusal)), Step::Ends(refusal));
    }
}
