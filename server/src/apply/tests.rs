//! Appliers of several processes over one log.

use petrel_catalog::PackFile;
use petrel_schemas::{TimerDefinition, decode};

use super::*;
use crate::world::Needs;
use crate::world::tests::{Doubt, Rig, file, rig, stored};

/// How often each of two processes applies.
const ROUNDS: usize = 12;
/// Most attempts at one apply: one comes second to each apply of the other process at most once, and to the same one
/// not again.
const ATTEMPTS_MAX: usize = ROUNDS + 1;

fn applier(rig: &Rig, world: Arc<World>) -> Applier {
    let missing = MissingTopic::Create { partitions: 2, retention_ms: None };
    Applier::new(rig.bus.clone(), rig.topics.clone(), rig.clock.clone(), world, Retention::default(), missing)
}

/// A pack of a bound trigger, a timer and a version.
fn pack(name: &str, version: usize) -> PackSource {
    let files: Vec<PackFile> = vec![
        file("pack.yaml", &format!("name: {name}\nversion: 1.0.{version}\n")),
        file("triggers/alert.yaml", &format!("name: alert\nsource: {{ kafka: {{ topic: {name} }} }}\n")),
        file("triggers/tick.yaml", &format!("name: tick\nsource: {{ interval: {{ every: {}s }} }}\n", version + 1)),
    ];
    PackSource { label: name.to_owned(), files, special: Vec::new() }
}

async fn apply(applier: &Applier, name: &str, version: usize) -> Result<Applied, ApiError> {
    applier.apply(What::Packs { sources: vec![pack(name, version)], prune: false }, name).await
}

/// Applies until nobody comes first; how often somebody did.
async fn insist(applier: &Applier, name: &str, version: usize) -> usize {
    for lost in 0..ATTEMPTS_MAX {
        match apply(applier, name, version).await {
            Ok(applied) => {
                assert!(applied.packs.contains(&format!("{name} 1.0.{version}")), "{:?}", applied.packs);
                return lost;
            }
            Err(error) => assert_eq!((error.status, error.code), (StatusCode::CONFLICT, "catalog_moved"), "{error:?}"),
        }
    }
    panic!("{ATTEMPTS_MAX} applies of {name} came second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_that_apply_at_once_drop_nothing_of_each_other() {
    let rig = rig(Needs::Rules, true);
    let other = rig.other(Needs::Rules);
    rig.world.ready().await;
    other.ready().await;
    let one = Arc::new(applier(&rig, rig.world.clone()));
    let two = Arc::new(applier(&rig, other.clone()));
    let racing = |applier: Arc<Applier>, name: &'static str| {
        tokio::spawn(async move {
            let mut lost = 0;
            for version in 0..ROUNDS {
                lost += insist(&applier, name, version).await;
            }
            lost
        })
    };
    let (ours, theirs) = (racing(one, "ours"), racing(two, "theirs"));
    let lost = ours.await.unwrap() + theirs.await.unwrap();
    assert!(lost > 0, "they never raced: the test shows nothing");

    rig.world.catalog().read_to_end().await.unwrap();
    let state = rig.world.catalog().state();
    let head = state.head().unwrap().clone();
    let packs = &state.revisions()[&head.revision].packs;
    // Nor did any apply in between take back what the other process had applied before.
    let mut applied = BTreeMap::new();
    let history = head.history.iter().rev().chain([&head.revision]);
    for packs in history.filter_map(|revision| state.revisions().get(revision)).map(|revision| &revision.packs) {
        let versions: BTreeMap<&str, usize> = packs
            .iter()
            .map(|pack| pack.split_once(" 1.0.").map(|(name, n)| (name, n.parse().unwrap())).unwrap())
            .collect();
        let is_taken_back = |(name, before): (&&str, &usize)| versions.get(*name).is_none_or(|now| now < before);
        assert!(!applied.iter().any(is_taken_back), "{versions:?} came after {applied:?}");
        applied = versions;
    }
    let last = ROUNDS - 1;
    assert_eq!(*packs, [format!("ours 1.0.{last}"), format!("theirs 1.0.{last}")]);
    // A binding stands from the first apply of its trigger, and each trigger has one.
    let bound: Vec<&str> = state.bindings().keys().map(String::as_str).collect();
    assert_eq!(bound, ["ours.alert", "theirs.alert"]);
    drop(state);
    // The timers are those of the revision in force: they went with it or not at all.
    let mut timers = BTreeMap::new();
    read_whole(&*rig.bus, &rig.topics.timers(), |_, record| {
        let timer: TimerDefinition = decode(record.value.unwrap()).unwrap();
        timers.insert(timer.timer, timer.every_ms);
    })
    .unwrap();
    let every_ms = i64::try_from(ROUNDS).unwrap() * 1_000;
    assert_eq!(timers, [("ours.tick".to_owned(), every_ms), ("theirs.tick".to_owned(), every_ms)].into());
}

