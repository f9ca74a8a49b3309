use super::*;
use crate::store::TimerKind::{Silence, Time};
use crate::store::{MemoryStores, StateStores, StoreName};

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn due(due_ms: i64, key: &[u8]) -> DueTimer {
    DueTimer { due_ms, key: key.to_vec() }
}

/// Keys, then timers of both kinds, which are left as they were.
fn snapshot(state: &mut PartitionState) -> (Pairs, [Vec<DueTimer>; 2]) {
    let pairs = state.scan(b"").map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
    let timers = TimerKind::ALL.map(|kind| {
        let taken = state.take_due(kind, i64::MAX, usize::MAX);
        taken.iter().for_each(|timer| state.set_timer(&timer.key, kind, timer.due_ms));
        taken
    });
    (pairs, timers)
}

fn put(state: &mut PartitionState, key: &[u8], value: &[u8]) {
    state.put(key, value.to_vec()).unwrap();
}

#[test]
fn abort_takes_everything_back() {
    let mut state = PartitionState::default();
    put(&mut state, b"a", b"1");
    state.set_timer(b"t", Time, 10);
    state.set_timer(b"u", Time, 20);
    state.commit(0).unwrap();
    let before = snapshot(&mut state);
    put(&mut state, b"a", b"2");
    put(&mut state, b"a", b"3");
    put(&mut state, b"b", b"1");
    state.delete(b"b");
    state.delete(b"a");
    assert_eq!(state.take_due(Time, 15, 10), [due(10, b"t")]);
    state.set_timer(b"u", Time, 5);
    assert_eq!(state.next_due_ms(Time), Some(5));
    state.cancel_timer(b"u");
    assert_eq!(state.next_due_ms(Time), None);
    state.abort();
    assert_eq!(snapshot(&mut state), before);
    assert_eq!(state.changes().count(), 0);
}

#[test]
fn changelog_restores_what_was_committed() {
    let mut state = PartitionState::default();
    let mut copy = PartitionState::default();
    let steps: [&dyn Fn(&mut PartitionState); 5] = [
        &|s| put(s, b"k", b"v"),
        &|s| s.set_timer(b"k", Time, 7),
        &|s| s.delete(b"k"),
        &|s| s.set_timer(b"k", Silence, 8),
        &|s| s.set_timer(b"k", Time, 9),
    ];
    for (position, step) in (1..).zip(steps) {
        step(&mut state);
        for (key, value) in state.changes() {
            copy.restore(&key, value.as_deref());
        }
        copy.restored(position, 0).unwrap();
        state.commit(0).unwrap();
        assert_eq!(snapshot(&mut copy), snapshot(&mut state));
    }
    assert_eq!((copy.next_due_ms(Time), copy.next_due_ms(Silence)), (Some(9), None));
    assert_eq!(copy.position(), Some(5));
}

#[test]
fn only_net_changes_are_written() {
    let mut state = PartitionState::default();
    state.set_timer(b"kept", Time, 3);
    state.commit(0).unwrap();
    put(&mut state, b"k", b"v");
    state.set_timer(b"k", Time, 1);
    state.set_timer(b"kept", Silence, 2);
    state.delete(b"k");
    state.cancel_timer(b"k");
    state.set_timer(b"kept", Time, 3);
    assert_eq!(state.changes().count(), 0);
    assert!(!state.is_changed());
    assert_eq!(state.next_due_ms(Time), Some(3));
}

#[test]
fn a_scan_sees_open_changes_in_their_place() {
    let mut state = PartitionState::default();
    for key in [b"b", b"d", b"f"] {
        put(&mut state, key, b"old");
    }
    state.commit(0).unwrap();
    put(&mut state, b"a", b"new");
    put(&mut state, b"d", b"new");
    put(&mut state, b"e", b"new");
    state.delete(b"f");
    let seen = |state: &PartitionState, from: &[u8]| -> Vec<String> {
        let text = |(k, v): Pair<'_>| format!("{}={}", String::from_utf8_lossy(&k), String::from_utf8_lossy(&v));
        state.scan(from).map(text).collect()
    };
    assert_eq!(seen(&state, b""), ["a=new", "b=old", "d=new", "e=new"]);
    assert_eq!(seen(&state, b"c"), ["d=new", "e=new"]);
    state.abort();
    assert_eq!(seen(&state, b"c"), ["d=old", "f=old"]);
}

#[test]
fn due_timers_come_in_order_however_they_are_split() {
    let mut state = PartitionState::default();
    for n in 0..10_u8 {
        state.set_timer(&[n], Time, i64::from(n % 5));
    }
    state.commit(0).unwrap();
    // Some of them moved, one of them gone, one new: none of it committed.
    state.set_timer(&[0], Time, 9);
    state.set_timer(&[9], Time, -1);
    state.cancel_timer(&[5]);
    state.set_timer(&[20], Time, 2);
    let wanted = [(-1, 9), (1, 1), (1, 6), (2, 2), (2, 7), (2, 20), (3, 3), (3, 8), (4, 4)];
    let mut taken = Vec::new();
    while let Some(due_ms) = state.next_due_ms(Time).filter(|due_ms| *due_ms <= 4) {
        let some = state.take_due(Time, 4, 2);
        assert_eq!(some[0].due_ms, due_ms);
        taken.extend(some.into_iter().map(|t| (t.due_ms, t.key[0])));
    }
    assert_eq!(taken, wanted);
    assert_eq!(state.next_due_ms(Time), Some(9));
    state.abort();
    assert_eq!(state.next_due_ms(Time), Some(0));
}

