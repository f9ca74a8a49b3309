//! Two processes that apply, in every order of their steps, over a log with a sole writer that may be compacted at
//! every point.

use std::collections::BTreeMap;

use super::*;
use crate::pack::PackSource;
use crate::retention::Retention;
use crate::testkit::source;

/// A log as its records, and how many sole writers were opened.
#[derive(Default)]
struct Log {
    records: Vec<Entry>,
    writers: u32,
}

impl Log {
    /// What a process knows that has read the log to its end.
    fn read(&self) -> CatalogState {
        folded(&self.records)
    }
}

fn folded(records: &[Entry]) -> CatalogState {
    let mut state = CatalogState::new();
    for (key, value) in records {
        state.apply(key, value.as_deref()).unwrap();
    }
    state
}

/// The first so many records, compacted, and the others behind them; tombstones go too.
fn compacted(records: &[Entry], until: usize) -> Vec<Entry> {
    let last: BTreeMap<&str, usize> =
        records[..until].iter().enumerate().map(|(at, (key, _))| (key.as_str(), at)).collect();
    let stays = |(at, (key, value)): &(usize, &Entry)| *at >= until || (last[key.as_str()] == *at && value.is_some());
    records.iter().enumerate().filter(stays).map(|(_, entry)| entry.clone()).collect()
}

/// A process on its way through applies of its own pack: begin with what is in force, open the writer, read to
/// the end, compare and write.
struct Process {
    name: &'static str,
    /// The version that it applies next.
    version: u32,
    base: Option<CatalogState>,
    writer: Option<u32>,
    read: Option<CatalogState>,
    refused: u32,
}

fn pack(name: &str, version: u32) -> PackSource {
    let manifest = format!("name: {name}\nversion: 1.0.{version}\n");
    let trigger = format!("name: alert\nsource: {{ kafka: {{ topic: {name} }} }}\n");
    source(name, &[("pack.yaml", &manifest), ("triggers/alert.yaml", &trigger)])
}

fn head_of(state: &CatalogState) -> Option<String> {
    state.head().map(|head| head.revision.clone())
}

impl Process {
    fn new(name: &'static str) -> Self {
        Self { name, version: 1, base: None, writer: None, read: None, refused: 0 }
    }

    /// The next of its steps.
    fn step(&mut self, log: &mut Log) {
        if self.base.is_none() {
            self.base = Some(log.read());
        } else if self.writer.is_none() {
            log.writers += 1;
            self.writer = Some(log.writers);
        } else if self.read.is_none() {
            self.read = Some(log.read());
        } else {
            self.write(log);
        }
    }

    fn write(&mut self, log: &mut Log) {
        let (Some(base), Some(writer), Some(read)) = (self.base.take(), self.writer.take(), self.read.take()) else {
            unreachable!("the steps before were made");
        };
        if head_of(&base) != head_of(&read) || writer != log.writers {
            self.refused += 1;
            return;
        }
        let packs = vec![pack(self.name, self.version)];
        let revision = match base.head_content().unwrap() {
            Some(content) => Revision::load_into(&content, None, packs),
            None => Revision::load(packs),
        };
        let retention = Retention { revisions_max: 1, revision_keep_ms: 0, ..Retention::default() };
        let offsets = BTreeMap::from([(format!("{}.alert", self.name), vec![i64::from(self.version)])]);
        let how = Application { now_ms: 1, applied_by: self.name, retention, offsets };
        log.records.extend(publish(&read, &revision.unwrap(), &how).unwrap().catalog);
        self.version += 1;
    }

    fn is_done(&self) -> bool {
        self.version > 2
    }
}

/// Steps that two processes may make before the rest of their work is done one after the other.
const FREE_STEPS: usize = 9;

#[test]
fn nothing_is_dropped_in_any_order_and_compaction_changes_no_answer() {
    let (mut orders, mut refused) = (0, 0);
    for order in 0_u32..1 << FREE_STEPS {
        let mut log = Log::default();
        let mut processes = [Process::new("one"), Process::new("two")];
        for step in 0..FREE_STEPS {
            let process = &mut processes[(order >> step & 1) as usize];
            if !process.is_done() {
                process.step(&mut log);
            }
        }
        for process in &mut processes {
            while !process.is_done() {
                process.step(&mut log);
            }
            refused += process.refused;
        }
        let state = log.read();
        let head = state.head().unwrap();
        assert_eq!(state.revisions()[&head.revision].packs, ["one 1.0.2", "two 1.0.2"], "order {order:b}");
        // The binding of each is that of its first apply, whoever applied in between.
        let bound: Vec<_> = state.bindings().iter().map(|(name, bound)| (name.as_str(), &*bound.offsets)).collect();
        assert_eq!(bound, [("one.alert", &[1_i64][..]), ("two.alert", &[1][..])], "order {order:b}");
        for until in 0..=log.records.len() {
            let cold = folded(&compacted(&log.records, until));
            assert_eq!(head_of(&cold), head_of(&state));
            assert_eq!(cold.head_content(), state.head_content());
            assert_eq!(cold.bindings(), state.bindings());
        }
        orders += 1;
    }
    assert!(orders == 512 && refused > 100, "{refused} refused in {orders} orders");
}
