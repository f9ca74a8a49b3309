//! The files of the work tree.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace::root;

/// Folders that hold what is built, fetched or written at run time.
const NOT_OURS: [&str; 4] = ["target", "node_modules", ".git", ".petrel"];
/// What is read as text. Other files, such as golden ones, are data.
const TEXT: [&str; 15] =
    ["avsc", "json", "lock", "md", "mjs", "npmrc", "properties", "py", "rs", "sh", "sql", "toml", "xml", "yaml", "yml"];

/// A text file.
#[derive(Debug, Clone)]
pub struct Source {
    /// From the workspace's root.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// A file made up for a test of the rules.
    pub fn new(path: &str, text: &str) -> Source {
        Source { path: PathBuf::from(path), text: text.to_owned() }
    }

    /// Whether this is Rust.
    pub fn is_rust(&self) -> bool {
        self.path.extension().is_some_and(|extension| extension == "rs")
    }

    /// Whether the whole file is test code: `tests.rs`, `tests_….rs`, or below a folder named `tests` or `benches`.
    pub fn is_test(&self) -> bool {
        let named_so = |part: &std::ffi::OsStr| part == "tests" || part == "benches" || part == "tests.rs";
        let begins_so = self.path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("tests_"));
        begins_so || self.path.iter().any(named_so)
    }

    /// Number (from 1) and text of the lines that are not comments.
    pub fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(at, line)| (at + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The lines that are neither comments nor test code.
    pub fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = if self.is_test() { 0 } else { self.first_test_line() };
        self.code_lines().take_while(move |(number, _)| *number < end)
    }

    /// The lines of test code, comments apart.
    pub fn test_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let start = if self.is_test() { 1 } else { self.first_test_line() };
        self.code_lines().skip_while(move |(number, _)| *number < start)
    }

    /// By convention tests are the last module of a file: everything from its attribute on.
    fn first_test_line(&self) -> usize {
        let lines: Vec<&str> = self.text.lines().collect();
        let is_start =
            |pair: &[&str]| pair[0].trim() == "#[cfg(test)]" && pair[1].trim_start().starts_with("mod tests");
        lines.windows(2).position(is_start).map_or(usize::MAX, |at| at + 1)
    }
}

/// All text files of the work tree, in order of their paths.
pub fn sources() -> Result<Vec<Source>> {
    let mut found = Vec::new();
    collect(root(), &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn collect(dir: &Path, found: &mut Vec<Source>) -> Result<()> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read {}", dir.display()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !NOT_OURS.contains(&name.as_str()) {
                collect(&path, found)?;
            }
        } else if is_text(&name) {
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let path = path.strip_prefix(root()).context("a file outside the workspace")?.to_owned();
            found.push(Source { path, text });
        }
    }
    Ok(())
}

/// By its extension; `run` in `.ci` and `.gitignore` have none and are text.
fn is_text(name: &str) -> bool {
    match name.rsplit_once('.') {
        Some((_, extension)) => TEXT.contains(&extension) || name == ".gitignore",
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_and_test_code_are_told_apart() {
        let text = "//! a\nfn a() {}\n// b\n#[cfg(test)]\nmod tests {\n    // c\n    fn d() {}\n}\n";
        let numbers =
            |lines: &mut dyn Iterator<Item = (usize, &str)>| lines.map(|(number, _)| number).collect::<Vec<_>>();
        let file = Source::new("x/src/a.rs", text);
        assert_eq!(numbers(&mut file.product_lines()), [2]);
        assert_eq!(numbers(&mut file.test_lines()), [4, 5, 7, 8]);
        for whole in ["x/tests/a.rs", "x/src/a/tests.rs", "x/src/a/tests_b.rs", "x/benches/a.rs"] {
            let file = Source::new(whole, text);
            assert_eq!(numbers(&mut file.product_lines()), [0; 0], "{whole}");
            assert_eq!(numbers(&mut file.test_lines()), [2, 4, 5, 7, 8], "{whole}");
        }
        let without = Source::new("x/src/a.rs", "#[cfg(test)]\nuse a::b;\nfn c() {}\n");
        assert_eq!(numbers(&mut without.product_lines()), [1, 2, 3]);
    }

    #[test]
    fn the_tree_is_read() {
        let found = sources().unwrap();
        let has = |path: &str| found.iter().any(|source| source.path == Path::new(path));
        for path in ["Cargo.toml", "Cargo.lock", ".ci/run", "tests/architecture/src/sources.rs"] {
            assert!(has(path), "{path}");
        }
        assert!(!found.iter().any(|source| source.path.starts_with("target")));
    }
}
