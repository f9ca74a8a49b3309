use petrel_schemas::decode;

use super::*;
use crate::pack::{PackFile, PackSource};
use crate::state::Missing;
use crate::testkit::{disk_with, load, source};

const MINUTE_MS: i64 = 60_000;

/// The last ones only.
fn keeping(revisions_max: usize) -> Retention {
    Retention { revisions_max, revision_keep_ms: 0, ..Retention::default() }
}

fn how(now_ms: i64, revisions_max: usize) -> Application<'static> {
    let offsets = [("disk.alert".to_owned(), vec![10, 20])].into();
    Application { now_ms, applied_by: "kim", retention: keeping(revisions_max), offsets }
}

/// Publishes, folds, and gives the keys: those with a `-` are tombstones.
fn step(state: &mut CatalogState, revision: &Revision, how: &Application<'_>) -> Vec<String> {
    let publication = publish(state, revision, how).unwrap();
    for (key, value) in &publication.catalog {
        state.apply(key, value.as_deref()).unwrap();
    }
    shown(&publication.catalog)
}

fn shown(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|(key, value)| format!("{}{key}", if value.is_some() { "" } else { "-" })).collect()
}

/// The disk pack and a second one whose only difference is a number.
fn numbered(number: usize) -> Revision {
    load(vec![disk_with(&[]), note(number)])
}

fn note(number: usize) -> PackSource {
    let mut pack = source("", &[("pack.yaml", "name: note\nversion: 1.0.0\n")]);
    pack.files.push(PackFile { path: "README".to_owned(), bytes: number.to_string().into_bytes(), executable: false });
    pack
}

fn blob_of(revision: &Revision, pack: &str) -> String {
    blob_key(revision.content().pack(pack).unwrap().hash())
}

#[test]
fn apply_roll_back_and_prune() {
    let (one, two, three) = (numbered(1), numbered(2), numbered(3));
    let mut state = CatalogState::new();

    let keys = step(&mut state, &one, &how(1, 2));
    let mut blobs = vec![blob_of(&one, "disk"), blob_of(&one, "note")];
    blobs.sort();
    let wanted = [blobs, vec![revision_key(one.hash()), binding_key("disk.alert"), HEAD_KEY.to_owned()]].concat();
    assert_eq!(keys, wanted);
    assert_eq!(step(&mut state, &one, &how(2, 2)), [""; 0], "the revision is in force already");

    let keys = step(&mut state, &two, &how(3, 2));
    assert_eq!(keys, [blob_of(&two, "note"), revision_key(two.hash()), HEAD_KEY.to_owned()], "disk is stored already");

    // Rolling back writes the head alone.
    let back = Revision::of_content(state.content(one.hash()).unwrap(), None).unwrap();
    assert_eq!(step(&mut state, &back, &how(4, 2)), [HEAD_KEY]);
    let head = state.head().unwrap();
    assert_eq!((head.revision.as_str(), head.history.as_slice()), (one.hash(), [two.hash().to_owned()].as_slice()));
    assert_eq!((head.applied_at_ms, head.applied_by.as_str()), (4, "kim"));

    // The third pushes the second out, and with it the blob that only the second used.
    let keys = step(&mut state, &three, &how(5, 2));
    assert_eq!(
        keys,
        [
            blob_of(&three, "note"),
            revision_key(three.hash()),
            HEAD_KEY.to_owned(),
            format!("-{}", revision_key(two.hash())),
            format!("-{}", blob_of(&two, "note")),
        ]
    );
    assert!(state.content(one.hash()).is_ok() && state.content(three.hash()).is_ok());
    assert_eq!(state.content(two.hash()), Err(Missing::Revision { revision: two.hash().to_owned() }));
}

#[test]
fn a_revision_that_is_applied_by_a_clock_that_is_behind_is_in_force_after_the_one_before() {
    let mut state = CatalogState::new();
    step(&mut state, &numbered(1), &how(1_010, 5));
    step(&mut state, &numbered(2), &how(1_005, 5));
    let head = state.head().unwrap();
    assert_eq!((head.applied_at_ms, head.history_until_ms.as_slice()), (1_011, [1_011].as_slice()));
    step(&mut state, &numbered(3), &how(2_000, 5));
    let head = state.head().unwrap();
    assert_eq!((head.applied_at_ms, head.history_until_ms.as_slice()), (2_000, [2_000, 1_011].as_slice()));
}

#[test]
fn twenty_revisions_are_kept() {
    let mut state = CatalogState::new();
    let revisions: Vec<Revision> = (0..25).map(numbered).collect();
    for (n, revision) in revisions.iter().enumerate() {
        step(&mut state, revision, &how(n as i64, crate::limits::CATALOG_REVISIONS_DEFAULT));
    }
    assert_eq!(state.revisions().len(), 20);
    assert_eq!(state.blobs().len(), 21, "one disk pack and twenty notes");
    assert_eq!(state.head().unwrap().history.len(), 19);
    assert!(state.content(revisions[4].hash()).is_err() && state.content(revisions[5].hash()).is_ok());
}

