//! Records of a newer release: nobody takes them for removed, and nobody passes them over.

use super::*;

/// The bytes of a record as a newer release may write it.
fn newer(mut record: Vec<u8>) -> Option<Vec<u8>> {
    record[5] ^= 1;
    Some(record)
}

fn entry(value: &str) -> Vec<u8> {
    encode(&KvEntry { value: value.to_owned(), updated_at_ms: 0, updated_by: "test".to_owned() })
}

/// Why no event is decided now.
fn undecided(rig: &Rig) -> Option<String> {
    rig.world.globals().why_undecided().map(str::to_owned)
}

/// Writes a record and waits until something is in the way that the text names, or nothing is any more.
async fn write_and_wait(rig: &Rig, topic: Arc<str>, key: &str, value: Option<Vec<u8>>, in_the_way: Option<&str>) {
    rig.write(topic, vec![(key.to_owned(), value)]).await;
    let is_as_wanted = |globals: &Globals| match (globals.why_undecided(), in_the_way) {
        (Some(why), Some(text)) => why.contains(text),
        (found, wanted) => found.is_none() && wanted.is_none(),
    };
    rig.world.wait_until(is_as_wanted).await.unwrap();
    let problems = rig.world.problems();
    assert_eq!(problems.is_empty(), in_the_way.is_none(), "{problems:?}");
}

#[tokio::test]
async fn a_key_value_entry_of_a_newer_release_lets_nothing_be_decided_and_keeps_dispatch_as_safe_as_it_was() {
    let rig = rig(Needs::Rules, true);
    rig.world.ready().await;
    rig.set("limit", "5").await;
    rig.set(DISPATCH_KEY, "{\"paused\":false}").await;
    let kv = || rig.topics.kv();
    let version = || rig.world.current().version;

    // A rule may read it: no event is decided without it, or by what it was before.
    let before = version();
    write_and_wait(&rig, kv(), "limit", newer(entry("6")), Some("key-value store: limit cannot be used")).await;
    assert!(version() > before, "stages are told");
    assert!(!rig.world.globals().is_paused(), "dispatch does not depend on it");
    write_and_wait(&rig, kv(), "limit", Some(entry("7")), None).await;

    // The switch: while nobody knows whether dispatch is paused, it is.
    for unreadable in [newer(entry("{\"paused\":false}")), Some(entry("{\"pools\":[\"a\"]}"))] {
        write_and_wait(&rig, kv(), DISPATCH_KEY, unreadable, Some(DISPATCH_KEY)).await;
        assert!(rig.world.globals().is_paused());
        write_and_wait(&rig, kv(), DISPATCH_KEY, Some(entry("{\"paused\":false}")), None).await;
        assert!(!rig.world.globals().is_paused());
    }

    // A switch of Petrel's own that this release does not know: nothing goes on past it until it is gone.
    write_and_wait(&rig, kv(), "petrel/freeze", Some(entry("{}")), Some("does not know the key")).await;
    assert!(rig.world.globals().is_paused());
    write_and_wait(&rig, kv(), "petrel/freeze", None, None).await;
    assert!(!rig.world.globals().is_paused());
}

#[tokio::test]
async fn a_catalog_record_of_a_newer_release_decides_nothing_and_says_why() {
    let rig = rig(Needs::Rules, true);
    rig.world.ready().await;
    let good = rig.put(vec![stored(disk(GOOD))], vec![binding(vec![7])]).await;
    let catalog = || rig.topics.catalog();
    let head = encode(rig.world.catalog().state().head().unwrap());
    let bound = encode(&binding(vec![7]));
    for (key, record) in [("head", head), ("binding/disk.alert", bound)] {
        write_and_wait(&rig, catalog(), key, newer(record.clone()), Some("newer release")).await;
        let globals = rig.world.globals();
        assert_eq!(globals.plan().inputs().len(), 1, "what was bound is still read, and waits");
        let admits = rig.world.triggers().why_incomplete().is_none();
        assert_eq!(admits, key != "head", "events are taken in as long as the triggers are known");
        // Another process, which has seen nothing else, waits too.
        let other = rig.other(Needs::Rules);
        other.ready().await;
        assert!(other.globals().why_undecided().unwrap().contains("newer release"));
        write_and_wait(&rig, catalog(), key, Some(record), None).await;
        assert_eq!(rig.world.globals().revision(), good);
    }
    write_and_wait(&rig, catalog(), "rollout/disk", Some(b"{}".to_vec()), Some("unknown key \"rollout/disk\"")).await;
    write_and_wait(&rig, catalog(), "rollout/disk", None, None).await;
}

#[tokio::test]
async fn a_revision_of_a_newer_release_is_waited_for_and_not_told_as_removed() {
    let rig = rig(Needs::Nothing, true);
    rig.world.ready().await;
    let pack = stored(disk(GOOD));
    let revision = petrel_catalog::Content::of([pack.clone()]).hash().to_owned();
    let record = CatalogRevision { revision: revision.clone(), blobs: Vec::new(), packs: Vec::new(), created_at_ms: 0 };
    let key = format!("revision/{revision}");
    rig.write(rig.topics.catalog(), vec![(key, newer(encode(&record)))]).await;
    rig.world.catalog().read_to_end().await.unwrap();
    for _ in 0..2 {
        // Who looks for it reads the log to its end, and finds it.
        let found = rig.world.globals().resolve(&revision, "disk.clean");
        assert!(matches!(&found, Resolution::Broken(why) if why.contains("newer release")));
        rig.world.catalog().read_to_end().await.unwrap();
    }
    rig.put(vec![pack], Vec::new()).await;
    assert!(matches!(rig.world.globals().resolve(&revision, "disk.clean"), Resolution::Ready(_)));
}

#[tokio::test]
async fn the_revision_that_was_told_last_is_coming_until_it_is_in_use() {
    let rig = rig(Needs::Rules, true);
    rig.world.ready().await;
    assert_eq!(rig.world.globals().coming(), None);
    let revision = rig.put(vec![stored(disk(GOOD))], vec![binding(vec![7])]).await;
    assert_eq!(rig.world.globals().coming(), None);
    let mut told = (*rig.world.globals()).clone();
    told.told = "next".into();
    assert_eq!((told.coming(), told.revision()), (Some("next"), &*revision));
}

#[tokio::test]
async fn the_format_is_told_before_anything_else_and_one_that_cannot_be_written_ends_the_process() {
    let rig = rig(Needs::Nothing, true);
    rig.world.ready().await;
    let told = || rig.world.format_told().borrow().clone();
    assert_eq!(told(), None, "a new installation");
    let newest = petrel_schemas::Format::newest();
    rig.set(format::FORMAT_KEY, &format::value_of(newest)).await;
    assert_eq!((told(), rig.world.format().get()), (Some(Ok(newest)), newest));
    assert_eq!((undecided(&rig), rig.world.globals().is_paused()), (None, false));
    for value in [Some(entry(&format!("{{\"format\":{}}}", newest.number() + 1))), newer(entry("{}")), None] {
        rig.write(rig.topics.kv(), vec![(format::FORMAT_KEY.to_owned(), value)]).await;
        let mut told = rig.world.format_told();
        let refused = told.wait_for(|told| matches!(told, Some(Err(_)))).await.unwrap();
        assert!(refused.as_ref().is_some_and(Result::is_err));
        drop(refused);
        assert_eq!(rig.world.format().get(), newest, "what is still under way is written as before");
        rig.set(format::FORMAT_KEY, &format::value_of(newest)).await;
    }
}
