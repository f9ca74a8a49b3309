//! Members that went on after they were given up.

use super::*;

#[test]
fn a_member_that_expired_still_writes_and_is_refused_when_it_commits() {
    let log = Log::new();
    let mut zombie = log.owner("one");
    log.clock.advance(10_001);
    let mut heir = log.owner("two");
    zombie.send(record("out", "k", Some("zombie")), 0).unwrap();
    log.step(&mut *heir, "heir", 1).unwrap();
    assert_eq!(log.values("out"), Vec::<String>::new(), "the zombie holds back its heir's output");
    let refused = zombie.commit(&[position(1)]);
    assert!(matches!(refused, Err(SessionError::Rebuild(_))), "{refused:?}");
    drop(zombie);
    let _again = log.join("one");
    assert_eq!(log.values("out"), ["heir"]);
}

#[test]
fn a_transaction_without_offsets_is_not_fenced_by_the_group() {
    let log = Log::new();
    let mut zombie = log.owner("one");
    log.clock.advance(10_001);
    let _heir = log.owner("two");
    zombie.send(record("out", "k", Some("zombie")), 0).unwrap();
    zombie.commit(&[]).unwrap();
    assert_eq!(log.values("out"), ["zombie"]);
}

#[test]
fn a_newer_producer_of_the_same_name_fences_the_older() {
    let log = Log::new();
    let mut zombie = log.owner("one");
    let _heir = log.owner("one");
    let sent = zombie.send(record("out", "k", Some("zombie")), 0);
    assert!(matches!(sent, Err(SessionError::Rebuild(_))), "{sent:?}");
}

#[test]
fn a_transaction_that_was_open_for_too_long_fences_its_producer() {
    let log = Log::new();
    let mut slow = log.owner("one");
    slow.send(record("out", "k", Some("slow")), 0).unwrap();
    for _ in 0..5 {
        log.clock.advance(5_000);
        slow.fetch(Duration::ZERO, 1, &mut |_| {}).unwrap();
    }
    let refused = slow.commit(&[position(1)]);
    assert!(matches!(refused, Err(SessionError::Rebuild(_))), "{refused:?}");
    assert_eq!(log.values("out"), Vec::<String>::new());
}

#[test]
fn who_cannot_reach_the_log_is_silent() {
    let log = Log::new();
    let mut away = log.owner("one");
    log.bus.unreachable_for(11_000);
    log.clock.advance(6_000);
    assert!(away.fetch(Duration::ZERO, 1, &mut |_| {}).is_err());
    log.clock.advance(5_000);
    assert!(away.commit(&[position(1)]).is_err(), "it has expired meanwhile");
    assert_eq!(begin(&mut *log.join("two")).unwrap(), [position(0)]);
}