#[test]
fn what_the_changelog_could_not_take_is_refused_in_the_step() {
    let mut state = PartitionState::new(Box::new(MemoryStore::default()), 10);
    assert_eq!(state.put(b"key", vec![0; 8]), Err(StateTooLarge { bytes: 11, limit_bytes: 10 }));
    assert_eq!(state.get(b"key"), None);
    assert_eq!(state.put(b"key", vec![0; 7]), Ok(()));
    let mut state = PartitionState::default();
    let bytes = KEY_BYTES_MAX + 1;
    assert_eq!(state.put(&vec![b'k'; bytes], Vec::new()), Err(StateTooLarge { bytes, limit_bytes: KEY_BYTES_MAX }));
}

#[test]
fn a_store_that_does_not_answer_is_noted_and_stays_noted() {
    let stores = MemoryStores::default();
    let name = StoreName { stage: "s".into(), changelog: "c".into(), partition: 0 };
    let reads: [&dyn Fn(&mut PartitionState); 6] = [
        &|s| assert_eq!(s.get(b"k"), None),
        &|s| assert_eq!(s.scan(b"").count(), 0),
        &|s| s.delete(b"k"),
        &|s| s.set_timer(b"k", Time, 1),
        &|s| assert_eq!(s.next_due_ms(Time), None),
        &|s| assert!(s.take_due(Time, 9, 9).is_empty()),
    ];
    for read in reads {
        let mut state = PartitionState::new(stores.open(&name, 0).unwrap(), 100);
        state.restore(b"k", Some(b"v"));
        state.restored(1, 0).unwrap();
        stores.fail_after(0);
        assert_eq!(state.failure(), None);
        read(&mut state);
        assert!(state.failure().is_some());
        assert_eq!(state.get(b"k").as_deref(), Some(&b"v"[..]));
        assert!(state.failure().is_some(), "a later answer does not mend an earlier one");
        state.discard().unwrap();
        assert_eq!((state.failure(), state.get(b"k"), state.position()), (None, None, None));
    }
}

#[test]
fn only_silences_of_the_kind_that_is_meant_are_brought_forward() {
    let mut state = PartitionState::default();
    for (key, due_ms) in [(&b"a/lease"[..], 5_000), (b"b/lease", 90), (b"a/start", 86_400_000)] {
        state.set_timer(key, Silence, due_ms);
    }
    state.set_timer(b"c/lease", Time, 9_000);
    state.commit(0).unwrap();
    assert_eq!(state.bring_forward(Silence, 100, b"/lease", 9), 1);
    state.commit(0).unwrap();
    assert_eq!(state.bring_forward(Silence, 100, b"/lease", 9), 0, "nothing is found twice");
    let due: Vec<(i64, Vec<u8>)> =
        state.take_due(Silence, i64::MAX, 9).into_iter().map(|timer| (timer.due_ms, timer.key)).collect();
    let expected = [(90, &b"b/lease"[..]), (100, b"a/lease"), (86_400_000, b"a/start")];
    assert_eq!(due, expected.map(|(due_ms, key)| (due_ms, key.to_vec())));
    assert_eq!(state.next_due_ms(Time), Some(9_000));
}

#[test]
fn stores_outlive_whoever_opens_them_unless_they_are_stale_or_superseded() {
    let stores = MemoryStores::with_age_ms_max(100);
    let name = StoreName { stage: "s".into(), changelog: "c".into(), partition: 0 };
    let open = |now_ms| PartitionState::new(stores.open(&name, now_ms).unwrap(), 100);
    let mut state = open(0);
    state.restore(b"k", Some(b"v"));
    drop(state);
    assert_eq!(open(0).position(), None, "a restore that did not reach its end is worth nothing");
    let mut state = open(0);
    state.restore(b"k", Some(b"v"));
    state.restored(7, 50).unwrap();
    drop(state);
    let state = open(150);
    assert_eq!((state.position(), state.get(b"k").as_deref()), (Some(7), Some(&b"v"[..])));
    drop(state);
    assert_eq!(open(151).position(), None);
    let (mut first, _second) = (open(0), open(0));
    first.restore(b"k", Some(b"v"));
    assert!(first.restored(1, 0).is_err());
}

/// The changelog and the store hold the same bytes, those that the installation writes.
#[test]
fn values_pass_on_their_way_into_the_changelog_and_the_store() {
    #[derive(Debug)]
    struct Halve;
    impl Outgoing for Halve {
        fn written(&self, mut value: Vec<u8>) -> Vec<u8> {
            value.truncate(value.len() / 2);
            value
        }
    }
    let mut state = PartitionState::default().passing(Some(Arc::new(Halve)));
    state.put(b"a", b"1234".to_vec()).unwrap();
    let changes: Vec<_> = state.changes().map(|(key, value)| (key.into_owned(), value)).collect();
    assert_eq!(changes, [(b"a".to_vec(), Some(b"12".to_vec()))]);
    state.commit(1).unwrap();
    assert_eq!(state.get(b"a").as_deref(), Some(&b"12"[..]));
}
