use super::*;
use crate::limits::ACTIONS_CACHED_MAX;
use crate::pack::PackSource;
use crate::testkit::{disk_with, load, source};

fn stored(pack: PackSource) -> StoredPack {
    load(vec![pack]).content().packs()[0].clone()
}

fn file(path: String, text: &str) -> PackFile {
    PackFile { path, bytes: text.as_bytes().to_vec(), executable: false }
}

#[test]
fn an_action_is_compiled_once_alone_and_shared_by_revisions() {
    let mut pack = disk_with(&[]);
    for n in 0..50 {
        let text = format!("name: other{n}\nrunner: command\ncommand: [\"true\"]\n");
        pack.files.push(file(format!("actions/other{n}.yaml"), &text));
        let text = format!(
            "name: r{n}\ntrigger: disk.alert\ncriteria: trigger.mount == \"{n}\"\naction: {{ ref: disk.other{n} }}\n"
        );
        pack.files.push(file(format!("rules/r{n}.yaml"), &text));
    }
    let actions = Actions::new();
    let stored = stored(pack);
    let found = actions.resolve(&stored, "clean").unwrap().unwrap();
    assert_eq!((found.reference.as_str(), found.plan.timeout_ms), ("disk.clean", 600_000));
    assert_eq!(actions.compiled(), 1, "no rule and no other action");
    let again = actions.resolve(&stored.clone(), "clean").unwrap().unwrap();
    assert!(Arc::ptr_eq(&found, &again));
    assert!(actions.resolve(&stored, "wipe").unwrap().is_none());
    assert!(actions.resolve(&stored, "wipe").unwrap().is_none());
    assert_eq!(actions.compiled(), 2, "that there is none is remembered too");
}

#[test]
fn an_action_is_found_by_its_name_whatever_its_file_is_called() {
    let action = |name: &str| format!("name: {name}\nrunner: command\ncommand: [./run.sh]\n");
    let (one, two) = (action("two"), action("one"));
    let files = [
        ("pack.yaml", "name: p\nversion: 1.0.0\n"),
        ("actions/one.yaml", one.as_str()),
        ("actions/two.yaml", two.as_str()),
        ("actions/run.sh", "#!/bin/sh\n"),
    ];
    let (stored, actions) = (stored(source("", &files)), Actions::new());
    for name in ["one", "two"] {
        assert_eq!(actions.resolve(&stored, name).unwrap().unwrap().reference, format!("p.{name}"));
    }
}

/// A pack of a release to come: what this one can read of it, it uses.
#[test]
fn what_this_release_cannot_read_breaks_that_action_only() {
    let good = disk_with(&[]);
    let stored_good = stored(good.clone());
    let mut files = stored_good.files().unwrap();
    files.push(file("actions/later.yaml".into(), "name: later\nrunner: quantum\n"));
    files.push(file("rules/later.yaml".into(), "name: later\nwhenever: true\n"));
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let content = crate::archive::pack(&files).unwrap();
    let hash = crate::archive::content_hash(&files).unwrap();
    let blob = petrel_schemas::CatalogBlob { pack: "disk".to_owned(), content };
    let stored = StoredPack::new(&hash, Arc::new(blob.clone()));
    let actions = Actions::new();
    assert!(actions.resolve(&stored, "clean").unwrap().is_some());
    let why = actions.resolve(&stored, "later").unwrap_err();
    assert!(why.contains("disk/actions/later.yaml:2:9") && why.contains("quantum"), "{why}");

    let forged = StoredPack::new(stored_good.hash(), Arc::new(blob));
    let why = actions.resolve(&forged, "clean").unwrap_err();
    assert!(why.contains("has the hash"), "{why}");
}

/// A policy whose key is an expression of a release to come: an action without its limits would run as often as it likes.
#[test]
fn an_action_does_not_run_without_a_policy_that_this_release_cannot_compile() {
    let mut files = stored(disk_with(&[])).files().unwrap();
    let text =
        "name: later\nactions: [disk.clean]\nlimits: { max_actions: 1, per: 1h, by: fold_hosts(parameters.host) }\n";
    files.push(file("policies/later.yaml".into(), text));
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let content = crate::archive::pack(&files).unwrap();
    let hash = crate::archive::content_hash(&files).unwrap();
    let blob = petrel_schemas::CatalogBlob { pack: "disk".to_owned(), content };
    let why = Actions::new().resolve(&StoredPack::new(&hash, Arc::new(blob)), "clean").unwrap_err();
    assert!(why.contains("disk/policies/later.yaml:3:") && why.contains("fold_hosts"), "{why}");
}

#[test]
fn those_that_were_used_last_are_kept() {
    let mut recent = Recent::new(ACTIONS_CACHED_MAX);
    for n in 0..10 * ACTIONS_CACHED_MAX {
        recent.put(n, ());
        assert!(recent.get(&0).is_some(), "it is used all the time, at {n}");
        assert!(recent.young.len() + recent.old.len() <= ACTIONS_CACHED_MAX);
    }
    assert!(recent.get(&1).is_none());
}
