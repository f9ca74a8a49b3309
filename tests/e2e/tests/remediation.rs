//! `petrel demo remediation`: a compute host fails, Petrel is killed while its VMs are on their way, and a person is called
//! where an evacuation goes wrong.

use anyhow::{Context, Result, ensure};
use petrel_e2e_tests::{Played, demo_faults, topics_of};
use petrel_testkit::{kafka_or_skip, shared_kafka};
use serde_json::{Value, json};

const VMS: [&str; 6] = ["vm-1", "vm-2", "vm-3", "vm-4", "vm-5", "vm-6"];

fn play(more: &[&str]) -> Result<(tempfile::TempDir, Played)> {
    let dir = tempfile::tempdir()?;
    let played = Played::of(dir.path(), "remediation", more)?;
    Ok((dir, played))
}

/// How often the evacuation of each VM was begun, in the order of the VMs.
fn evacuations(played: &Played) -> [usize; 6] {
    VMS.map(|name| played.taken("Nova", &format!("evacuate {name}")).len())
}

/// Nova was never asked for what it was asked for already, not even to refuse it.
fn check_that_none_was_refused(played: &Played) {
    let refused = |entry: &&Value| entry["service"] == "Nova" && entry["status"].as_u64() >= Some(400);
    assert_eq!(played.received.iter().find(refused), None);
}

/// Recipients of mail, and what each was told.
fn mail(played: &Played) -> Result<Vec<(String, String)>> {
    let mut mail = Vec::new();
    for message in played.taken("mail", "a message") {
        let to = message["to"][0].as_str().context("a message for nobody")?;
        mail.push((to.to_owned(), message["text"].as_str().unwrap_or_default().to_owned()));
    }
    mail.sort();
    Ok(mail)
}

/// The only incident.
fn incident(played: &Played) -> Result<&Value> {
    played.only("PagerDuty", "trigger")
}

const HELD: &str = "the policy remediation.once has held the second one";
const DONE: [&str; 4] = ["It has succeeded", "petrel is ready again", HELD, "nothing: everything adds up"];

#[test]
fn over_a_kill_each_vm_is_evacuated_once_and_each_owner_is_mailed_once() -> Result<()> {
    let (_dir, played) = play(&[])?;
    played.says(&DONE)?;
    assert_eq!(evacuations(&played), [1; 6], "{}", played.said);
    check_that_none_was_refused(&played);
    let mail = mail(&played)?;
    let recipients: Vec<&str> = mail.iter().map(|(to, _)| to.as_str()).collect();
    assert_eq!(recipients, ["ann@shop.example", "bob@shop.example", "cem@shop.example"]);
    let of_ann = &mail[0].1;
    for name in ["vm-1", "vm-3", "vm-6"] {
        assert!(of_ann.contains(&format!("{name} is ACTIVE on compute-")), "{of_ann}");
    }
    assert!(!of_ann.contains("vm-2") && !of_ann.contains("on compute-3"), "{of_ann}");
    assert_eq!(played.taken("PagerDuty", "trigger"), Vec::<&Value>::new());
    played.only("Nova", "compute-3 is disabled")?;
    played.does_not_tell(&["gAAAAAB"])
}

fn a_host_that_is_up_is_left_alone_whatever_is_said_of_it() -> Result<()> {
    let (_dir, played) = play(&["--false-alarm"])?;
    played.says(&["compute-3 is up by Nova's own word", HELD, "nothing: everything adds up"])?;
    assert_eq!((evacuations(&played), mail(&played)?.len()), ([0; 6], 0));
    Ok(())
}

/// What may go wrong, in the order in which it is played.
const FAULTS: [fn() -> Result<()>; 5] = [
    where_one_fails_it_freezes_and_a_person_has_it_tried_again,
    where_one_hangs_it_freezes_and_goes_on_without_it,
    a_person_rolls_it_back_and_the_host_takes_vms_again,
    a_host_that_is_up_is_left_alone_whatever_is_said_of_it,
    on_kafka_an_evacuation_is_the_same_and_nothing_of_it_is_left_there,
];

