//! The index never changes an answer: what it finds is what running every program finds.

use crate::constructs::EVERYTHING;
use crate::engines::{Answer, Engine};
use crate::events::event;
use crate::rng::Rng;
use crate::rules::rule;
use crate::shrink::{Case, panic_small};
use crate::{comparisons, seed};

const EVENTS_PER_SET: usize = 25;
const SIZES: [usize; 4] = [1, 8, 60, 250];

/// How often each answer came, so that the property is known to have been tried.
#[derive(Debug, Default)]
struct Seen {
    answers: u64,
    matches: u64,
    missing: u64,
    errors: u64,
}

impl Seen {
    fn add(&mut self, answers: &[Answer]) {
        let count = |fits: fn(&Answer) -> bool| answers.iter().filter(|answer| fits(answer)).count() as u64;
        self.answers += answers.len() as u64;
        self.matches += count(|answer| *answer == Answer::True);
        self.missing += count(|answer| matches!(answer, Answer::Missing(_)));
        self.errors += count(|answer| matches!(answer, Answer::Error(..)));
    }

    fn assert_all_kinds(&self) {
        let share = |part: u64| part * 100 / self.answers;
        let shares = (share(self.matches), share(self.missing), share(self.errors));
        assert!((10..60).contains(&shares.0) && shares.1 >= 5 && shares.2 >= 5, "{self:?}: {shares:?} percent");
    }
}

#[test]
fn the_index_never_changes_an_answer() {
    let mut seen = Seen::default();
    let mut round_seed = seed();
    while seen.answers < comparisons() {
        let rng = &mut Rng::new(round_seed);
        let size = *rng.pick(&SIZES);
        let rules: Vec<_> = (0..size).map(|_| rule(rng, EVERYTHING)).collect();
        let criteria: Vec<String> = rules.iter().map(|rule| rule.text()).collect();
        let mut engine = Engine::compile(&criteria).unwrap_or_else(|errors| panic!("{criteria:#?}: {errors:?}"));
        for _ in 0..EVENTS_PER_SET {
            let event = event(rng);
            match compare(&mut engine, &event.text()) {
                Ok(answers) => seen.add(&answers),
                Err(_) => panic_small(round_seed, Case { rules, event }, &mut fails),
            }
        }
        round_seed += 1;
    }
    seen.assert_all_kinds();
    println!("{seen:?}");
}

fn fails(case: &Case) -> Option<String> {
    let mut engine = Engine::compile(&case.criteria()).ok()?;
    compare(&mut engine, &case.event.text()).err()
}

/// Every answer, or what the index says otherwise.
fn compare(engine: &mut Engine, event: &str) -> Result<Vec<Answer>, String> {
    let scanned = engine.scan(event)?;
    let mut heard = vec![false; scanned.len()];
    for (at, answer) in engine.run(event)? {
        if heard[at] {
            return Err(format!("rule {at} was asked twice"));
        }
        heard[at] = true;
        if answer != scanned[at] {
            return Err(format!("rule {at} is {:?} without the index and {answer:?} with it", scanned[at]));
        }
    }
    let overlooked = scanned.iter().zip(&heard).position(|(answer, heard)| *answer == Answer::True && !heard);
    match overlooked {
        Some(at) => Err(format!("rule {at} is true and the index did not propose it")),
        None => Ok(scanned),
    }
}
