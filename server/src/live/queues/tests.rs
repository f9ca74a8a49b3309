use petrel_schemas::ExecutionState;

use super::*;
use crate::live::testkit::state;

fn execution(n: u32, status: &str, pool: &str, class: Option<&str>, at_ms: i64) -> LiveExecution {
    let state = ExecutionState {
        pool: pool.to_owned(),
        class: class.map(str::to_owned),
        requested_at_ms: at_ms - 5,
        scheduled_at_ms: (status == "scheduled").then_some(at_ms),
        ..state(n, status)
    };
    LiveExecution { id: state.execution_id.clone(), at_ms, state: Some(state), ended: None }
}

fn told(queues: &Queues, pools: &[&str]) -> Vec<(String, usize, Option<i64>)> {
    let pools: Vec<String> = pools.iter().map(|pool| (*pool).to_owned()).collect();
    let told = |queue: Queue| (format!("{}/{}", queue.pool, queue.class), queue.length, queue.oldest_ms);
    queues.all(&pools).into_iter().map(told).collect()
}

#[test]
fn what_is_scheduled_waits_until_it_is_something_else() {
    let mut queues = Queues::default();
    queues.take(&execution(1, "scheduled", "default", None, 20), 90);
    queues.take(&execution(2, "scheduled", "default", Some("normal"), 10), 90);
    queues.take(&execution(3, "scheduled", "gpu", Some("bulk"), 30), 90);
    queues.take(&execution(4, "delayed", "gpu", Some("bulk"), 1), 90);
    let entry = |name: &str, length, oldest_ms| (name.to_owned(), length, oldest_ms);
    assert_eq!(
        told(&queues, &["default"]),
        [
            entry("default/urgent", 0, None),
            entry("default/normal", 2, Some(10)),
            entry("default/bulk", 0, None),
            // Of a pool that nobody was told of.
            entry("gpu/bulk", 1, Some(30)),
        ]
    );
    // Declined, and sent elsewhere: it waits since then.
    queues.take(&execution(2, "scheduled", "default", Some("normal"), 10), 90);
    queues.take(&execution(2, "running", "default", Some("normal"), 10), 90);
    queues.take(&execution(3, "canceled", "gpu", Some("bulk"), 30), 90);
    assert_eq!(told(&queues, &[]), [entry("default/normal", 1, Some(20))]);
    queues.take(&execution(1, "canceling", "default", None, 20), 90);
    assert!(told(&queues, &[]).is_empty() && queues.places.is_empty());
}

#[test]
fn what_ran_waits_anew_and_what_is_declined_goes_on_waiting() {
    let mut queues = Queues::default();
    let oldest = |queues: &Queues| told(queues, &[]).first().and_then(|(_, _, oldest_ms)| *oldest_ms);
    let first = execution(1, "scheduled", "default", None, 10);
    queues.take(&first, 10);
    // Declined, and sent elsewhere.
    queues.take(&first, 500);
    assert_eq!(oldest(&queues), Some(10));
    queues.take(&execution(1, "running", "default", None, 10), 600);
    let mut again = first.clone();
    again.state.as_mut().unwrap().hand_overs = 1;
    queues.take(&again, 21_000);
    queues.take(&again, 22_000);
    assert_eq!(oldest(&queues), Some(21_000));
    assert_eq!((queues.forget(&again.id), queues.forget(&again.id)), (Some(21_000), None));
    assert!(told(&queues, &[]).is_empty() && queues.places.is_empty());
}

#[test]
fn over_the_limit_the_oldest_are_known() {
    let mut queues = Queues::default();
    for n in 0..WAITING_MAX as u32 {
        let name = ("default".to_owned(), Class::Normal);
        queues.places.insert(n.to_string(), (name.clone(), 1_000));
        queues.waiting.entry(name).or_default().insert((1_000, n.to_string()));
    }
    queues.take(&execution(1, "scheduled", "default", None, 2_000), 90);
    assert_eq!(told(&queues, &[]), [("default/normal".to_owned(), WAITING_MAX, Some(1_000))]);
    queues.take(&execution(2, "scheduled", "default", None, 500), 90);
    assert_eq!(told(&queues, &[]), [("default/normal".to_owned(), WAITING_MAX, Some(500))]);
    assert_eq!(queues.places.len(), WAITING_MAX);
    // Another queue is not hidden by one that is so long.
    queues.take(&execution(3, "scheduled", "default", Some("urgent"), 3_000), 90);
    let entry = |name: &str, length, oldest_ms| (format!("default/{name}"), length, Some(oldest_ms));
    assert_eq!(told(&queues, &[]), [entry("urgent", 1, 3_000), entry("normal", WAITING_MAX - 1, 500)]);
    assert_eq!(queues.places.len(), WAITING_MAX);
}
