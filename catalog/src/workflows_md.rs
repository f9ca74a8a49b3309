//! The examples of docs/WORKFLOWS.md are taken as they stand there, and their tests are run.

use petrel_execution::runner::WorkflowLanguage;

use crate::core_tests::core;
use crate::outcome::{Tested, run_tests};
use crate::pack::{PackFile, PackSource, inspect_workflow};
use crate::revision::Revision;

/// The blocks that open with a line.
fn blocks(opening: &str) -> impl Iterator<Item = &'static str> {
    let page = include_str!("../../docs/WORKFLOWS.md");
    page.split(opening).skip(1).map(|rest| rest.split_once("```").expect("a block ends").0)
}

/// The blocks that are files, each with the path that its first line names.
fn examples() -> Vec<(String, String)> {
    let blocks = blocks("```yaml\n");
    let named = |block: &str| {
        let (first, _) = block.split_once('\n').expect("a block has lines");
        let path = first.strip_prefix("# ").expect("its first line names its path");
        (path.to_owned(), block.to_owned())
    };
    blocks.map(named).collect()
}

/// A pack of these files. A workflow that no action names has one of its own name.
fn pack(files: &[PackFile]) -> PackSource {
    let mut files = files.to_vec();
    let is_workflow = |file: &&PackFile| file.path.starts_with("workflows/");
    let paths: Vec<String> = files.iter().filter(is_workflow).map(|file| file.path.clone()).collect();
    for path in paths {
        let name = path.trim_start_matches("workflows/").trim_end_matches(".yaml");
        let action = format!("actions/{name}.yaml");
        if !files.iter().any(|file| file.path == action) {
            let text = format!("name: {name}\nrunner: orquesta\nworkflow: {path}\n");
            files.push(PackFile { path: action, bytes: text.into(), executable: false });
        }
    }
    PackSource { label: "packs/web".to_owned(), files, special: Vec::new() }
}

#[test]
fn the_examples_of_the_page_load_and_their_tests_pass() {
    let manifest = "name: web\nversion: 1.0.0\n";
    let mut files = vec![PackFile { path: "pack.yaml".into(), bytes: manifest.into(), executable: false }];
    let (mut loads, mut passed) = (0, 0);
    for (path, text) in examples() {
        files.retain(|file| file.path != path);
        files.push(PackFile { path: path.clone(), bytes: text.into(), executable: false });
        // With its test a workflow is as the page means it.
        if !path.starts_with("tests/") {
            files.retain(|file| path != "workflows/release.yaml" || file.path != "tests/release.yaml");
            continue;
        }
        let revision = Revision::load(vec![core(), pack(&files)]).unwrap_or_else(|problems| panic!("{problems}"));
        loads += 1;
        for outcome in run_tests(revision.compiled()) {
            assert!(outcome.passed() && outcome.tested == Tested::Workflow, "{outcome}");
            passed += 1;
        }
    }
    assert!(loads >= 8 && passed >= 12, "{loads} {passed}");
}

#[test]
fn the_examples_of_native_workflows_have_no_problem() {
    let mut inspected = 0;
    for text in blocks("```yaml native\n") {
        let (spec, problems) = inspect_workflow("example.yaml", text, WorkflowLanguage::Native);
        assert!(spec.is_some() && problems.as_slice().is_empty(), "{text}\n{:?}", problems.as_slice());
        inspected += 1;
    }
    assert!(inspected >= 7, "{inspected}");
}
