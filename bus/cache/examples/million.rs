//! Measures a cache of one million keys, each with a timer: how fast they are applied, as a restore does
//! it; what memory stays resident; how long opening takes after a kill and in order; reads; taking the
//! timers; small commits. `cargo run --release -p petrel-bus-cache --example million [keys] [partitions]`.
#![expect(clippy::disallowed_methods, reason = "a measurement")]

use std::fmt::Arguments;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use petrel_bus::{PartitionState, StateStores, StoreName, TimerKind};
use petrel_bus_cache::{CacheOptions, DiskStores};

const VALUE_BYTES: usize = 400;

fn main() {
    let argument = |n: usize, default: u64| std::env::args().nth(n).map_or(default, |a| a.parse().expect("a number"));
    let (keys, partitions) = (argument(1, 1_000_000), argument(2, 16));
    let dir = tempfile::tempdir().expect("a directory");
    say(format_args!("{keys} keys of {VALUE_BYTES} bytes with a timer each, {partitions} partitions"));
    fill(dir.path(), keys, partitions);
    reopen(dir.path(), keys, partitions);
    take_timers(dir.path(), keys, partitions);
}

fn open(dir: &Path, partitions: u64) -> Vec<PartitionState> {
    let began = Instant::now();
    let stores = DiskStores::open(CacheOptions::new(dir, "cluster")).expect("a cache");
    let opened = began.elapsed();
    let name = |partition| StoreName { stage: "s".into(), changelog: "c".into(), partition };
    let states: Vec<PartitionState> = (0..u32::try_from(partitions).expect("few"))
        .map(|n| PartitionState::new(stores.open(&name(n), 0).expect("a store"), 1_000_000))
        .collect();
    let due: Vec<_> = states.iter().map(|state| state.next_due_ms(TimerKind::Time)).collect();
    tell("opened", 0, began.elapsed());
    say(format_args!("   of that the database {opened:.0?}; first timer {:?}", due.first()));
    states
}

fn fill(dir: &Path, keys: u64, partitions: u64) {
    let mut states = open(dir, partitions);
    let began = Instant::now();
    for n in 0..keys {
        let state = &mut states[(n % partitions) as usize];
        let key = key(n);
        state.restore(key.as_bytes(), Some(&value(n)));
        let timer = [&[1], &due_ms(n).to_be_bytes()[..]].concat();
        state.restore(format!("~t/{key}").as_bytes(), Some(&timer));
    }
    for state in &mut states {
        state.restored(i64::try_from(keys).expect("few"), 0).expect("restored");
    }
    tell("restored from nothing", keys, began.elapsed());
}

fn reopen(dir: &Path, keys: u64, partitions: u64) {
    let mut states = open(dir, partitions);
    let reads = 200_000.min(keys);
    // A prime, so that the reads are spread over everything.
    let spread = |n: u64| n.wrapping_mul(7_919_993) % keys;
    let began = Instant::now();
    for n in 0..reads {
        let n = spread(n);
        assert!(states[(n % partitions) as usize].get(key(n).as_bytes()).is_some());
    }
    tell("reads of what is there, spread", reads, began.elapsed());
    let began = Instant::now();
    for n in 0..reads {
        let n = keys + spread(n);
        assert!(states[(n % partitions) as usize].get(key(n).as_bytes()).is_none());
    }
    tell("reads of what is not there", reads, began.elapsed());
    let hot = 1_000.min(keys);
    let began = Instant::now();
    for n in 0..reads {
        let n = n % hot;
        assert!(states[(n % partitions) as usize].get(key(n).as_bytes()).is_some());
    }
    tell("reads of a thousand keys over and over", reads, began.elapsed());
    let commits = 2_000;
    let began = Instant::now();
    for n in 0..commits {
        let state = &mut states[(n % partitions) as usize];
        for change in 0..10 {
            let n = spread(n * 10 + change);
            let n = n - n % partitions + (n * partitions + (n % partitions)) % partitions;
            state.put(key(n).as_bytes(), value(n)).expect("small");
        }
        state.commit(0).expect("a commit");
    }
    tell("commits of ten changed keys", commits, began.elapsed());
}

fn take_timers(dir: &Path, keys: u64, partitions: u64) {
    let mut states = open(dir, partitions);
    let began = Instant::now();
    let mut taken = 0;
    for state in &mut states {
        while state.next_due_ms(TimerKind::Time).is_some() {
            taken += state.take_due(TimerKind::Time, i64::MAX, 1024).len() as u64;
            state.commit(0).expect("a commit");
        }
    }
    assert_eq!(taken, keys);
    tell("timers taken", taken, began.elapsed());
    drop(states);
    open(dir, partitions);
}

fn key(n: u64) -> String {
    format!("{:032x}", u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

fn due_ms(n: u64) -> i64 {
    i64::try_from(n.wrapping_mul(2_654_435_761) % 3_600_000).expect("small")
}

/// Half of it compresses, as records do.
fn value(n: u64) -> Vec<u8> {
    let mut value = vec![b'x'; VALUE_BYTES / 2];
    let mut random = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    while value.len() < VALUE_BYTES {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        value.extend_from_slice(&random.to_le_bytes());
    }
    value
}

fn tell(what: &str, count: u64, took: Duration) {
    let each =
        if count == 0 { String::new() } else { format!(", {:.2} µs each", took.as_secs_f64() * 1e6 / count as f64) };
    say(format_args!("{what}: {took:.1?}{each}; resident {} MB; {:.1} s of CPU so far", resident_mb(), cpu_seconds()));
}

fn say(line: Arguments<'_>) {
    writeln!(std::io::stdout(), "{line}").expect("somebody reads");
}

/// Of all threads, since the process began.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    // In ticks, of which there are a hundred a second.
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}
