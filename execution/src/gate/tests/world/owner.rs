//! The owners' half: executions with passages and children, as a stage of owners has to drive them.

use std::collections::BTreeMap;

use petrel_schemas::ExecutionId;

use crate::gate::{About, Answer, Class, GateId, GateMessage, InForce, Numbers, Outcome, Passage, Step, What};

/// What an execution has to pass, and the children that it starts, all at once, when it has.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) class: Class,
    pub(super) gates: Vec<GateId>,
    pub(super) children: Vec<Plan>,
}

/// One execution that is not over.
#[derive(Debug, Clone)]
pub(super) struct Exec {
    pub(super) plan: Plan,
    pub(super) passage: Passage,
    /// Whether it has passed all its gates.
    pub(super) runs: bool,
    pub(super) children_open: usize,
    /// When it asks again, or anew.
    pub(super) due_ms: Option<i64>,
}

/// One partition of owners.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) sender: u32,
    pub(super) numbers: Numbers,
    pub(super) executions: BTreeMap<ExecutionId, Exec>,
    pub(super) in_force: InForce,
    /// Written by the step that is under way.
    pub(super) sent: Vec<GateMessage>,
    /// How executions ended that never ran.
    pub(super) ended_early: usize,
}

impl Owner {
    pub(super) fn new(sender: u32, now_ms: i64, since_ms: i64) -> Self {
        let in_force = InForce { revision: "r".into(), since_ms };
        let (numbers, executions) = (Numbers::begin(now_ms), BTreeMap::new());
        Self { sender, numbers, executions, in_force, sent: Vec::new(), ended_early: 0 }
    }

    fn send(&mut self, gate: GateId, what: What) {
        let stamp = self.numbers.next();
        self.sent.push(GateMessage { sender: self.sender, stamp, gate, what });
    }

    pub(super) fn operate(&mut self, gate: GateId, what: What) {
        self.send(gate, what);
    }

    pub(super) fn start(&mut self, id: ExecutionId, plan: Plan, inherited: &[GateId], now_ms: i64) {
        if self.executions.contains_key(&id) {
            return;
        }
        let passage = Passage::new(plan.class, plan.gates.iter().cloned(), inherited);
        let exec = Exec { plan, passage, runs: false, children_open: 0, due_ms: None };
        self.executions.insert(id.clone(), exec);
        self.go_on(&id, now_ms);
    }

    fn go_on(&mut self, id: &ExecutionId, now_ms: i64) {
        let exec = self.executions.get_mut(id).unwrap();
        exec.due_ms = None;
        if exec.passage.is_through() {
            return self.run(id, now_ms);
        }
        let mut numbers = self.numbers;
        let name = numbers.next();
        if let Some((gate, what)) = exec.passage.ask(id, name, &self.in_force) {
            exec.due_ms = Some(now_ms + exec.passage.ask_again_ms());
            self.send(gate, what);
        }
    }

    fn run(&mut self, id: &ExecutionId, now_ms: i64) {
        let exec = self.executions.get_mut(id).unwrap();
        exec.runs = true;
        let (held, children) = (exec.passage.held(), exec.plan.children.clone());
        exec.children_open = children.len();
        for (number, child) in (1..).zip(children) {
            self.start(id.child(number).unwrap(), child, &held, now_ms);
        }
    }

    pub(super) fn hear(&mut self, gate: &GateId, about: &About, answer: Answer, now_ms: i64) {
        let id = &about.execution;
        let Some(exec) = self.executions.get_mut(id) else {
            if !matches!(answer, Answer::Refused(_)) {
                self.send(gate.clone(), Passage::unknown(about));
            }
            return;
        };
        match exec.passage.hear(gate, about, answer) {
            Step::Nothing => {}
            Step::Next | Step::Through => self.go_on(id, now_ms),
            Step::Return(what) => self.send(gate.clone(), what),
            Step::Pause { for_ms } => {
                exec.due_ms = Some(now_ms + for_ms);
                let back = exec.passage.give_back(id, Outcome::NotStarted);
                back.into_iter().for_each(|(gate, what)| self.send(gate, what));
            }
            Step::Ends(_) => self.end(id, Outcome::NotStarted),
        }
    }

    /// It is over, in whatever state it is; a parent cannot be before its children.
    pub(super) fn end(&mut self, id: &ExecutionId, outcome: Outcome) {
        let mut exec = self.executions.remove(id).unwrap();
        assert_eq!(exec.children_open, 0, "a parent must not release what its children pass with");
        let outcome = if exec.runs { outcome } else { Outcome::NotStarted };
        self.ended_early += usize::from(!exec.runs);
        for (gate, what) in exec.passage.give_back(id, outcome) {
            self.send(gate, what);
        }
        let parent = id.parent().and_then(|parent| self.executions.get_mut(&parent));
        if let Some(parent) = parent {
            parent.children_open -= 1;
        }
    }

    pub(super) fn next_due_ms(&self) -> Option<i64> {
        self.executions.values().filter_map(|exec| exec.due_ms).min()
    }

    pub(super) fn timers(&mut self, now_ms: i64) {
        let due = |exec: &Exec| exec.due_ms.is_some_and(|due_ms| due_ms <= now_ms);
        let ids: Vec<ExecutionId> =
            self.executions.iter().filter(|(_, exec)| due(exec)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            let exec = self.executions.get_mut(&id).unwrap();
            match exec.passage.ask_again(&id, &self.in_force) {
                Some((gate, what)) => {
                    exec.due_ms = Some(now_ms + exec.passage.ask_again_ms());
                    self.send(gate, what);
                }
                None => self.go_on(&id, now_ms),
            }
        }
    }
}
