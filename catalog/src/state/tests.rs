use petrel_schemas::encode;

use super::*;
use crate::compile::CompiledRevision;
use crate::content::ContentError;
use crate::publish::{Application, Entry, publish};
use crate::resolve::Actions;
use crate::retention::Retention;
use crate::revision::Revision;
use crate::testkit::{disk_with, load, source};

fn applied(state: &mut CatalogState, entries: &[Entry]) {
    for (key, value) in entries {
        state.apply(key, value.as_deref()).unwrap();
    }
}

/// Publishes and folds what was published.
fn put_in_force(state: &mut CatalogState, revision: &Revision, now_ms: i64) -> Vec<Entry> {
    let offsets = [("disk.alert".to_owned(), vec![0, 0])].into();
    let how = Application { now_ms, applied_by: "test", retention: Retention::default(), offsets };
    let publication = publish(state, revision, &how).unwrap();
    applied(state, &publication.catalog);
    publication.catalog
}

#[test]
fn requests_are_resolved_in_the_revision_they_name() {
    let first = load(vec![disk_with(&[])]);
    let second = load(vec![disk_with(&[("actions/clean.yaml", ACTION_5M)])]);
    let mut state = CatalogState::new();
    put_in_force(&mut state, &first, 1);
    put_in_force(&mut state, &second, 2);
    assert_eq!(state.head().unwrap().revision, second.hash());
    let actions = Actions::new();
    for (hash, timeout_ms) in [(first.hash(), 600_000), (second.hash(), 300_000), (first.hash(), 600_000)] {
        let pack = state.pack_of(hash, "disk").unwrap().unwrap();
        assert_eq!(actions.resolve(&pack, "clean").unwrap().unwrap().plan.timeout_ms, timeout_ms);
    }
    assert_eq!(actions.compiled(), 2);
    assert_eq!(state.pack_of(first.hash(), "tape"), Ok(None));
}

const ACTION_5M: &str = "name: clean\nrunner: command\ncommand: [./clean.sh, \"${parameters.host}\"]\n\
     parameters:\n  host: { type: string, required: true }\n  older_than: { type: string, default: 7d }\ntimeout: 5m\n";

#[test]
fn what_is_not_there_is_told() {
    let revision = load(vec![disk_with(&[])]);
    let mut writer = CatalogState::new();
    let log = put_in_force(&mut writer, &revision, 1);
    let mut state = CatalogState::new();
    let hash = revision.hash();
    let missing = Missing::Revision { revision: hash.to_owned() };
    assert_eq!((state.content(hash), state.pack_of(hash, "disk")), (Err(missing.clone()), Err(missing.clone())));
    let (blobs, rest): (Vec<_>, Vec<_>) = log.into_iter().partition(|(key, _)| key.starts_with("blob/"));
    applied(&mut state, &rest);
    assert!(matches!(state.content(hash), Err(Missing::Blob { .. })));
    assert!(matches!(state.pack_of(hash, "disk"), Err(Missing::Blob { .. })));
    assert!(state.head_content().is_err());
    applied(&mut state, &blobs);
    assert_eq!(state.head_content().unwrap().unwrap().hash(), hash);
    state.apply(&revision_key(hash), None).unwrap();
    assert_eq!(state.content(hash), Err(missing));
}

#[test]
fn a_stored_revision_is_the_loaded_one() {
    let user = source("", &[("pack.yaml", "name: user\nversion: 1.0.0\n")]);
    let revision = load(vec![disk_with(&[]), user]);
    let mut state = CatalogState::new();
    put_in_force(&mut state, &revision, 1);
    let stored = Revision::of_content(state.content(revision.hash()).unwrap(), None).unwrap();
    assert_eq!(stored.hash(), revision.hash());
    assert_eq!(stored.content(), revision.content());
}

/// The bytes of a record as a newer release may write it.
fn newer(mut record: Vec<u8>) -> Vec<u8> {
    record[5] ^= 1;
    record
}

