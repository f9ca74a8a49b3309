//! `petrel workflow test`: the tests of packs' workflows, and Orquesta's rehearsals as they are.

use std::path::{Path, PathBuf};

use petrel_catalog::{TestOutcome, Tested, rehearse_file, run_tests};

use super::super::args::Output;
use super::super::{EXIT_USAGE, Failure, output, pack};
use super::file::{Kind, read_text};

pub fn run(paths: &[PathBuf], format: Output) -> Result<(), Failure> {
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = paths.iter().cloned().partition(|path| path.is_dir());
    let mut outcomes: Vec<TestOutcome> = Vec::new();
    if !folders.is_empty() {
        let revision = pack::load(&folders, format)?;
        let all = run_tests(revision.compiled());
        outcomes.extend(all.into_iter().filter(|outcome| outcome.tested == Tested::Workflow));
    }
    for path in &files {
        let text = read_text(path)?;
        if let Some(kind @ (Kind::Workflow | Kind::Action)) = Kind::of(path, &text) {
            let message = format!(
                "{} is {kind}, and no test: name the folder of its pack, whose tests are in tests/, or a file of Orquesta's \
                 rehearsals",
                path.display()
            );
            return Err(Failure::new(EXIT_USAGE, message));
        }
        let outcome = rehearse_file(&path.display().to_string(), &text, |workflow| read_beside(path, workflow));
        outcomes.push(outcome.map_err(|problems| Failure::new(EXIT_USAGE, problems.to_string()))?);
    }
    if outcomes.is_empty() {
        output::note("these packs have no tests of workflows");
    }
    pack::tell_outcomes(&outcomes, format)
}

/// The file that a rehearsal names, from the rehearsal's own folder or one above it on.
fn read_beside(rehearsal: &Path, workflow: &str) -> Option<String> {
    let full = std::path::absolute(rehearsal).ok()?;
    full.ancestors().skip(1).find_map(|folder| std::fs::read_to_string(folder.join(workflow)).ok())
}
