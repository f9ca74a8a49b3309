//! What owners order of attempts that are held, that are about to be, and that begin beside them.

use super::*;

#[test]
fn orders_reach_what_is_held_and_what_is_about_to_be() {
    let attempts = Attempts::new("w1".into());
    attempts.order(&order("a", 5, "cancel"), NOW_MS);
    let early = attempts.hold(&task("a", "now"), 0);
    assert_eq!(early.borrow().stop(), Some(Stop::Canceled));

    let late = attempts.hold(&task("b", "now"), 0);
    attempts.order(&order("b", 4, "cancel"), NOW_MS);
    attempts.order(&Order { worker: Some("w2".to_owned()), ..order("b", 5, "cancel") }, NOW_MS);
    assert_eq!(late.borrow().stop(), None);
    attempts.order(&Order { worker: Some("w1".to_owned()), ..order("b", 5, "cancel") }, NOW_MS);
    assert_eq!(late.borrow().stop(), Some(Stop::Canceled));

    let once = Task { delivery: "at_most_once".to_owned(), ..task("c", "now") };
    attempts.order(&order("c", 5, "grant"), NOW_MS);
    assert!(!attempts.hold(&once, 0).borrow().awaits_grant());
}

#[test]
fn an_order_that_was_forgotten_comes_again_as_the_answer_to_the_claim() {
    let attempts = Attempts::new("w1".into());
    for n in 0..100_100 {
        attempts.order(&order(&format!("e{n}"), 5, "cancel"), NOW_MS);
    }
    assert_eq!(attempts.hold(&task("e100099", "now"), 0).borrow().stop(), Some(Stop::Canceled));
    let forgotten = attempts.hold(&task("e0", "now"), 0);
    assert_eq!(forgotten.borrow().stop(), None);
    attempts.order(&Order { worker: Some("w1".to_owned()), ..order("e0", 5, "cancel") }, NOW_MS);
    assert_eq!(forgotten.borrow().stop(), Some(Stop::Canceled));
}

#[test]
fn a_worker_that_stops_gives_back_what_has_not_begun_and_then_ends_the_rest() {
    let attempts = Attempts::new("w1".into());
    let begun = attempts.hold(&task("a", "now"), 0);
    begun.send_modify(|h| assert_eq!(h.begin(1), petrel_execution::worker::Begin::Now));
    let waiting = attempts.hold(&task("b", "now"), 0);
    attempts.drain();
    assert_eq!((begun.borrow().stop(), waiting.borrow().stop()), (None, Some(Stop::ShuttingDown)));
    let next = attempts.hold(&task("c", "now"), 0);
    assert_eq!(next.borrow().stop(), Some(Stop::ShuttingDown));
    attempts.end_all();
    assert_eq!(begun.borrow().stop(), Some(Stop::ShuttingDown));
}

#[test]
fn what_is_canceled_or_gone_in_the_step_that_starts_it_does_not_begin() {
    let worker = Worker::new(2);
    worker.slots.share_with_owners(1);
    let attempts = Arc::new(Attempts::new("w1".into()));
    let (sender, mut claims) = mpsc::unbounded_channel();
    let told = Told::new(1_000_000);
    let neighbour = Neighbour {
        worker: "w1".into(),
        pool: "default".into(),
        slots: worker.slots.clone(),
        attempts: attempts.clone(),
        claims: sender.downgrade(),
    };
    assert!(neighbour.look(&told, BOOT_MS).is_none(), "it does not follow the orders yet");
    attempts.follow();
    let beside = neighbour.look(&told, BOOT_MS).unwrap();
    assert_eq!((beside.free_slots(), beside.worker(), beside.pool()), (1, "w1", "default"));
    let Resolution::Ready(action) = View::default().resolve("now", "demo.x") else { panic!("it is there") };
    let order = |token: i64| Order {
        execution_id: "a".to_owned(),
        root_execution_id: "a".to_owned(),
        attempt: 2,
        token,
        worker: None,
        order: "cancel".to_owned(),
        start_by_ms: NOW_MS,
    };
    let mut started = |start: Start| {
        start.committed();
        let claimed = claims.try_recv().unwrap();
        (claimed.said.grant, claimed.said.cancel, claimed.slot.is_some(), claimed.claim_began_ms)
    };
    assert_eq!(started(beside.start(3, task("a", "now"), Ok(action.clone()))), (true, false, true, BOOT_MS));
    let mut canceled = beside.start(3, task("a", "now"), Ok(action.clone()));
    canceled.cancel(&order(4));
    assert!(!started(canceled).1, "that order is for another attempt");
    let mut canceled = beside.start(3, task("a", "now"), Ok(action));
    canceled.cancel(&order(5));
    assert!(started(canceled).1);
    let gone = Note::new(code::REVISION_NOT_HERE, "gone");
    assert!(!started(beside.start(3, task("a", "now"), Err(gone))).2, "it takes no slot");
    worker.slots.close();
    assert!(neighbour.look(&told, BOOT_MS).is_none());
    drop(sender);
    assert!(neighbour.look(&told, BOOT_MS).is_none());
}