#[test]
fn what_goes_wrong_is_for_a_person_to_decide() -> Result<()> {
    FAULTS.iter().take(demo_faults()).try_for_each(|fault| fault())
}

/// What whoever is called needs to decide is in the call.
fn check_call(played: &Played, failed: &str, status: &str) -> Result<()> {
    let call = incident(played)?;
    let payload = &call["payload"];
    let key = call["dedup_key"].as_str().context("no key")?;
    let execution = key.strip_prefix("petrel-").context("a key of something else")?;
    assert_eq!((&payload["severity"], &payload["source"]), (&json!("critical"), &json!("compute-3")));
    assert_eq!(payload["summary"], format!("The evacuation of compute-3 has stopped (evacuate: {status})"));
    let details = &payload["custom_details"];
    let decide = format!("petrel workflow retry {execution} --task evacuate");
    assert_eq!(details["decide"][0], decide);
    let task = &details["frozen"]["tasks"][0];
    assert_eq!((&task["task"], &task["status"]), (&json!("evacuate"), &json!(status)));
    let of_items = |name: &str| task["items"][name].as_array().map_or(0, Vec::len);
    assert_eq!(of_items("done") + of_items("failed") + of_items("not_begun"), VMS.len(), "{task}");
    let named: Vec<&str> =
        details["vms_that_failed"][0].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert!(named.contains(&failed), "{details}");
    let variables = &details["frozen"]["variables"];
    assert_eq!((&variables["host"], variables["servers"].as_array().map(Vec::len)), (&json!("compute-3"), Some(6)));
    ensure!(played.taken("PagerDuty", "trigger").len() == 1, "it was called more than once");
    Ok(())
}

fn where_one_fails_it_freezes_and_a_person_has_it_tried_again() -> Result<()> {
    let (_dir, played) = play(&["--fail", "vm-3"])?;
    played.says(&DONE)?;
    played.says(&["retry of evacuate decided by api"])?;
    check_call(&played, "vm-3", "failed")?;
    assert_eq!(evacuations(&played), [1, 1, 2, 1, 1, 1]);
    check_that_none_was_refused(&played);
    assert_eq!(mail(&played)?.len(), 3);
    let close = played.only("PagerDuty", "resolve")?;
    assert_eq!(close["dedup_key"], incident(&played)?["dedup_key"]);
    Ok(())
}

/// What hangs is over its time; it goes on without it, and its owner hears where it is.
fn where_one_hangs_it_freezes_and_goes_on_without_it() -> Result<()> {
    let (_dir, played) = play(&["--hang", "vm-2", "--decide", "skip"])?;
    played.says(&DONE)?;
    check_call(&played, "vm-2", "timeout")?;
    assert!(evacuations(&played).iter().all(|times| *times <= 1), "{:?}", evacuations(&played));
    let mail = mail(&played)?;
    assert!(mail[1].1.contains("vm-2 is REBUILD on compute-3"), "{mail:?}");
    Ok(())
}

fn a_person_rolls_it_back_and_the_host_takes_vms_again() -> Result<()> {
    let (_dir, played) = play(&["--fail", "vm-1", "--decide", "rollback"])?;
    played.says(&["It has failed", "compute-3 takes new VMs", "nothing: everything adds up"])?;
    check_call(&played, "vm-1", "failed")?;
    assert!(evacuations(&played).iter().all(|times| *times <= 1), "{:?}", evacuations(&played));
    played.only("Nova", "compute-3 is enabled")?;
    assert_eq!(mail(&played)?.len(), 0);
    Ok(())
}

fn on_kafka_an_evacuation_is_the_same_and_nothing_of_it_is_left_there() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let Some(bootstrap) = shared_kafka() else { return Ok(()) };
    let (_dir, played) = play(&["--fail", "vm-3", "--kafka", bootstrap])?;
    played.says(&DONE)?;
    check_call(&played, "vm-3", "failed")?;
    assert_eq!(evacuations(&played), [1, 1, 2, 1, 1, 1]);
    assert_eq!(topics_of(bootstrap, "petrel-demo-remediation-")?, Vec::<String>::new());
    Ok(())
}
