//! `tests/*.yaml`: tests of workflows, Petrel's own and Orquesta's rehearsals.

use std::sync::Arc;

use petrel_workflow::rehearsal::{self, TestFile, Tests};

use crate::problems::{Code, Place, Problems, did_you_mean};

use super::files::{PackFile, shown};
use super::workflow::at_of;

/// A file of tests of one workflow.
#[derive(Debug, Clone)]
pub(crate) struct WorkflowTestDraft {
    /// The file as users know it.
    pub(crate) path: Arc<str>,
    /// What stands in it.
    pub(crate) file: TestFile,
    /// Of a rehearsal, the workflow's path in the pack and its text.
    pub(crate) rehearsed: Option<(String, Arc<str>)>,
}

impl WorkflowTestDraft {
    /// Where the file names its workflow.
    pub(crate) fn workflow_place(&self) -> Place {
        Place { path: self.path.clone(), at: at_of(self.file.workflow_at) }
    }
}

/// Whether a file of a pack holds tests of workflows.
fn is_test(path: &str) -> bool {
    path.starts_with("tests/") && path.ends_with(".yaml")
}

/// Reads the tests of a pack.
pub(super) fn read(label: &str, files: &[PackFile], problems: &mut Problems) -> Vec<WorkflowTestDraft> {
    let tests = files.iter().filter(|file| is_test(&file.path));
    tests.filter_map(|file| read_one(label, file, files, problems)).collect()
}

fn read_one(label: &str, file: &PackFile, files: &[PackFile], problems: &mut Problems) -> Option<WorkflowTestDraft> {
    let path: Arc<str> = shown(label, &file.path).into();
    let tests = read_tests(&path, &String::from_utf8_lossy(&file.bytes), problems)?;
    let mut draft = WorkflowTestDraft { path, file: tests, rehearsed: None };
    if matches!(draft.file.tests, Tests::Rehearsal(_)) {
        let named = draft.file.workflow.trim_start_matches("./");
        // Orquesta's rehearsals name a file from the folder on that they were started in: the pack's or that of actions.
        let candidates = [named.to_owned(), format!("actions/{named}")];
        let Some(workflow) = files.iter().find(|file| candidates.contains(&file.path)) else {
            let hint = did_you_mean(named, files.iter().map(|file| file.path.as_str()));
            let message = format!("the pack has no file {named}{hint}");
            problems.add(&draft.workflow_place(), Code::UnknownReference, message);
            return None;
        };
        draft.rehearsed = Some((workflow.path.clone(), String::from_utf8_lossy(&workflow.bytes).into()));
    }
    Some(draft)
}

/// Reads a file of tests; what is wrong in it is told.
pub(crate) fn read_tests(path: &str, text: &str, problems: &mut Problems) -> Option<TestFile> {
    let tell = |mistakes: Vec<rehearsal::Mistake>| {
        for mistake in mistakes {
            problems.add_at(path, at_of(mistake.at), Code::BadValue, mistake.message);
        }
    };
    rehearsal::read(text).map_err(tell).ok()
}
