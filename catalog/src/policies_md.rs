//! The examples of docs/POLICIES.md are taken as they stand there.

use crate::pack::{PackFile, PackSource};
use crate::revision::Revision;

const CLEAN: &str = "name: clean\nrunner: command\ncommand: [./clean.sh]\nparameters:\n  host: { type: string }\n";

const FULL: &str = "name: full\ntrigger: disk.alert\nactions:\n  - { ref: disk.clean }\n";

/// The blocks of YAML, each with the path that its first line names.
fn examples(page: &str) -> Vec<(String, String)> {
    let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split_once("```").expect("a block ends").0);
    let named = |block: &str| {
        let (first, _) = block.split_once('\n').expect("a block has lines");
        let path = first.strip_prefix("# ").expect("its first line names its path");
        (path.to_owned(), block.to_owned())
    };
    blocks.map(named).collect()
}

fn pack(path: &str, text: &str) -> PackSource {
    let file = |path: &str, text: &str, executable| PackFile { path: path.into(), bytes: text.into(), executable };
    let mut files = vec![
        file("pack.yaml", "name: disk\nversion: 1.0.0\n", false),
        file("actions/clean.sh", "#!/bin/sh\n", true),
        file("actions/clean.yaml", CLEAN, false),
        file("triggers/alert.yaml", "name: alert\nsource: { http: {} }\n", false),
        file("rules/full.yaml", FULL, false),
    ];
    files.retain(|known| known.path != path);
    files.push(file(path, text, false));
    PackSource { label: String::new(), files, special: Vec::new() }
}

#[test]
fn the_examples_of_the_page_are_right_each_by_itself_and_all_at_once() {
    let examples = examples(include_str!("../../docs/POLICIES.md"));
    assert!(examples.len() >= 11, "{examples:?}");
    for (path, text) in &examples {
        let revision = Revision::load(vec![pack(path, text)]).unwrap_or_else(|problems| panic!("{path}: {problems}"));
        let plan = revision.compiled().action("disk.clean").unwrap().plan.clone();
        assert!(plan.policies.is_some() || plan.retry.is_some(), "{path} says nothing");
    }
    let mut all = pack("pack.yaml", "name: disk\nversion: 1.0.0\n");
    all.files.retain(|file| !examples.iter().any(|(path, _)| *path == file.path));
    let file = |(path, text): &(String, String)| PackFile {
        path: path.clone(),
        bytes: text.clone().into_bytes(),
        executable: false,
    };
    all.files.extend(examples.iter().filter(|(path, _)| path.starts_with("policies/")).map(file));
    all.files.push(file(&("actions/clean.yaml".to_owned(), CLEAN.to_owned())));
    all.files.push(file(&("rules/full.yaml".to_owned(), FULL.to_owned())));
    let revision = Revision::load(vec![all]).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(revision.compiled().action("disk.clean").unwrap().plan.policies.is_some());
}
