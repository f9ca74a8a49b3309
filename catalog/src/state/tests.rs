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
