//! Files that were cut or changed: a cache that was damaged says so or begins anew, and never answers
//! wrongly. And what must be thrown away although it can be read.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use petrel_bus::{PartitionState, StateStores, StoreName, TimerKind};
use petrel_bus_cache::{CacheOptions, DiskStores};
use tempfile::TempDir;

type Log = Vec<(Vec<u8>, Option<Vec<u8>>)>;

fn options(dir: &Path) -> CacheOptions {
    // The smallest there is, so that a small state fills several tables.
    CacheOptions { memory_bytes_max: 0, ..CacheOptions::new(dir, "cluster") }
}

fn name(partition: u32) -> StoreName {
    StoreName { stage: "owner".into(), changelog: "executions".into(), partition }
}

fn state(stores: &DiskStores, partition: u32, now_ms: i64) -> PartitionState {
    PartitionState::new(stores.open(&name(partition), now_ms).expect("a store"), 1_000_000)
}

/// A changelog that writes every key several times and removes some.
fn changelog(records: usize) -> Log {
    let record = |n: usize| {
        let key = format!("key-{}", n.wrapping_mul(2_654_435_761) % 3_000).into_bytes();
        let value = format!("{n:08}-").repeat(40).into_bytes();
        let timer = [&[1], &(n as i64 % 1_000).to_be_bytes()[..]].concat();
        match n % 7 {
            0 => (key, None),
            1..4 => ([b"~t/", &key[..]].concat(), Some(timer)),
            _ => (key, Some(value)),
        }
    };
    (0..records).map(record).collect()
}

fn replay(state: &mut PartitionState, log: &Log, from: i64) {
    for (key, value) in &log[usize::try_from(from).unwrap()..] {
        state.restore(key, value.as_deref());
    }
}

/// Everything of a state, unless a read failed.
fn content(state: &mut PartitionState) -> Option<Content> {
    let values = state.scan(b"").map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    let mut timers = Vec::new();
    for kind in TimerKind::ALL {
        timers.extend(state.take_due(kind, i64::MAX, usize::MAX).into_iter().map(|t| (kind, t.due_ms, t.key)));
    }
    state.abort();
    state.failure().is_none().then_some(Content { values, timers })
}

#[derive(PartialEq)]
struct Content {
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    timers: Vec<(TimerKind, i64, Vec<u8>)>,
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false => files.push(path),
        }
    }
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(fs::copy(&path, &target).unwrap()),
        }
    }
}

/// What a member does that finds a cache: what fails is discarded, opened anew and restored. Whether it
/// was of use as it was.
fn mend(dir: &Path, log: &Log) -> (Content, bool) {
    let stores = DiskStores::open(options(dir)).expect("it opens or begins anew");
    let end = i64::try_from(log.len()).unwrap();
    let mut was_used = true;
    for _ in 0..3 {
        let Ok(store) = stores.open(&name(0), 0) else { continue };
        let mut state = PartitionState::new(store, 1_000_000);
        let from = state.position().unwrap_or(0);
        was_used &= from > 0;
        replay(&mut state, log, from);
        if state.restored(end, 0).is_ok()
            && let Some(content) = content(&mut state)
        {
            return (content, was_used);
        }
        was_used = false;
        // The disk may be such that not even this works.
        let _ = state.discard();
    }
    panic!("a damaged cache stays in the way");
}

const RECORDS: usize = 12_000;
const DIR: &str = "PETREL_TEST_DAMAGE_DIR";

/// What a child does with a damaged copy. As a test of its own it has nothing to do.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let log = changelog(RECORDS);
    let (found, was_used) = mend(Path::new(&dir), &log);
    let mut fresh = PartitionState::default();
    replay(&mut fresh, &log, 0);
    fresh.restored(0, 0).unwrap();
    let answer = match (content(&mut fresh) == Some(found), was_used) {
        (false, _) => "wrong",
        (true, true) => "used",
        (true, false) => "anew",
    };
    writeln!(std::io::stdout(), "answer {answer}").expect("the parent listens");
}

/// Processes over that directory until one comes to an answer: damage may abort a process, but not for
/// ever.
fn answer(dir: &Path) -> String {
    for _ in 0..3 {
        let child = Command::new(std::env::current_exe().expect("the test's binary"))
            .args(["--exact", "child", "--nocapture"])
            .env(DIR, dir)
            .stderr(Stdio::null())
            .output()
            .expect("a child");
        let stdout = String::from_utf8_lossy(&child.stdout).into_owned();
        if let Some((_, answer)) = stdout.split_once("answer ") {
            return answer.lines().next().unwrap_or_default().to_owned();
        }
    }
    "none".to_owned()
}

#[test]
fn damaged_files_are_never_answered_from() {
    let whole = TempDir::new().unwrap();
    let log = changelog(RECORDS);
    {
        let stores = DiskStores::open(options(whole.path())).unwrap();
        let mut state = state(&stores, 0, 0);
        for (n, chunk) in (1..).zip(log.chunks(1_000)) {
            chunk.iter().for_each(|(key, value)| state.restore(key, value.as_deref()));
            state.restored(n * 1_000, 0).unwrap();
        }
    }
    assert_eq!(answer(whole.path()), "used", "an undamaged cache is of use");
    let mut answers: BTreeMap<String, usize> = BTreeMap::new();
    for path in files(whole.path()) {
        let bytes = fs::read(&path).unwrap();
        let content_end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let places = [0, 1, 2].map(|n| content_end * n / 3).into_iter().chain(content_end.checked_sub(9));
        let flips = places.clone().map(|at| (at, Damage::Flip));
        let cuts = places.skip(1).map(|at| (at, Damage::Cut));
        for (at, damage) in flips.chain(cuts).filter(|(at, _)| *at < content_end) {
            let copied = TempDir::new().unwrap();
            copy(whole.path(), copied.path());
            let file = copied.path().join(path.strip_prefix(whole.path()).unwrap());
            damage.inflict(&file, &bytes, at);
            let answer = answer(copied.path());
            assert!(answer == "used" || answer == "anew", "{damage:?} at {at} of {}: {answer}", path.display());
            *answers.entry(answer).or_default() += 1;
        }
    }
    assert!(answers["anew"] > 10 && answers["used"] > 0, "{answers:?}");
}

