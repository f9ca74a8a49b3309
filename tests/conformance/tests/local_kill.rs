//! Kill -9 of a process that writes to a local log: nothing acknowledged is lost, nothing is doubled.
//!
//! The test starts itself again as a child, which publishes numbers and runs a counting stage. After
//! every acknowledgement the child writes the number to its standard output. The parent kills it at
//! an arbitrary moment, many times over, and then looks at the log.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use petrel_bus::{
    Bus, Driver, DriverOptions, InputTopic, Output, OwnedRecord, SessionOptions, Start, StateStores, TopicSpec,
};
use petrel_bus_cache::{CacheOptions, DiskStores};
use petrel_bus_local::{LocalBus, LocalOptions};
use petrel_conformance_tests::{CountStage, SharedSettings, Topics, WallClock};

const DIR: &str = "PETREL_TEST_KILL_DIR";
const FIRST: &str = "PETREL_TEST_KILL_FIRST";
const KILLS: u64 = 24;

fn topics() -> Topics {
    Topics {
        inputs: vec![InputTopic { name: "in".into(), start: Start::Beginning, with: None }],
        output: "out".into(),
        changelog: "state".into(),
    }
}

fn open(dir: &str) -> LocalBus {
    let bus = LocalBus::open(LocalOptions::new(dir), Arc::new(WallClock)).expect("the log opens, whatever happened");
    let spec = |name: &str, compacted| TopicSpec {
        name: name.into(),
        partitions: 3,
        compacted,
        retention_ms: None,
        delete_retention_ms: None,
    };
    bus.ensure_topics(&[spec("in", false), spec("out", false), spec("state", true)]).expect("topics");
    bus
}

fn driver<'s>(dir: &str, bus: &LocalBus, stage: &'s mut CountStage) -> Driver<'s, CountStage> {
    let options = SessionOptions { group: "g".into(), member: "m".into(), transactional: true };
    let session = bus.session(&options).expect("a session");
    let cluster_id = bus.cluster_id().expect("it is here");
    let stores = DiskStores::open(CacheOptions::new(Path::new(dir).join("state"), cluster_id)).expect("a cache");
    let stores: Option<Arc<dyn StateStores>> = Some(Arc::new(stores));
    let settings = DriverOptions {
        commit_interval_ms: 5,
        quiet_commit_interval_ms: 5,
        idle_wait_ms: 1,
        position_interval_ms: 20,
        stores,
        ..DriverOptions::default()
    };
    Driver::new(stage, session, SharedSettings::new(), Arc::new(WallClock), settings, Arc::default())
}

/// What the child does until it is killed. As a test of its own it has nothing to do.
#[test]
fn child() {
    let (Ok(dir), Ok(first)) = (std::env::var(DIR), std::env::var(FIRST)) else { return };
    let bus = open(&dir);
    let publisher = bus.publisher("child").expect("a publisher");
    let mut next: u64 = first.parse().expect("a number");
    std::thread::spawn(move || {
        let topic: Arc<str> = "in".into();
        loop {
            let numbers = next..next + 1 + next % 7;
            let output = |n| Output::keyed(&topic, format!("k{}", n % 13), format!("#{n}").into_bytes());
            publisher.publish(numbers.clone().map(output).collect()).wait().expect("acknowledged");
            next = numbers.end;
            let mut stdout = std::io::stdout().lock();
            for n in numbers {
                writeln!(stdout, "acknowledged {n}").expect("the parent listens");
            }
            stdout.flush().expect("the parent listens");
        }
    });
    let mut stage = CountStage::new("count", topics());
    let mut driver = driver(&dir, &bus, &mut stage);
    loop {
        driver.tick().expect("nothing fails here");
    }
}

/// Runs a child, kills it as soon as it has acknowledged that many numbers, and returns all that it had.
fn run_and_kill(dir: &str, first: u64, enough: usize) -> Vec<u64> {
    let mut child = Command::new(std::env::current_exe().expect("the test's binary"))
        .args(["--exact", "child", "--nocapture"])
        .env(DIR, dir)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child");
    let stdout = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let mut numbers = stdout.filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok());
    let mut told: Vec<u64> = numbers.by_ref().take(enough).collect();
    child.kill().expect("kill -9");
    child.wait().expect("it is dead");
    // What it wrote between the last look and its end.
    told.extend(numbers);
    told
}

fn records(bus: &LocalBus, topic: &str) -> Vec<(u32, OwnedRecord)> {
    let mut tail = bus.tail(topic).expect("a tail");
    let mut records = Vec::new();
    while !tail.caught_up() {
        tail.next(Duration::ZERO, &mut |p, r| records.push((p, r.to_owned()))).expect("readable");
    }
    records
}

#[test]
fn a_killed_process_loses_nothing_acknowledged() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().to_str().unwrap();
    let mut acknowledged: BTreeSet<u64> = BTreeSet::new();
    for run in 1..=KILLS {
        // From right after the start, while the log is being opened, to far into the work.
        let enough = (run * run * 7 % 900) as usize * usize::from(run % 6 != 0);
        acknowledged.extend(run_and_kill(path, run * 1_000_000, enough));
    }
    assert!(acknowledged.len() > 1_000, "{} acknowledged", acknowledged.len());
    let bus = open(path);
    let inputs = records(&bus, "in");
    let numbers: Vec<u64> = inputs
        .iter()
        .map(|(_, r)| String::from_utf8_lossy(r.value.as_deref().unwrap())[1..].parse().unwrap())
        .collect();
    let found: BTreeSet<u64> = numbers.iter().copied().collect();
    assert_eq!(found.len(), numbers.len(), "nothing is there twice");
    let lost: Vec<_> = acknowledged.difference(&found).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged records are lost", lost.len(), acknowledged.len());
    let mut stage = CountStage::new("count", topics());
    let mut driver = driver(path, &bus, &mut stage);
    petrel_testkit::wait_until("the stage has worked everything off", Duration::from_secs(60), || {
        driver.tick().expect("nothing fails here");
        records(&bus, "out").len() >= inputs.len()
    });
    driver.finish().unwrap();
    let mut expected: Vec<String> = inputs.iter().map(|(p, r)| format!("in/{p}/{}", r.offset)).collect();
    let from =
        |r: &OwnedRecord| String::from_utf8_lossy(r.value.as_deref().unwrap()).split(' ').next().unwrap().to_owned();
    let mut outputs: Vec<String> = records(&bus, "out").iter().map(|(_, r)| from(r)).collect();
    expected.sort();
    outputs.sort();
    assert_eq!(outputs, expected, "one output per input after {KILLS} kills");
}
