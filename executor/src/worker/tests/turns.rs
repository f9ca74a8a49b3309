//! Which class has a free slot, and what a drained worker does with tasks.

use super::*;

#[test]
fn a_drained_worker_sends_tasks_elsewhere_and_not_round_without_a_pause() {
    let mut worker = Worker::new(1);
    worker.slots.set_drained(Some(1));
    // Whoever has the other partitions: they are as many as the ways that a task goes before one comes again.
    worker.workers = 2;
    let round = |declines| encode(&Task { declines, ..task("b", "now") });
    let (noop, last) = (encode(&task("c", "noop")), i32::try_from(PARTITIONS).unwrap());
    let (consumed, outputs) = worker.step(&[now("a"), noop, round(2), round(last - 1), round(last)]);
    let declined = ["a", "c", "b", "b"].map(|id| format!("shutting_down {id}"));
    assert_eq!((consumed, told(&outputs)), (4, declined.to_vec()));
    // All have declined it, and it has waited for twice as long as before a worker that is full.
    worker.blocked_ms = 3_999;
    assert_eq!(told(&worker.step(&[round(last)]).1), [""; 0]);
    worker.blocked_ms = 4_000;
    assert_eq!(told(&worker.step(&[round(last)]).1), ["shutting_down b"]);
    worker.slots.set_drained(None);
    assert_eq!(told(&worker.step(&[now("a")]).1), ["claim a"]);
}

#[test]
fn slots_go_to_the_classes_by_their_turns() {
    let mut worker = Worker::new(1);
    worker.step(&[now("first")]);
    worker.stage.committed();
    let mut running = worker.handed_over();
    let mut claimed = Vec::new();
    for turn in 0..=13 {
        worker.looked_ms += 1_000;
        // What is the least urgent comes first from the log.
        for class in [Class::Bulk, Class::Normal, Class::Urgent] {
            let (consumed, outputs) = worker.offer(class, &[now(class.as_str()), now(class.as_str())]);
            claimed.extend(told(&outputs));
            assert_eq!(consumed, outputs.len());
        }
        assert_eq!(claimed.len(), turn, "one slot each turn, but for the first");
        worker.stage.committed();
        running.clear();
        drop(worker.handed_over());
    }
    let count = |claim: &str| claimed.iter().filter(|claimed| *claimed == claim).count();
    assert_eq!(["claim urgent", "claim normal", "claim bulk"].map(count), [8, 4, 1]);
    let inputs = worker.stage.inputs(&worker.inputs());
    let names: Vec<(&str, Option<&str>)> = inputs.iter().map(|input| (&*input.name, input.with.as_deref())).collect();
    let leader = Some("petrel.tasks.default");
    assert_eq!(
        names,
        [
            ("petrel.tasks.default.urgent", leader),
            ("petrel.tasks.default", None),
            ("petrel.tasks.default.bulk", leader)
        ]
    );
}
