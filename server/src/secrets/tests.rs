//! Secrets over a local log.

use std::sync::Arc;

use petrel_executor::{NoSecret, SecretSource as _};
use petrel_schemas::{ExecutionId, SecretRef};
use petrel_secrets::{MasterKey, MasterKeys, SecretValue};
use serde_json::json;

use super::*;
use crate::live::LiveView;
use crate::world::Needs;
use crate::world::tests::{Doubt, Rig, rig};

const KEYS: [&str; 2] =
    ["AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="];

fn keys(current: usize, earlier: &[usize]) -> Option<MasterKeys> {
    let key = |n: usize| MasterKey::parse(KEYS[n]).unwrap();
    Some(MasterKeys::new(key(current), earlier.iter().map(|n| key(*n)).collect()).unwrap())
}

/// A process with those keys.
fn process(rig: &Rig, keys: Option<MasterKeys>) -> Changes {
    let vault = Vault::new(keys, rig.clock.clone());
    vault.spawn(&rig.follows, &rig.topics);
    Changes {
        bus: rig.bus.clone(),
        topics: rig.topics.clone(),
        clock: rig.clock.clone(),
        format: rig.world.format().clone(),
        vault,
    }
}

fn name(text: &str) -> SecretRef {
    SecretRef::parse(text).unwrap()
}

fn value(text: &str) -> SecretValue {
    SecretValue::new(text.to_owned()).unwrap()
}