#[test]
fn bindings_stand_until_their_trigger_changes() {
    let mut state = CatalogState::new();
    let one = numbered(1);
    let needed = needed_bindings(&state, one.compiled());
    let wanted = ("disk.alert", "monitoring.alerts", Start::Activation);
    assert_eq!((needed[0].trigger.as_str(), needed[0].topic.as_str(), needed[0].start), wanted);
    let mut nothing = how(1, 20);
    nothing.offsets.clear();
    let missing = PublishError::OffsetsMissing { trigger: "disk.alert".to_owned() };
    assert_eq!(publish(&state, &one, &nothing), Err(missing));
    step(&mut state, &one, &how(1, 20));
    let bound = state.bindings()["disk.alert"].clone();
    assert_eq!(
        (bound.offsets.as_slice(), bound.start.as_str(), bound.bound_at_ms),
        ([10, 20].as_slice(), "activation", 1)
    );

    // Another revision with the same trigger asks for nothing.
    assert_eq!(needed_bindings(&state, numbered(2).compiled()), []);
    step(&mut state, &numbered(2), &nothing);
    assert_eq!(state.bindings()["disk.alert"], bound);

    let compiled = CompiledRevision::compile(&state.head_content().unwrap().unwrap(), None).unwrap();
    let inputs = compiled.match_plan(state.bindings()).unwrap().inputs();
    assert_eq!(inputs.iter().map(|input| &*input.name).collect::<Vec<_>>(), ["monitoring.alerts"]);
    let lost = compiled.match_plan(&BTreeMap::new()).unwrap_err();
    assert_eq!((lost.revision.as_str(), lost.trigger.as_str()), (compiled.hash(), "disk.alert"));

    // Another start is another binding; without the trigger there is none.
    const EARLIEST: &str = "name: alert\nsource: { kafka: { topic: monitoring.alerts, start: earliest } }\nschema: \
        { properties: { host: {type: string}, mount: {type: string}, used_pct: {type: number} } }\n";
    let earliest = load(vec![disk_with(&[("triggers/alert.yaml", EARLIEST)])]);
    assert_eq!(needed_bindings(&state, earliest.compiled())[0].start, Start::Earliest);
    // A binding to another topic is none.
    let mut elsewhere = BTreeMap::clone(state.bindings());
    elsewhere.get_mut("disk.alert").unwrap().topic = "other".to_owned();
    assert!(compiled.match_plan(&elsewhere).is_err());
    step(&mut state, &earliest, &how(3, 20));
    assert_eq!(state.bindings()["disk.alert"].start, "earliest");
    let keys = step(&mut state, &load(vec![note(1)]), &nothing);
    assert!(keys.contains(&"-binding/disk.alert".to_owned()), "{keys:?}");
    assert!(state.bindings().is_empty());
}

fn ticking(every: &str, more: &str) -> Revision {
    let tick = format!("name: tick\nsource: {{ interval: {{ every: {every}{more} }} }}\n");
    load(vec![source("", &[("pack.yaml", "name: clock\nversion: 1.0.0\n"), ("triggers/tick.yaml", &tick)])])
}

/// Whoever folds the log one record at a time always finds what the head needs.
#[test]
fn every_prefix_of_a_publication_is_whole() {
    let mut state = CatalogState::new();
    let bound_elsewhere = "name: alert\nsource: { kafka: { topic: other } }\n";
    let revisions = [
        numbered(1),
        load(vec![disk_with(&[("triggers/alert.yaml", bound_elsewhere), ("rules/clean_tmp.yaml", "")])]),
        load(vec![note(2)]),
        numbered(3),
    ];
    for revision in &revisions {
        for (key, value) in publish(&state, revision, &how(1, 1)).unwrap().catalog {
            state.apply(&key, value.as_deref()).unwrap();
            let Some(head) = state.head_content().unwrap() else { continue };
            let head = CompiledRevision::compile(&head, None).unwrap();
            let changing = key == "binding/disk.alert" && value.is_some();
            assert!(changing || head.match_plan(state.bindings()).is_ok(), "after {key}");
        }
        assert_eq!(state.revisions().len(), 1);
    }
}