/// Without the comparison, the second one would publish a revision without the first one's pack.
#[tokio::test(flavor = "multi_thread")]
async fn an_apply_that_was_put_together_with_an_older_revision_is_refused_and_writes_nothing() {
    let rig = rig(Needs::Rules, true);
    rig.world.ready().await;
    let one = applier(&rig, rig.world.clone());
    apply(&one, "first", 0).await.unwrap();
    let stale = one.base().unwrap();
    let revision = one.load(What::Packs { sources: vec![pack("second", 0)], prune: false }, &stale).await.unwrap();
    let offsets = one.offsets(&revision).await.unwrap();
    apply(&one, "third", 0).await.unwrap();
    let before = rig.bus.end_offsets(&rig.topics.catalog()).unwrap();
    let refused = one.publish(&revision, &stale, offsets, "kim").await.unwrap_err();
    assert_eq!((refused.status, refused.code), (StatusCode::CONFLICT, "catalog_moved"));
    assert!(refused.message.contains("another apply came first"), "{}", refused.message);
    assert_eq!(rig.bus.end_offsets(&rig.topics.catalog()).unwrap(), before);
    let applied = apply(&one, "second", 0).await.unwrap();
    assert_eq!(applied.packs, ["first 1.0.0", "second 1.0.0", "third 1.0.0"]);
}

/// The answer to a commit is lost. Whoever applied learns what is in the log, whatever that is.
#[tokio::test(flavor = "multi_thread")]
async fn an_apply_in_doubt_is_told_as_what_became_of_it() {
    let rig = rig(Needs::Rules, true);
    rig.world.ready().await;
    let one = applier(&rig, rig.world.clone());
    apply(&one, "first", 0).await.unwrap();
    let doubts = |doubts: &[Doubt]| rig.log.doubts.lock().unwrap().extend(doubts);
    doubts(&[Doubt::Written]);
    let applied = apply(&one, "second", 0).await.unwrap();
    assert!(applied.changed && applied.packs.contains(&"second 1.0.0".to_owned()));
    doubts(&[Doubt::NotWritten]);
    let refused = apply(&one, "third", 0).await.unwrap_err();
    assert_eq!(refused.code, "log_unavailable");
    assert!(refused.message.starts_with("nothing was applied"), "{}", refused.message);
    assert_eq!(rig.world.globals().head().revision, applied.revision);
    // Nobody can be asked: then nobody says that nothing was applied.
    doubts(&[Doubt::Written, Doubt::NotOpened]);
    let unknown = apply(&one, "third", 0).await.unwrap_err();
    assert_eq!(unknown.code, "apply_in_doubt");
    assert!(unknown.message.starts_with("it is not known whether revision"), "{}", unknown.message);
    rig.world.catalog().read_to_end().await.unwrap();
    assert!(!apply(&one, "third", 0).await.unwrap().changed, "it was");
}

