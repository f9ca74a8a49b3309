use petrel_schemas::encode;

use super::*;
use crate::publish::{Application, Entry, publish};
use crate::testkit::{disk_with, load, source};

fn applied(state: &mut CatalogState, entries: &[Entry]) {
    for (key, value) in entries {
        state.apply(key, value.as_deref()).unwrap();
    }
}

/// Publishes and folds what was published.
fn put_in_force(state: &mut CatalogState, revision: &Revision, now_ms: i64) -> Vec<Entry> {
    let offsets = [("disk.alert".to_owned(), vec![0, 0])].into();
    let how = Application { now_ms, applied_by: "test", catalog_revisions_max: 20, offsets };
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
    for (hash, timeout_ms) in [(first.hash(), 600_000), (second.hash(), 300_000), (first.hash(), 600_000)] {
        let action_timeout = state.revision(hash).unwrap().action("disk.clean").unwrap().plan.timeout_ms;
        assert_eq!(action_timeout, timeout_ms);
    }
    assert!(Arc::ptr_eq(&state.revision(first.hash()).unwrap(), &state.revision(first.hash()).unwrap()));
}

const ACTION_5M: &str = "name: clean\nrunner: command\ncommand: [./clean.sh, \"${parameters.host}\"]\n\
     parameters:\n  host: { type: string, required: true }\n  older_than: { type: string, default: 7d }\ntimeout: 5m\n";

#[test]
fn what_is_not_there_yet_may_appear() {
    let revision = load(vec![disk_with(&[])]);
    let mut writer = CatalogState::new();
    let log = put_in_force(&mut writer, &revision, 1);
    let mut state = CatalogState::new();
    let hash = revision.hash();
    assert_eq!(state.revision(hash).unwrap_err(), ResolveError::Unknown { revision: hash.to_owned() });
    assert!(state.revision(hash).unwrap_err().may_appear());
    let (blobs, rest): (Vec<_>, Vec<_>) = log.into_iter().partition(|(key, _)| key.starts_with("blob/"));
    applied(&mut state, &rest);
    assert!(matches!(state.revision(hash), Err(ResolveError::BlobMissing { .. })));
    assert!(state.head_revision().unwrap_err().may_appear());
    applied(&mut state, &blobs);
    assert_eq!(state.head_revision().unwrap().unwrap().hash(), hash);
    state.apply(&revision_key(hash), None).unwrap();
    let removed = state.revision(hash).unwrap_err();
    assert_eq!(removed, ResolveError::Removed { revision: hash.to_owned() });
    assert!(!removed.may_appear());
}

#[test]
fn a_stored_revision_is_the_loaded_one() {
    let user = source("", &[("pack.yaml", "name: user\nversion: 1.0.0\n")]);
    let revision = load(vec![disk_with(&[]), user]);
    let mut state = CatalogState::new();
    put_in_force(&mut state, &revision, 1);
    let stored = state.stored_revision(revision.hash()).unwrap();
    assert_eq!(stored.hash(), revision.hash());
    assert_eq!(stored.blobs(), revision.blobs());
    assert_eq!(stored.compiled().files("disk"), revision.compiled().files("disk"));
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
    let forged = CatalogBlob { pack: "disk".to_owned(), content: other.blobs()[0].archive.clone() };
    state.apply(&blob_key(&revision.blobs()[0].hash), Some(&encode(&forged))).unwrap();
    let error = state.revision(revision.hash()).unwrap_err();
    assert!(matches!(error, ResolveError::Broken { .. }) && error.may_appear(), "{error}");
}

#[test]
fn a_revision_that_is_not_what_its_hash_says_is_refused() {
    let revision = load(vec![disk_with(&[])]);
    let mut state = CatalogState::new();
    put_in_force(&mut state, &revision, 1);
    let mut record = state.revisions()[revision.hash()].clone();
    record.revision = "other".to_owned();
    state.apply("revision/other", Some(&encode(&record))).unwrap();
    let error = state.revision("other").unwrap_err();
    assert!(error.to_string().contains("the packs of revision other have the hash"), "{error}");
}

#[test]
fn only_a_few_compiled_revisions_are_kept() {
    let mut state = CatalogState::new();
    let texts: Vec<String> = (0..COMPILED_REVISIONS_MAX + 3).map(|n| format!("text {n}")).collect();
    for text in &texts {
        let mut pack = disk_with(&[]);
        pack.files.push(crate::PackFile {
            path: "README.md".to_owned(),
            bytes: text.clone().into_bytes(),
            executable: false,
        });
        put_in_force(&mut state, &load(vec![pack]), 1);
        state.head_revision().unwrap();
    }
    assert_eq!(state.lock().len(), COMPILED_REVISIONS_MAX);
    assert_eq!(state.revisions().len(), texts.len());
}