#[derive(Debug, Clone, Copy)]
enum Damage {
    Flip,
    Cut,
}

impl Damage {
    fn inflict(self, file: &Path, bytes: &[u8], at: usize) {
        let mut damaged = bytes.to_vec();
        match self {
            Self::Flip => damaged[at] ^= 0x55,
            Self::Cut => damaged.truncate(at),
        }
        fs::write(file, damaged).unwrap();
    }
}

/// A cache with one key at position 5, whole at instant 100.
fn small(dir: &Path) -> CacheOptions {
    let options = CacheOptions { age_ms_max: 50, ..CacheOptions::new(dir, "cluster") };
    let stores = DiskStores::open(options.clone()).unwrap();
    let mut state = state(&stores, 0, 100);
    state.restore(b"k", Some(b"v"));
    state.restored(5, 100).unwrap();
    options
}

fn found(options: &CacheOptions, partition: u32, now_ms: i64) -> (Option<i64>, bool) {
    let stores = DiskStores::open(options.clone()).unwrap();
    let state = state(&stores, partition, now_ms);
    (state.position(), state.get(b"k").is_some())
}

#[test]
fn only_what_is_of_this_log_and_fresh_is_used() {
    let used = (Some(5), true);
    let anew = (None, false);
    type Change = fn(&mut CacheOptions);
    type Case = (&'static str, Change, u32, i64, (Option<i64>, bool));
    let cases: [Case; 9] = [
        ("nothing changed", |_| (), 0, 150, used),
        ("another partition", |_| (), 1, 100, anew),
        ("too old", |_| (), 0, 151, anew),
        ("another cluster", |o| o.cluster_id = "other".into(), 0, 100, anew),
        ("another memory size", |o| o.memory_bytes_max *= 2, 0, 100, anew),
        ("a changelog made anew", |o| drop(o.incarnations.insert("executions".into(), "2".into())), 0, 100, anew),
        ("a clock that was set back", |_| (), 0, 50, used),
        ("a clock that is an hour behind the one that dated it", |_| (), 0, 100 - 3_600_000, used),
        ("one further behind: somebody's was wrong", |_| (), 0, 99 - 3_600_000, anew),
    ];
    for (what, change, partition, now_ms, wanted) in cases {
        let dir = TempDir::new().unwrap();
        let mut options = small(dir.path());
        change(&mut options);
        assert_eq!(found(&options, partition, now_ms), wanted, "{what}");
    }
}

#[test]
fn a_partition_that_went_elsewhere_is_kept_until_it_is_too_old() {
    let dir = TempDir::new().unwrap();
    let options = small(dir.path());
    assert_eq!(found(&options, 1, 140), (None, false));
    assert_eq!(found(&options, 0, 140), (Some(5), true), "still there");
    // Opening another partition looks after the old ones.
    assert_eq!(found(&options, 1, 151), (None, false));
    assert_eq!(found(&options, 0, 100), (None, false), "gone, though the clock says otherwise now");
}

#[test]
fn what_is_left_is_swept_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let stores = DiskStores::open(options(dir.path())).unwrap();
    let mut kept = state(&stores, 1, 0);
    kept.restore(b"kept", Some(b"v"));
    kept.restored(1, 0).unwrap();
    let mut left = state(&stores, 0, 0);
    for n in 0..5_000 {
        left.restore(format!("{n}").as_bytes(), Some(&[b'x'; 200]));
    }
    left.restored(5_000, 0).unwrap();
    left.discard().unwrap();
    assert!(left.is_empty());
    // Every batch sweeps a little.
    for position in 2..50 {
        kept.note(position, 0).unwrap();
        left.restore(b"new", Some(b"v"));
        left.restored(position, 0).unwrap();
    }
    drop((kept, left));
    drop(stores);
    let stores = DiskStores::open(options(dir.path())).unwrap();
    assert_eq!(state(&stores, 1, 0).get(b"kept").as_deref(), Some(&b"v"[..]));
    let left = state(&stores, 0, 0);
    assert_eq!(left.scan(b"").count(), 1);
    assert_eq!(left.position(), Some(49));
}

#[test]
fn who_opens_a_partition_takes_it_from_whoever_had_it() {
    let dir = TempDir::new().unwrap();
    let stores = DiskStores::open(options(dir.path())).unwrap();
    let mut old = state(&stores, 0, 0);
    old.restore(b"k", Some(b"v"));
    old.restored(1, 0).unwrap();
    // A zombie: committed in the log, not applied yet.
    old.put(b"k", b"zombie".to_vec()).unwrap();
    let mut new = state(&stores, 0, 0);
    assert_eq!(new.position(), Some(1));
    new.restore(b"k", Some(b"newer"));
    new.restored(3, 0).unwrap();
    assert!(old.commit(0).is_err());
    assert_eq!(old.get(b"other"), None);
    assert!(old.failure().is_some());
    drop(old);
    assert_eq!(new.get(b"k").as_deref(), Some(&b"newer"[..]));
}

#[test]
fn one_process_at_a_time() {
    let dir = TempDir::new().unwrap();
    let _first = DiskStores::open(options(dir.path())).unwrap();
    let second = DiskStores::open(options(dir.path()));
    assert!(second.unwrap_err().to_string().contains("in use by another process"));
}
