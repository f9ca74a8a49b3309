//! Which class has a free slot, and what a drained worker does with tasks.

use super::*;

#[test]
fn a_drained_worker_sends_tasks_elsewhere_and_not_round_without_a_pause() {
    let mut worker = Worker::new(1);
    worker.slots.set_drained(true);
    let again = encode(&Task { declines: 1, ..task("b", "now") });
    let noop = encode(&task("c", "noop"));
    let (consumed, outputs) = worker.step(&[now("a"), noop, again.clone()]);
    assert_eq!((consumed, told(&outputs)), (2, vec!["shutting_down a".to_owned(), "shutting_down c".to_owned()]));
    worker.blocked_ms = 2_000;
    assert_eq!(told(&worker.step(&[again]).1), ["shutting_down b"]);
    worker.slots.set_drained(false);
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
