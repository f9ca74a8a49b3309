//! The rules, applied to the real tree.

use std::path::Path;

use petrel_architecture_tests::{
    BUILT_MAX, LOCKED_MAX, NameAndVersion, Source, absent_tests, broken_links, built_for, closure_of, closure_problems,
    direct_problems, level_problems, lints_problems, lock_file_problems, locked, missing_paths, number_problems,
    owner_problems, root, rust_problems, source_problems, sources, stage_problems, text_problems, unheld_invariants,
    unnamed_crates, version_problems, workspace,
};

#[track_caller]
fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

fn in_tree(path: &Path) -> bool {
    root().join(path).exists()
}

fn in_every_file(rule: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    sources().unwrap().iter().flat_map(rule).collect()
}

#[test]
fn a_crate_depends_only_on_lower_levels() {
    assert_none(&level_problems(&workspace().unwrap()));
}

#[test]
fn one_crate_knows_one_outside_system() {
    assert_none(&owner_problems(&workspace().unwrap()));
}

#[test]
fn pure_crates_declare_nothing_impure() {
    assert_none(&direct_problems(&workspace().unwrap()));
}

#[test]
fn nothing_impure_stands_behind_pure_crates() {
    assert_none(&closure_problems(&workspace().unwrap(), closure_of).unwrap());
}

#[test]
fn the_code_of_pure_crates_names_no_file_and_no_clock() {
    assert_none(&in_every_file(source_problems));
}

#[test]
fn the_stages_are_where_they_are_looked_for() {
    assert_none(&stage_problems(&sources().unwrap()));
}

#[test]
fn rust_files_are_tidy() {
    assert_none(&in_every_file(rust_problems));
}

#[test]
fn no_file_tells_of_the_machine_it_was_written_on() {
    assert_none(&in_every_file(text_problems));
}

#[test]
fn lock_files_pin_without_naming_a_registry() {
    assert_none(&in_every_file(lock_file_problems));
}

fn in_the_lock_file() -> Vec<NameAndVersion> {
    locked(&std::fs::read_to_string(root().join("Cargo.lock")).unwrap()).unwrap()
}

#[test]
fn not_more_crates_are_locked_and_built_than_were_decided() {
    assert_none(&number_problems("Cargo.lock", &in_the_lock_file(), LOCKED_MAX));
    assert_none(&number_problems("petrel", &built_for("petrel-server").unwrap(), BUILT_MAX));
}

#[test]
fn every_crate_stands_in_one_version() {
    assert_none(&version_problems(&in_the_lock_file()));
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    let problem = |one: &petrel_architecture_tests::Crate| {
        let manifest = std::fs::read_to_string(root().join(&one.dir).join("Cargo.toml")).unwrap();
        lints_problems(one, &manifest)
    };
    assert_none(&workspace().unwrap().iter().filter_map(problem).collect::<Vec<_>>());
}

#[test]
fn the_architecture_document_names_what_exists_and_every_crate() {
    let text = std::fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let document = Source::new("docs/ARCHITECTURE.md", &text);
    assert_none(&missing_paths(&document, in_tree));
    assert_none(&unnamed_crates(&document, &workspace().unwrap()));
}

#[test]
fn every_invariant_and_every_case_of_a_runner_names_the_tests_that_hold_it() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    let (text, cases) = (read("docs/ARCHITECTURE.md"), read("docs/RUNNER_TESTS.md"));
    let sources = sources().unwrap();
    let tests: Vec<&str> = sources
        .iter()
        .filter(|source| source.is_rust())
        .flat_map(|source| source.test_lines())
        .map(|(_, l)| l)
        .collect();
    // A name of a test, or of a property that each bus is tested for.
    let is_test = |name: &str| {
        let names = [format!("fn {name}("), format!("fn {name}<")];
        tests.iter().any(|line| names.iter().any(|name| line.contains(name)))
    };
    assert_none(&unheld_invariants(&Source::new("docs/ARCHITECTURE.md", &text), is_test));
    assert_none(&absent_tests(&Source::new("docs/RUNNER_TESTS.md", &cases), is_test));
}

#[test]
fn links_of_all_documents_lead_somewhere() {
    let is_document = |source: &Source| source.path.extension().is_some_and(|extension| extension == "md");
    assert_none(&in_every_file(|source| if is_document(source) { broken_links(source, in_tree) } else { Vec::new() }));
}
