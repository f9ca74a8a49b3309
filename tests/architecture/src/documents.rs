//! Documents that name what exists.

use std::path::Path;

use crate::sources::Source;
use crate::workspace::Crate;

/// Paths between backticks that `exists` denies: `rules/src/stage.rs`, `tests/`. What is no path of
/// the tree, such as `petrel.tasks.<pool>`, is not meant.
pub fn missing_paths(document: &Source, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let mut problems = Vec::new();
    for (at, line) in document.text.lines().enumerate() {
        // Every second piece stands between backticks.
        for quoted in line.split('`').skip(1).step_by(2) {
            if is_tree_path(quoted, &exists) && !exists(Path::new(quoted)) {
                problems.push(format!("{}:{}: {quoted} does not exist", document.path.display(), at + 1));
            }
        }
    }
    problems
}

/// A path ends in a slash, or begins with a folder of the tree.
fn is_tree_path(quoted: &str, exists: &impl Fn(&Path) -> bool) -> bool {
    let spelt_so = quoted.chars().all(|one| one.is_ascii_alphanumeric() || "._-/".contains(one));
    let Some((first, _)) = quoted.split_once('/') else { return false };
    spelt_so && !first.is_empty() && (quoted.ends_with('/') || exists(Path::new(first)))
}

/// Links `[text](target)` to files that `exists` denies; the target is relative to the document.
pub fn broken_links(document: &Source, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let dir = document.path.parent().unwrap_or(Path::new(""));
    let mut problems = Vec::new();
    for (at, line) in document.text.lines().enumerate() {
        for rest in line.split("](").skip(1) {
            let target = rest.split([')', '#', ' ']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains(':') && !exists(&dir.join(target)) {
                problems.push(format!(
                    "{}:{}: a link to {target}, which does not exist",
                    document.path.display(),
                    at + 1
                ));
            }
        }
    }
    problems
}

/// Crates whose folder, or the folder above it, the document does not name.
pub fn unnamed_crates(document: &Source, crates: &[Crate]) -> Vec<String> {
    let named = |dir: &Path| document.text.contains(&format!("`{}/`", dir.display()));
    let unnamed = crates.iter().filter(|one| !one.dir.ancestors().any(named));
    unnamed.map(|one| format!("{} does not name {}/", document.path.display(), one.dir.display())).collect()
}

/// Invariants, the points under `## Invariants`, that name no test behind `Held by`, or one that `is_test` denies.
pub fn unheld_invariants(document: &Source, is_test: impl Fn(&str) -> bool) -> Vec<String> {
    let invariants = document.text.lines().skip_while(|line| *line != "## Invariants").skip(1);
    let points = invariants.take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("- "));
    let mut problems = Vec::new();
    for point in points {
        let (said, tests) = point.split_once(" Held by ").unwrap_or((point, ""));
        let said = said.chars().take(40).collect::<String>();
        let tests: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        if tests.is_empty() {
            problems.push(format!("{said}… names no test"));
        }
        let gone = tests.into_iter().filter(|test| !is_test(test));
        problems.extend(gone.map(|test| format!("{said}… is held by {test}, which is no test")));
    }
    problems
}

/// Tests that the rows of a document's tables name, between backticks, and that `is_test` denies.
pub fn absent_tests(document: &Source, is_test: impl Fn(&str) -> bool) -> Vec<String> {
    let rows = document.text.lines().enumerate().filter(|(_, line)| line.starts_with("| "));
    let named = rows.flat_map(|(at, line)| line.split('`').skip(1).step_by(2).map(move |name| (at, name)));
    let absent = named.filter(|(_, name)| !is_test(name));
    absent.map(|(at, name)| format!("{}:{}: {name} is no test", document.path.display(), at + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_name_tests_that_are_there() {
        let text = "`gone`\n| a | `there`, `gone` |\n|---|---|\n";
        let problems = absent_tests(&Source::new("docs/X.md", text), |test| test == "there");
        assert_eq!(problems, ["docs/X.md:2: gone is no test"]);
    }

    #[test]
    fn invariants_name_tests_that_are_there() {
        let text = "# X\n- no point\n## Invariants\n\n- **a** b `c`. Held by `there`.\n- **d** e. Held by `there`, `gone`.\n- f\n\n## Y\n- g\n";
        let problems = unheld_invariants(&Source::new("docs/X.md", text), |test| test == "there");
        assert_eq!(problems, ["- **d** e.… is held by gone, which is no test", "- f… names no test"]);
    }

    fn exists(path: &Path) -> bool {
        [Path::new("rules"), Path::new("rules/src"), Path::new("docs/A.md")].contains(&path)
    }

    #[test]
    fn paths_between_backticks_exist() {
        for (text, problems) in [
            ("see `rules/` and `rules/src`", 0),
            ("see `rules/src/gone.rs`", 1),
            ("see `gone/`", 1),
            ("`POST /v1/events` and `petrel.tasks/<pool>` and `and/or`", 0),
            ("rules/gone.rs without backticks", 0),
        ] {
            assert_eq!(missing_paths(&Source::new("docs/X.md", text), exists).len(), problems, "{text}");
        }
    }

    #[test]
    fn links_lead_somewhere() {
        for (text, problems) in
            [("[a](A.md), [b](A.md#part) and [c](https://example.org/x)", 0), ("[a](B.md)", 1), ("[here](#part)", 0)]
        {
            assert_eq!(broken_links(&Source::new("docs/X.md", text), exists).len(), problems, "{text}");
        }
    }

    #[test]
    fn every_crate_is_on_the_map() {
        let krate = |dir: &str| Crate { name: dir.into(), dir: dir.into(), level: Some(0), dependencies: Vec::new() };
        let document = Source::new("docs/X.md", "| `rules/` | `tests/` |");
        let crates = [krate("rules"), krate("tests/e2e"), krate("bus")];
        assert_eq!(unnamed_crates(&document, &crates), ["docs/X.md does not name bus/"]);
    }
}
