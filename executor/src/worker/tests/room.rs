//! What a worker has for what actions say that they need.

use super::*;

/// Eight bytes, and more slots than matter.
fn worker() -> Worker {
    Worker::with_slots(Slots::with_room(100, Needs { memory_bytes: 8, cpu_milli: 1_000 }))
}

fn needs(execution: &str, bytes: u64) -> Vec<u8> {
    encode(&task(execution, &format!("needs {bytes}")))
}

#[test]
fn only_what_fits_is_claimed_and_its_room_comes_back_with_its_end() {
    let mut worker = worker();
    let (consumed, outputs) = worker.step(&[needs("a", 5), needs("b", 4)]);
    assert_eq!((consumed, told(&outputs)), (1, vec!["claim a".to_owned()]), "in the same transaction");
    worker.stage.committed();
    let running = worker.handed_over();
    assert_eq!(worker.slots.free_room().memory_bytes, 3);
    assert_eq!(worker.step(&[needs("b", 4)]).0, 0);
    assert_eq!(told(&worker.step(&[now("c")]).1), ["claim c"], "it needs nothing");
    worker.stage.committed();
    drop(running);
    assert_eq!(told(&worker.step(&[needs("b", 4)]).1), ["claim b"]);
}

#[test]
fn what_is_too_large_for_the_whole_worker_goes_elsewhere_at_once() {
    let mut worker = worker();
    assert_eq!(told(&worker.step(&[needs("a", 9), needs("b", 8)]).1), ["too_small a", "claim b"]);
}

#[test]
fn small_ones_do_not_take_what_a_large_one_waits_for() {
    let mut worker = worker();
    worker.step(&[needs("a", 4), needs("b", 2)]);
    worker.stage.committed();
    let mut running = worker.handed_over();
    assert_eq!(worker.step(&[needs("large", 8)]).0, 0);
    // There is room for it, on another partition, but somebody is before it.
    assert_eq!(worker.step(&[needs("c", 2)]).0, 0);
    worker.stage.committed();
    running.pop();
    assert_eq!(worker.step(&[needs("c", 2)]).0, 0);
    // It was declined, by everybody, and is to come back: its place is kept.
    worker.blocked_ms = 2_000;
    assert_eq!(told(&worker.step(&[needs("large", 8)]).1), ["full large"]);
    worker.stage.committed();
    worker.blocked_ms = 0;
    assert_eq!(worker.step(&[needs("c", 2)]).0, 0);
    running.clear();
    assert_eq!(told(&worker.step(&[needs("large", 8), needs("c", 2)]).1), ["claim large"]);
    worker.stage.committed();
    drop(worker.handed_over());
    assert_eq!(told(&worker.step(&[needs("c", 2)]).1), ["claim c"]);
}

#[test]
fn a_place_is_not_kept_while_others_may_have_room() {
    let mut worker = worker();
    worker.workers = 2;
    worker.step(&[needs("a", 4)]);
    worker.stage.committed();
    let _running = worker.handed_over();
    worker.blocked_ms = 2_000;
    assert_eq!(told(&worker.step(&[needs("large", 8)]).1), ["full large"]);
    assert_eq!(told(&worker.step(&[needs("c", 4)]).1), ["claim c"]);
}