#[test]
fn a_record_of_a_newer_release_is_neither_removed_nor_passed_over() {
    let revision = load(vec![disk_with(&[])]);
    let hash = revision.hash();
    let mut told = CatalogState::new();
    put_in_force(&mut told, &revision, 1);
    let blob = blob_key(revision.content().packs()[0].hash());
    let head = encode(told.head().unwrap());
    let record = encode(&told.revisions()[hash]);

    // What decides is in the way of all, old head and bindings or not; what it takes away with it is the problem.
    for key in [HEAD_KEY, "binding/disk.alert", "rollout/x"] {
        let mut state = told.clone();
        assert_eq!(state.problem(), None);
        assert!(state.apply(key, Some(&newer(head.clone()))).is_err());
        let why = state.problem().unwrap();
        assert!(why.contains(key) && why.contains("newer release"), "{why}");
        assert_eq!(state.is_head_unreadable(), key == HEAD_KEY);
        assert!(state.why_read_only().is_some());
        assert!(state.content(hash).is_ok(), "content stands for itself");
        let again = if key == HEAD_KEY { Some(head.as_slice()) } else { None };
        let _ = state.apply(key, again);
        assert_eq!(state.problem(), None, "another record of the key");
    }

    // Content is in the way of whoever needs it.
    let mut state = CatalogState::new();
    assert!(state.apply(&revision_key(hash), Some(&newer(record.clone()))).is_err());
    assert!(matches!(state.content(hash), Err(Missing::Unreadable { .. })), "not removed");
    assert_eq!(state.problem(), None);
    assert!(state.why_read_only().is_some(), "an apply would take it away unread");
    state.apply(&revision_key(hash), Some(&record)).unwrap();
    assert!(matches!(state.content(hash), Err(Missing::Blob { .. })));
    assert!(state.apply(&blob, Some(&newer(head))).is_err());
    assert!(matches!(state.content(hash), Err(Missing::Unreadable { .. })));
    assert!(matches!(state.pack_of(hash, "disk"), Err(Missing::Unreadable { .. })));
    assert!(matches!(state.content("other"), Err(Missing::Revision { .. })));
}

#[test]
fn bad_records_change_nothing() {
    let mut state = CatalogState::new();
    for key in ["", "blob", "other/x", "heads"] {
        assert_eq!(state.apply(key, None), Err(ApplyError::Key { key: key.to_owned() }));
    }
    let wrong = encode(&CatalogBlob { pack: "p".to_owned(), content: Vec::new() });
    for key in [HEAD_KEY, "revision/x", "binding/a.b"] {
        assert!(matches!(state.apply(key, Some(&wrong)), Err(ApplyError::Value { .. })), "{key}");
    }
    assert!(matches!(state.apply("blob/x", Some(b"junk")), Err(ApplyError::Value { .. })));
    assert!(state.head().is_none() && state.revisions().is_empty() && state.bindings().is_empty());
    assert!(state.problem().is_some());
    assert_eq!(state.why_read_only(), None, "damage is mended by an apply");
}

#[test]
fn a_blob_that_is_not_what_its_hash_says_is_refused() {
    let revision = load(vec![disk_with(&[])]);
    let mut state = CatalogState::new();
    put_in_force(&mut state, &revision, 1);
    let other = load(vec![disk_with(&[("README.md", "changed")])]);
    let forged = CatalogBlob { pack: "disk".to_owned(), content: other.content().packs()[0].archive().to_vec() };
    state.apply(&blob_key(revision.content().packs()[0].hash()), Some(&encode(&forged))).unwrap();
    let content = state.content(revision.hash()).unwrap();
    assert!(matches!(content.packs()[0].files(), Err(ContentError::Hash { .. })));
    let problems = CompiledRevision::compile(&content, None).unwrap_err();
    assert!(problems.to_string().contains("has the hash"), "{problems}");
}

#[test]
fn a_revision_that_is_not_what_its_hash_says_is_refused() {
    let revision = load(vec![disk_with(&[])]);
    let mut state = CatalogState::new();
    put_in_force(&mut state, &revision, 1);
    let mut record = state.revisions()[revision.hash()].clone();
    record.revision = "other".to_owned();
    let error = state.apply("revision/other", Some(&encode(&record))).unwrap_err();
    assert_eq!(error, ApplyError::Hash { revision: "other".to_owned(), found: revision.hash().to_owned() });
    assert!(state.content("other").is_err());
}
