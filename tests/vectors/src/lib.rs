//! Runs recorded behaviour of Orquesta and of YAQL: traces of its conductor, rehearsals, inspections, statuses,
//! expressions. The formats are those of files of JSON lines; what a row is, its fields say.
//!
//! Reading order: `file` (rows of a file), `case` (which kind a row is, and how it went), then a file for each kind, and
//! `compare`.

mod case;
mod expression;
mod file;
mod rehearsal;
mod spec;
mod state;
mod trace;
mod yaql;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

pub use case::{Outcome, run_case};

/// How the cases of a file went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The file, relative to the folder.
    pub file: PathBuf,
    /// How many went as recorded.
    pub passed: usize,
    /// Those that did not: name, and why.
    pub failed: Vec<(String, String)>,
    /// How many were skipped, by reason.
    pub skipped: BTreeMap<&'static str, usize>,
}

/// Runs every file of vectors in a folder and below it, in the order of their names.
///
/// # Errors
/// A folder or file that cannot be read, rows that are no vectors, and a folder without any.
pub fn run_folder(folder: &Path) -> Result<Vec<Report>> {
    let mut files = file::find(folder)?;
    files.sort();
    ensure!(!files.is_empty(), "{} holds no .jsonl and no .jsonl.gz", folder.display());
    files.iter().map(|path| run_file(folder, path)).collect()
}

fn run_file(folder: &Path, path: &Path) -> Result<Report> {
    let file = path.strip_prefix(folder).unwrap_or(path).to_owned();
    let mut report = Report { file, passed: 0, failed: Vec::new(), skipped: BTreeMap::new() };
    for (number, row) in file::rows(path)?.iter().enumerate() {
        let place = || format!("{}, row {}", path.display(), number + 1);
        let name = row["name"].as_str().with_context(place)?;
        match run_case(row).with_context(place)? {
            Outcome::Passed => report.passed += 1,
            Outcome::Failed(why) => report.failed.push((name.to_owned(), why)),
            Outcome::Skipped(reason) => *report.skipped.entry(reason).or_default() += 1,
        }
    }
    Ok(report)
}