async fn opened(changes: &Changes, key: &str) -> Result<String, NoSecret> {
    let values = changes.vault.open(&[key.to_owned()], changes.clock.now_ms()).await?;
    Ok(values.iter().map(SecretValue::expose).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_set_rotated_and_deleted_and_never_written_in_the_clear() {
    let rig = rig(Needs::Nothing, true);
    let (api, worker) = (process(&rig, keys(0, &[])), process(&rig, keys(0, &[])));
    let token = name("disk.token");
    let refused = api.set(&token, value("hunter2 hunter2"), true, "kim").await.unwrap_err();
    assert_eq!(refused.code, "unknown_secret");
    assert_eq!(api.set(&token, value("hunter2 hunter2"), false, "kim").await.unwrap(), 1);
    // One that was set a moment ago is found by every process.
    assert_eq!(opened(&worker, "disk.token").await.unwrap(), "hunter2 hunter2");
    assert_eq!(api.set(&token, value("hunter3 hunter3"), true, "kim").await.unwrap(), 2);
    assert_eq!(opened(&api, "disk.token").await.unwrap(), "hunter3 hunter3");
    let same = api.set(&token, value("hunter3 hunter3"), true, "kim").await.unwrap_err();
    assert_eq!(same.code, "secret_unchanged");
    let mut bytes = Vec::new();
    let end = |_, record: petrel_bus::Record<'_>| bytes.extend_from_slice(record.value.unwrap_or_default());
    crate::follow::read_whole(&*rig.bus, &rig.topics.secrets(), end).unwrap();
    assert!(bytes.windows(8).any(|part| part == b"AES-256-") && !bytes.windows(6).any(|part| part == b"hunter"));
    api.delete(&token, "eve").await.unwrap();
    assert_eq!(opened(&api, "disk.token").await, Err(NoSecret::Missing("disk.token".to_owned())));
    assert_eq!(api.delete(&token, "eve").await.unwrap_err().code, "unknown_secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_secret_is_a_row_of_the_audit_trail() {
    let rig = rig(Needs::Nothing, true);
    let api = process(&rig, keys(0, &[]));
    let token = name("disk.token");
    api.set(&token, value("hunter2 hunter2"), false, "kim").await.unwrap();
    api.set(&token, value("hunter3 hunter3"), true, "eve").await.unwrap();
    assert!(api.set(&token, value("hunter3 hunter3"), true, "eve").await.is_err(), "nothing is changed");
    let (door, plan) = (door(&rig, &api, 60_000), plan());
    let given = door.take("p.a", &plan, json!({"token": "hunter2 hunter2"}), &[]).await.unwrap();
    door.keep(&ExecutionId::of_manual("1"), &given, "kim").await.unwrap();
    process(&rig, keys(1, &[0])).rewrap("kim").await.unwrap();
    api.delete(&token, "eve").await.unwrap();
    let mut rows = Vec::new();
    let each = |_, record: petrel_bus::Record<'_>| {
        if let Ok(petrel_schemas::AuditRecord::SecretChanged(row)) =
            petrel_schemas::AuditRecord::decode(record.value.unwrap_or_default())
        {
            rows.push((row.name, row.version, row.change, row.changed_by));
        }
    };
    crate::follow::read_whole(&*rig.bus, &rig.topics.audit(), each).unwrap();
    let row = |version, change: &str, by: &str| ("disk.token".to_owned(), version, change.to_owned(), by.to_owned());
    let wanted =
        [row(1, "set", "kim"), row(2, "rotated", "eve"), row(2, "sealed_anew", "kim"), row(2, "deleted", "eve")];
    assert_eq!(rows, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_master_key_takes_over_without_the_values() {
    let rig = rig(Needs::Nothing, true);
    let before = process(&rig, keys(0, &[]));
    before.set(&name("disk.token"), value("hunter2 hunter2"), false, "kim").await.unwrap();
    before.set(&name("shared.b"), value("other 1234"), false, "kim").await.unwrap();
    // Whoever has got the new key alone cannot open, nor seal what it cannot open.
    let stranger = process(&rig, keys(1, &[]));
    assert!(
        matches!(opened(&stranger, "disk.token").await, Err(NoSecret::Unusable(why)) if why.contains("master key"))
    );
    let done = stranger.rewrap("kim").await.unwrap();
    assert_eq!((done.moved, done.unchanged, done.problems.len()), (0, 0, 2));
    let between = process(&rig, keys(1, &[0]));
    let moved = between.rewrap("kim").await.unwrap();
    assert_eq!((moved.moved, moved.unchanged, moved.problems.len()), (2, 0, 0));
    let again = between.rewrap("kim").await.unwrap();
    assert_eq!((again.moved, again.unchanged), (0, 2));
    assert_eq!(opened(&between, "disk.token").await.unwrap(), "hunter2 hunter2");
    assert!(stranger.vault.read_to_end().await);
    assert_eq!(opened(&stranger, "shared.b").await.unwrap(), "other 1234");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_master_key_nothing_is_set_or_opened_and_the_way_out_is_told() {
    let rig = rig(Needs::Nothing, true);
    let (with, without) = (process(&rig, keys(0, &[])), process(&rig, None));
    let error = without.set(&name("disk.token"), value("hunter2 hunter2"), false, "kim").await.unwrap_err();
    assert_eq!(error.code, "no_master_key");
    assert!(error.message.contains("secrets.master_key_file") && error.message.contains("openssl rand"), "{error:?}");
    with.set(&name("disk.token"), value("hunter2 hunter2"), false, "kim").await.unwrap();
    let unusable = opened(&without, "disk.token").await.unwrap_err();
    assert!(unusable.to_string().contains("secrets.master_key_file"), "{unusable}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_change_at_once_do_not_undo_each_other() {
    let rig = rig(Needs::Nothing, true);
    let api = process(&rig, keys(0, &[]));
    rig.log.doubts.lock().unwrap().push_back(Doubt::Superseded);
    let moved = api.set(&name("disk.token"), value("hunter2 hunter2"), false, "kim").await.unwrap_err();
    assert_eq!(moved.code, "secrets_moved");
    assert_eq!(api.set(&name("disk.token"), value("hunter2 hunter2"), false, "kim").await.unwrap(), 1);
}

fn door(rig: &Rig, changes: &Changes, keep_ms: i64) -> Door {
    Door {
        bus: rig.bus.clone(),
        vault: changes.vault.clone(),
        publisher: rig.publisher.clone(),
        topics: rig.topics.clone(),
        clock: rig.clock.clone(),
        format: rig.world.format().clone(),
        keep_ms,
        turn: Arc::default(),
    }
}

/// An action one of whose parameters holds a secret.
fn plan() -> petrel_execution::ActionPlan {
    let action = "name: a\nrunner: noop\nparameters: { token: { type: string, secret: true }, host: {} }\n";
    let file = |path: &str, text: &str| petrel_catalog::PackFile {
        path: path.to_owned(),
        bytes: text.as_bytes().to_vec(),
        executable: false,
    };
    let files = vec![file("pack.yaml", "name: p\nversion: 1.0.0\n"), file("actions/a.yaml", action)];
    let source = petrel_catalog::PackSource { label: "p".into(), files, special: Vec::new() };
    let revision = petrel_catalog::Revision::load(vec![source]).unwrap();
    (*revision.compiled().action("p.a").unwrap().plan).clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_to_an_execution_is_sealed_at_the_door() {
    let rig = rig(Needs::Nothing, true);
    let api = process(&rig, keys(0, &[]));
    let (door, plan) = (door(&rig, &api, 60_000), plan());
    let (id, other) = (ExecutionId::of_manual("1"), ExecutionId::of_manual("2"));
    let given = door.take("p.a", &plan, json!({"token": "hunter2 hunter2", "host": "h"}), &[]).await.unwrap();
    assert_eq!(given.parameters, json!({"token": "${secret.execution.token}", "host": "h"}));
    door.keep(&id, &given, "kim").await.unwrap();
    let key = name("execution.token").key(id.as_str());
    assert_eq!(opened(&api, &key).await.unwrap(), "hunter2 hunter2");
    let of_other = name("execution.token").key(other.as_str());
    assert!(matches!(opened(&api, &of_other).await, Err(NoSecret::Missing(_))), "it is nobody else's");
    // The same request again is the same; with another value it is another request.
    door.keep(&id, &given, "kim").await.unwrap();
    let changed = door.take("p.a", &plan, json!({"token": "hunter3 hunter3"}), &[]).await.unwrap();
    assert_eq!(door.keep(&id, &changed, "kim").await.unwrap_err().code, "idempotency_key_reused");
    // What cannot be sealed is refused, and not told.
    for token in [json!("hunter"), json!(5), json!("${secret.disk.gone}"), json!("${secret.execution.token}")] {
        let Err(error) = door.take("p.a", &plan, json!({ "token": token }), &[]).await else {
            panic!("{token} is taken")
        };
        assert_eq!(error.code, "invalid_parameters");
        assert!(!format!("{error:?}").contains("hunter"), "{error:?}");
    }
    // Nor is what somebody takes to be sealed and is not.
    let both = ["token", "host"].map(str::to_owned);
    let shown = door.take("p.a", &plan, json!({"token": "hunter2 hunter2", "host": "hunter2 hunter2"}), &both).await;
    let error = shown.err().unwrap();
    assert!(error.message.contains("\"host\" is not marked `secret: true`") && !error.message.contains("hunter"));
    let without = Door { vault: Vault::new(None, rig.clock.clone()), ..door };
    let error = without.take("p.a", &plan, json!({"token": "hunter2 hunter2"}), &[]).await.err().unwrap();
    assert_eq!(error.code, "no_master_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_is_given_no_secret_of_another_pack() {
    let rig = rig(Needs::Nothing, true);
    let api = process(&rig, keys(0, &[]));
    let (door, plan) = (door(&rig, &api, 60_000), plan());
    for token in ["p.token", "shared.token", "disk.token"] {
        api.set(&name(token), value("hunter2 hunter2"), false, "kim").await.unwrap();
        let taken = door.take("p.a", &plan, json!({ "token": name(token).text() }), &[]).await;
        match taken {
            Ok(given) => assert!(token != "disk.token" && given.parameters["token"] == name(token).text()),
            Err(error) => {
                assert_eq!((token, error.code), ("disk.token", "invalid_parameters"));
                assert!(error.message.contains("p.a can be given the secrets of its pack, secret.p.…"), "{error:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_values_that_are_given_to_one_execution_at_once_one_is_refused() {
    let rig = rig(Needs::Nothing, true);
    let (processes, plan) = ([process(&rig, keys(0, &[])), process(&rig, keys(0, &[]))], plan());
    let doors = processes.each_ref().map(|process| door(&rig, process, 60_000));
    let values = ["hunter2 hunter2", "hunter3 hunter3"];
    let [first, second] = values.map(|value| json!({ "token": value }));
    let first = doors[0].take("p.a", &plan, first, &[]).await.unwrap();
    let second = doors[1].take("p.a", &plan, second, &[]).await.unwrap();
    for n in 0..8 {
        let id = ExecutionId::of_manual(&n.to_string());
        let kept = tokio::join!(doors[0].keep(&id, &first, "kim"), doors[1].keep(&id, &second, "eve"));
        let kept = <[_; 2]>::from(kept).map(|kept| kept.map_err(|error| error.code));
        let wins = kept.iter().position(Result::is_ok).unwrap_or_else(|| panic!("both are refused: {kept:?}"));
        assert_eq!(kept[1 - wins], Err("idempotency_key_reused"), "{n}");
        let key = name("execution.token").key(id.as_str());
        for process in &processes {
            assert_eq!(opened(process, &key).await.as_deref(), Ok(values[wins]), "{n}");
        }
    }
    // Nor is one pushed aside that this server cannot compare.
    let other = door(&rig, &process(&rig, keys(1, &[])), 60_000);
    let given = other.take("p.a", &plan, json!({ "token": values[0] }), &[]).await.unwrap();
    assert_eq!(other.keep(&ExecutionId::of_manual("0"), &given, "kim").await.unwrap_err().code, "secret_unusable");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_goes_when_the_execution_is_over_or_the_time_is() {
    let rig = rig(Needs::Nothing, true);
    let api = process(&rig, keys(0, &[]));
    let (door, plan) = (door(&rig, &api, 60_000), plan());
    let ids = [ExecutionId::of_manual("over"), ExecutionId::of_manual("runs")];
    for id in &ids {
        let given = door.take("p.a", &plan, json!({"token": "hunter2 hunter2"}), &[]).await.unwrap();
        door.keep(id, &given, "kim").await.unwrap();
    }
    api.set(&name("disk.token"), value("hunter2 hunter2"), false, "kim").await.unwrap();
    let live = Arc::new(LiveView::new(10));
    live.spawn(&rig.follows, rig.topics.executions());
    assert!(door.unneeded(&live, rig.clock.now_ms()).is_empty());
    let ended = petrel_schemas::ExecutionEnded {
        execution_id: ids[0].to_string(),
        root_execution_id: ids[0].to_string(),
        sequence: 3,
        status: "succeeded".to_owned(),
        code: None,
        return_code: Some(0),
        ended_at_ms: 1,
        conducted: false,
    };
    let output = petrel_bus::Output::keyed(&rig.topics.executions(), ids[0].as_str(), petrel_schemas::encode(&ended));
    rig.publisher.publish(vec![output]).await.unwrap();
    // What was removed is known to be gone, and not removed again and again.
    let is_over = async {
        while !live.get(ids[0].as_str()).is_some_and(|known| known.is_over()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), is_over).await.unwrap();
    assert_eq!(door.unneeded(&live, rig.clock.now_ms()).len(), 1);
    door.sweep_once(&live).await.unwrap();
    assert!(door.unneeded(&live, rig.clock.now_ms()).is_empty());
    let sweep = tokio::spawn(door.clone().sweep(live.clone(), rig.stop.clone()));
    let keys = ids.map(|id| name("execution.token").key(id.as_str()));
    let gone = async {
        while opened(&api, &keys[0]).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), gone).await.unwrap();
    assert!(opened(&api, &keys[1]).await.is_ok(), "it may still begin");
    // Once the time is over, nobody opens it, whether it is there or not; what is set by name stays.
    let later_ms = rig.clock.now_ms() + 60_001;
    assert_eq!(api.vault.open(&keys[1..], later_ms).await, Err(NoSecret::Missing(keys[1].clone())));
    let unneeded = door.unneeded(&live, later_ms);
    assert_eq!(unneeded.iter().map(|o| o.key.clone().unwrap()).collect::<Vec<_>>(), [keys[1].as_bytes()]);
    rig.stop.set();
    sweep.await.unwrap();
}
