//! `petrel demo deploy`: what CI has released gets the traffic in steps, Petrel is killed halfway, and it goes forward or
//! back by the figures, or by a person's word where there are none.

use anyhow::Result;
use petrel_e2e_tests::{Played, demo_faults, topics_of};
use petrel_testkit::{kafka_or_skip, shared_kafka};
use serde_json::Value;

fn play(more: &[&str]) -> Result<(tempfile::TempDir, Played)> {
    let dir = tempfile::tempdir()?;
    let played = Played::of(dir.path(), "deploy", more)?;
    Ok((dir, played))
}

/// What the new version had of the traffic, step by step. One that was interrupted may have been asked for twice.
fn weights(played: &Played) -> Vec<i64> {
    let weight = |body: &&Value| body["spec"]["rules"][0]["backendRefs"][1]["weight"].as_i64();
    let mut weights: Vec<i64> = played.taken("Kubernetes", "shift").iter().filter_map(weight).collect();
    weights.dedup();
    weights
}

/// What the commit was told, which is one thing.
fn told(played: &Played) -> Result<(&str, &str)> {
    let body = played.only("GitHub", "the commit")?;
    let text = |key: &str| body[key].as_str().unwrap_or_default();
    Ok((text("state"), text("description")))
}

/// The Service and the Deployment were made once, and removed so often.
fn check_objects(played: &Played, removed: usize) -> Result<()> {
    for kind in ["Service", "Deployment"] {
        played.only("Kubernetes", &format!("create the {kind} checkout-r42"))?;
        let times = played.taken("Kubernetes", &format!("delete the {kind} checkout-r42")).len();
        assert_eq!(times, removed, "{kind}");
    }
    Ok(())
}

const OVER_A_KILL: [&str; 3] =
    ["petrel is ready again", "the policy deployment.once has held the second one", "nothing: everything adds up"];

#[test]
fn over_a_kill_a_release_gets_all_of_the_traffic_in_steps() -> Result<()> {
    let (_dir, played) = play(&[])?;
    played.says(&OVER_A_KILL)?;
    assert_eq!(weights(&played), [10, 50, 100]);
    assert_eq!(told(&played)?, ("success", "checkout-r42 has all of the traffic"));
    check_objects(&played, 0)?;
    assert_eq!(played.taken("PagerDuty", ""), Vec::<&Value>::new());
    played.does_not_tell(&["github_pat_"])
}

/// What may go wrong, in the order in which it is played.
const FAULTS: [fn() -> Result<()>; 5] = [
    without_figures_a_person_is_asked_and_takes_it_back,
    without_figures_a_person_is_asked_at_each_step_and_goes_on,
    with_too_many_errors_it_is_taken_back,
    pods_that_never_run_get_no_traffic,
    on_kafka_a_deployment_is_the_same_and_nothing_of_it_is_left_there,
];

#[test]
fn what_goes_wrong_is_taken_back_or_asked_about() -> Result<()> {
    FAULTS.iter().take(demo_faults()).try_for_each(|fault| fault())
}

/// What was done is undone, the last first.
fn check_way_back(played: &Played) -> Result<()> {
    played.says(&OVER_A_KILL)?;
    played.says(&["It has failed", "nothing of checkout-r42 is left"])?;
    assert_eq!(weights(played), [10, 50, 10, 0]);
    check_objects(played, 1)?;
    let order: Vec<&str> = played.received.iter().filter_map(|entry| entry["what"].as_str()).collect();
    let at = |what: &str| order.iter().rposition(|one| one.starts_with(what));
    assert!(at("shift") < at("delete the Deployment") && at("delete the Deployment") < at("delete the Service"));
    assert_eq!(told(played)?.0, "failure");
    Ok(())
}

fn with_too_many_errors_it_is_taken_back() -> Result<()> {
    let (_dir, played) = play(&["--bad-metrics"])?;
    check_way_back(&played)?;
    assert_eq!(told(&played)?.1, "0.25 of the requests failed with 50 % of the traffic");
    Ok(())
}

fn pods_that_never_run_get_no_traffic() -> Result<()> {
    let (_dir, played) = play(&["--crash-loop"])?;
    played.says(&OVER_A_KILL)?;
    assert_eq!(weights(&played), Vec::<i64>::new());
    check_objects(&played, 1)?;
    assert_eq!(told(&played)?.0, "failure");
    Ok(())
}

fn without_figures_a_person_is_asked_and_takes_it_back() -> Result<()> {
    let (_dir, played) = play(&["--no-metrics", "--decide", "back"])?;
    let call = played.only("PagerDuty", "trigger")?;
    assert_eq!(call["payload"]["summary"], "There are no figures of checkout-r42 with 50 % of the traffic. Go on?");
    check_way_back(&played)?;
    played.says(&["answered by api"])?;
    assert_eq!(told(&played)?.1, "nobody wanted to go on without figures");
    Ok(())
}

fn without_figures_a_person_is_asked_at_each_step_and_goes_on() -> Result<()> {
    let (_dir, played) = play(&["--no-metrics", "--decide", "forward"])?;
    played.says(&OVER_A_KILL)?;
    assert_eq!(weights(&played), [10, 50, 100]);
    assert_eq!(played.taken("PagerDuty", "trigger").len(), 2);
    assert_eq!(told(&played)?, ("success", "checkout-r42 has all of the traffic by a person's word"));
    Ok(())
}

fn on_kafka_a_deployment_is_the_same_and_nothing_of_it_is_left_there() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let Some(bootstrap) = shared_kafka() else { return Ok(()) };
    let (_dir, played) = play(&["--bad-metrics", "--kafka", bootstrap])?;
    check_way_back(&played)?;
    assert_eq!(topics_of(bootstrap, "petrel-demo-deployment-")?, Vec::<String>::new());
    Ok(())
}
