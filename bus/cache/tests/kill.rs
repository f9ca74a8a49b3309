//! Kill -9 of a process that applies batches: what it leaves is the state at one of them, the position
//! that it left says at which, and nothing that was applied is missing.
//!
//! The test starts itself again as a child, which applies the batches of a history that everybody can
//! compute and tells after each. The parent kills it at an arbitrary moment, many times over.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use petrel_bus::{Change, DueTimer, Mark, StateStore, StateStores, StoreName, Timer, TimerKind};
use petrel_bus_cache::{CacheOptions, DiskStores};
use tempfile::TempDir;

const DIR: &str = "PETREL_TEST_KILL_DIR";
const KILLS: i64 = 24;
const KEYS: i64 = 5_000;
const CHANGES_PER_BATCH: i64 = 40;

fn open(dir: &str) -> Box<dyn StateStore> {
    // The smallest there is, so that tables are written and merged all the time.
    let options = CacheOptions { memory_bytes_max: 0, ..CacheOptions::new(dir, "cluster") };
    let stores = DiskStores::open(options).expect("the cache opens, whatever happened");
    let name = StoreName { stage: "s".into(), changelog: "c".into(), partition: 0 };
    stores.open(&name, 0).expect("a store")
}

/// Changes of a batch: key, value, instant of its timer; neither for every fifth.
fn batch(number: i64) -> impl Iterator<Item = (String, Option<(Vec<u8>, i64)>)> {
    (0..CHANGES_PER_BATCH).map(move |n| {
        let change = number * CHANGES_PER_BATCH + n;
        let key = format!("k{}", change.wrapping_mul(2_654_435_761).rem_euclid(KEYS));
        let value = || (format!("{change}-").repeat(60).into_bytes(), change % 977);
        (key, (change % 5 != 0).then(value))
    })
}

fn apply(store: &mut dyn StateStore, number: i64) {
    let entries: Vec<_> = batch(number).collect();
    let values =
        entries.iter().map(|(k, v)| Change::Value(k.as_bytes(), v.as_ref().map(|(value, _)| value.as_slice())));
    let timer =
        |v: &Option<(Vec<u8>, i64)>| v.as_ref().map(|(_, due_ms)| Timer { kind: TimerKind::Time, due_ms: *due_ms });
    let timers = entries.iter().map(|(k, v)| Change::Timer(k.as_bytes(), timer(v)));
    let changes: Vec<Change<'_>> = values.chain(timers).collect();
    store.apply(&changes, Some(Mark { position: Some(number + 1), at_ms: 0 })).expect("applied");
}

/// What the child does until it is killed. As a test of its own it has nothing to do.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let mut store = open(&dir);
    for number in store.position().unwrap_or(0).. {
        apply(&mut *store, number);
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "applied {number}").and_then(|()| stdout.flush()).expect("the parent listens");
    }
}

/// Runs a child, kills it once it has applied that many batches, and returns the last that it told of.
fn run_and_kill(dir: &str, enough: usize) -> Option<i64> {
    let mut child = Command::new(std::env::current_exe().expect("the test's binary"))
        .args(["--exact", "child", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let mut numbers = lines.filter_map(|line| line.strip_prefix("applied ")?.parse::<i64>().ok());
    let last = numbers.by_ref().take(enough).last();
    child.kill().expect("kill -9");
    child.wait().expect("it is dead");
    // What it wrote between the last look and its end.
    numbers.last().or(last)
}

/// Everything after so many batches.
fn expected(batches: i64) -> BTreeMap<Vec<u8>, (Vec<u8>, i64)> {
    let mut model = BTreeMap::new();
    for (key, value) in (0..batches).flat_map(batch) {
        match value {
            Some(value) => drop(model.insert(key.into_bytes(), value)),
            None => drop(model.remove(key.as_bytes())),
        }
    }
    model
}

#[test]
fn a_killed_process_leaves_what_its_position_says() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().to_str().unwrap();
    let mut told = -1;
    for run in 1..=KILLS {
        // From right after the start, while the cache is being opened, to far into the work.
        let enough = (run * run * 7 % 1_200) * i64::from(run % 6 != 0);
        told = run_and_kill(path, usize::try_from(enough).unwrap()).unwrap_or(told).max(told);
        let store = open(path);
        let position = store.position().unwrap_or(0);
        assert!(position > told, "batch {told} was applied, the cache is at {position}");
        let model = expected(position);
        let found: Vec<_> = store.scan(b"").map(|pair| pair.map(|(k, v)| (k.into_owned(), v.into_owned()))).collect();
        let found: Vec<_> = found.into_iter().collect::<Result<_, _>>().unwrap();
        let wanted: Vec<_> = model.iter().map(|(k, (v, _))| (k.clone(), v.clone())).collect();
        assert!(found == wanted, "{} keys at {position}, wanted {}", found.len(), wanted.len());
        let found: Vec<DueTimer> = store.timers(TimerKind::Time, &DueTimer::FIRST).collect::<Result<_, _>>().unwrap();
        let mut wanted: Vec<DueTimer> = model.into_iter().map(|(key, (_, due_ms))| DueTimer { due_ms, key }).collect();
        wanted.sort();
        assert!(found == wanted, "{} timers at {position}, wanted {}", found.len(), wanted.len());
    }
    assert!(told > 3_000, "the last batch was {told}");
}
