//! Failures in few words.

use crate::events::Json;
use crate::node::Node;

/// Most smaller cases that are tried.
const TRIES_MAX: usize = 3_000;

/// Rules and an event.
#[derive(Debug, Clone)]
pub struct Case {
    pub rules: Vec<Node>,
    pub event: Json,
}

impl Case {
    /// The texts of the rules.
    pub fn criteria(&self) -> Vec<String> {
        self.rules.iter().map(Node::text).collect()
    }

    fn smaller(&self) -> Vec<Case> {
        let mut found = Vec::new();
        let rules = &self.rules;
        if rules.len() > 1 {
            let half = rules.len() / 2;
            let with = |rules: Vec<Node>| Case { rules, event: self.event.clone() };
            found.extend([with(rules[..half].to_vec()), with(rules[half..].to_vec())]);
            found.extend((0..rules.len()).map(|at| with([&rules[..at], &rules[at + 1..]].concat())));
        }
        found.extend(self.event.smaller().into_iter().map(|event| Case { rules: rules.clone(), event }));
        for (at, rule) in rules.iter().enumerate() {
            for smaller in rule.smaller() {
                let mut rules = rules.clone();
                rules[at] = smaller;
                found.push(Case { rules, event: self.event.clone() });
            }
        }
        found
    }
}

/// Panics with the smallest case found that `fails`, which says how.
pub fn panic_small(seed: u64, case: Case, fails: &mut dyn FnMut(&Case) -> Option<String>) -> ! {
    let mut how = fails(&case).expect("the case fails");
    let (mut smallest, mut tries) = (case, 0);
    'smaller: while tries < TRIES_MAX {
        for case in smallest.smaller() {
            tries += 1;
            if let Some(still) = fails(&case) {
                (smallest, how) = (case, still);
                continue 'smaller;
            }
        }
        break;
    }
    let rules = smallest.criteria().join("\n  ");
    panic!("{how}\nPETREL_RULES_SEED={seed}\nrules:\n  {rules}\nevent: {}", smallest.event.text());
}