/// An apply that another one has replaced before its answer came was applied all the same.
#[test]
fn an_apply_is_found_in_the_history_of_what_came_after_it() {
    let head = |revision: &str, history: &[(&str, i64)]| CatalogHead {
        revision: revision.to_owned(),
        history: history.iter().map(|(revision, _)| (*revision).to_owned()).collect(),
        history_until_ms: history.iter().map(|(_, until_ms)| *until_ms).collect(),
        applied_at_ms: 0,
        applied_by: "kim".to_owned(),
    };
    let base = |head: CatalogHead| Base { head: Some(head), content: None, compiled: None };
    let base_b = || base(head("b", &[("old", 5)]));
    for (now, revision, wanted) in [
        (head("r", &[("b", 10), ("old", 5)]), "r", true),
        (head("b", &[("old", 5)]), "r", false),
        (head("x", &[("b", 10), ("old", 5)]), "r", false),
        (head("x", &[("r", 11), ("b", 10), ("old", 5)]), "r", true),
        (head("b", &[("r", 11), ("old", 5)]), "r", true),
        // One that had been in force before: was it again?
        (head("x", &[("b", 10), ("old", 5)]), "old", false),
        (head("x", &[("old", 12), ("b", 10)]), "old", true),
        (head("old", &[("b", 10)]), "old", true),
    ] {
        assert_eq!(was_applied(&now, revision, &base_b()), wanted, "{revision} in {now:?}");
    }
    let none = Base { head: None, content: None, compiled: None };
    assert!(was_applied(&head("x", &[("r", 3)]), "r", &none) && !was_applied(&head("x", &[]), "r", &none));
}

/// A newer release has put a timer into force in a file that this one cannot read.
#[tokio::test(flavor = "multi_thread")]
async fn a_timer_that_cannot_be_read_goes_with_its_pack() {
    let rig = rig(Needs::Rules, true);
    rig.world.ready().await;
    let one = applier(&rig, rig.world.clone());
    let files = vec![
        file("pack.yaml", "name: disk\nversion: 1.0.0\n"),
        file("triggers/later.yaml", "name: later\nsource: { interval: { every: 1 fortnight } }\n"),
    ];
    rig.put(vec![stored(files)], Vec::new()).await;
    let definition = |timer: &str| {
        let (timer, catch_up) = (timer.to_owned(), "last".to_owned());
        encode(&TimerDefinition { timer, every_ms: 60_000, catch_up, anchor_ms: 0, revision: "next".to_owned() })
    };
    let record = |key: &str, value| Output::keyed(&rig.topics.timers(), key, value);
    let state = record("state/disk.later", definition("disk.later"));
    rig.publisher.publish(vec![record("disk.later", definition("disk.later")), state]).await.unwrap();
    let what = What::Packs { sources: vec![pack("first", 0)], prune: true };
    one.apply(what, "kim").await.unwrap();
    let mut last = BTreeMap::new();
    read_whole(&*rig.bus, &rig.topics.timers(), |_, record| {
        last.insert(String::from_utf8(record.key.unwrap().to_vec()).unwrap(), record.value.is_some());
    })
    .unwrap();
    let wanted = [("disk.later", false), ("first.tick", true), ("state/disk.later", true)];
    assert_eq!(last, wanted.map(|(key, is_there)| (key.to_owned(), is_there)).into());
}

#[tokio::test(flavor = "multi_thread")]
async fn over_records_of_a_newer_release_nothing_is_applied() {
    let rig = rig(Needs::Rules, true);
    rig.world.ready().await;
    let one = applier(&rig, rig.world.clone());
    apply(&one, "first", 0).await.unwrap();
    let record = Output::to_partition(&rig.topics.catalog(), 0, "rollout/x", Some(b"{}".to_vec()));
    rig.publisher.publish(vec![record]).await.unwrap();
    rig.world.catalog().read_to_end().await.unwrap();
    let refused = apply(&one, "second", 0).await.unwrap_err();
    assert_eq!(refused.code, "catalog_unavailable");
    assert!(refused.message.contains("apply with the release that wrote it"), "{}", refused.message);
}
