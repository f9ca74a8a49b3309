//! Actions that attack what watches them by means of the kernel that are not signals, and those that hide from it.

#[path = "support/actions.rs"]
mod actions;
#[path = "support/hostile.rs"]
mod hostile;

use actions::{assert_gone, is_alive, options, pid_in, run_under, supervisor};
use hostile::attack;
use petrel_execution::worker::Why;

/// Does nothing unless it is run as an action.
#[test]
fn hostile_role() {
    hostile::play();
}

#[tokio::test]
async fn a_process_whose_first_thread_has_ended_is_ended_with_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let exit = run_under(&supervisor(), &options(), attack("leaderless", dir.path())).await;
    assert_eq!((exit.why, exit.return_code), (Why::Exited, Some(0)));
    assert!(!is_alive(pid_in(&dir.path().join("leaderless")).await));
    assert_gone("leaderless");
}