#[test]
fn timers_are_written_when_they_change() {
    let mut state = CatalogState::new();
    let now_ms = 1_700_000_012_345;
    let mut timers = |revision: &Revision| {
        let publication = publish(&state, revision, &how(now_ms, 20)).unwrap();
        for (key, value) in &publication.catalog {
            state.apply(key, value.as_deref()).unwrap();
        }
        publication.timers
    };
    let first = timers(&ticking("1m", ""));
    assert_eq!(shown(&first), ["clock.tick"]);
    let definition: TimerDefinition = decode(first[0].1.as_ref().unwrap()).unwrap();
    assert_eq!((definition.every_ms, definition.catch_up.as_str()), (MINUTE_MS, "last"));
    assert_eq!(definition.anchor_ms % MINUTE_MS, 0);
    assert!((now_ms - MINUTE_MS..=now_ms).contains(&definition.anchor_ms));
    assert_eq!(shown(&timers(&ticking("60s", ""))), [""; 0], "the same interval, written otherwise");
    assert_eq!(shown(&timers(&ticking("1m", ", catch_up: all"))), ["clock.tick"]);
    assert_eq!(shown(&timers(&numbered(1))), ["-clock.tick"]);
    assert_eq!(shown(&timers(&ticking("1m", ""))), ["clock.tick"]);
}

/// What a newer release has put into force, and this one cannot read.
#[test]
fn timers_that_cannot_be_read_are_removed_with_their_pack() {
    let mut state = CatalogState::new();
    let tick = "name: tick\nsource: { interval: { every: 1 fortnight } }\n";
    let files = [("pack.yaml", "name: clock\nversion: 1.0.0\n"), ("triggers/tick.yaml", tick)];
    let pack = source("", &files);
    let content = crate::archive::pack(&pack.files).unwrap();
    let blob = petrel_schemas::CatalogBlob { pack: "clock".to_owned(), content };
    let stored = crate::StoredPack::new(&crate::archive::content_hash(&pack.files).unwrap(), std::sync::Arc::new(blob));
    let hash = crate::Content::of([stored.clone()]).hash().to_owned();
    let record = CatalogRevision {
        revision: hash.clone(),
        blobs: vec![stored.hash().to_string()],
        packs: vec!["clock 1.0.0".to_owned()],
        created_at_ms: 1,
    };
    let head = CatalogHead {
        revision: hash.clone(),
        history: Vec::new(),
        history_until_ms: Vec::new(),
        applied_at_ms: 1,
        applied_by: "next".to_owned(),
    };
    state.apply(&blob_key(stored.hash()), Some(&encode(stored.blob()))).unwrap();
    state.apply(&revision_key(&hash), Some(&encode(&record))).unwrap();
    state.apply(HEAD_KEY, Some(&encode(&head))).unwrap();

    let ours = load(vec![note(1), {
        let beat = "name: beat\nsource: { interval: { every: 1m } }\n";
        source("", &[("pack.yaml", "name: heart\nversion: 1.0.0\n"), ("triggers/beat.yaml", beat)])
    }]);
    let mut publication = publish(&state, &ours, &how(2, 20)).unwrap();
    assert!(publication.has_unknown_timers);
    assert_eq!(shown(&publication.timers), ["heart.beat"]);
    let found = ["clock.tick", "clock.tick", "heart.beat"].map(str::to_owned);
    publication.remove_timers(&ours, found);
    assert_eq!(shown(&publication.timers), ["heart.beat", "-clock.tick"]);
    for (key, value) in &publication.catalog {
        state.apply(key, value.as_deref()).unwrap();
    }
    assert!(!publish(&state, &numbered(2), &how(3, 20)).unwrap().has_unknown_timers);
}

#[test]
fn the_audit_tells_who_applied_what() {
    let revision = numbered(1);
    let publication = publish(&CatalogState::new(), &revision, &how(7, 20)).unwrap();
    let audit = publication.audit.unwrap();
    assert_eq!(audit.packs, ["disk 1.0.0", "note 1.0.0"]);
    assert_eq!((audit.revision.as_str(), audit.applied_at_ms, audit.applied_by.as_str()), (revision.hash(), 7, "kim"));
}

/// Audit rows name revisions by this hash: it must never change for the same packs.
#[test]
fn the_revision_hash_is_golden() {
    assert_eq!(numbered(1).hash(), "761a5a401763ebc7c576c9c62679a78b");
    assert_eq!(Revision::empty().hash(), "030ea1f254a5508c8b42d680f9020a37");
    let turned = load(vec![note(1), disk_with(&[])]);
    assert_eq!(turned.hash(), numbered(1).hash(), "the order of the packs does not matter");
}

#[test]
fn packs_can_replace_packs_of_a_base() {
    let base = numbered(1);
    let changed = Revision::load_into(base.content(), None, vec![note(2)]).unwrap();
    assert_eq!(changed.hash(), numbered(2).hash());
    let grown = Revision::load_into(Revision::empty().content(), None, vec![note(2), disk_with(&[])]).unwrap();
    assert_eq!(grown.hash(), numbered(2).hash());
}
