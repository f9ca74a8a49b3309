//! Finds out whether opening a database cut something out of its middle.
//!
//! fjall ends a journal where it cannot be read on and goes on with the next one. At the end of the last
//! journal that is right, for a killed process leaves half a batch there. In an earlier one it would leave
//! a hole: batches behind it whose positions say that it is not there.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const BLOCK_BYTES: usize = 64 * 1024;

/// All journals but the last, and where their content ends.
#[derive(Debug)]
pub(crate) struct Sealed(Vec<(PathBuf, u64)>);

impl Sealed {
    pub(crate) fn look(dir: &Path) -> io::Result<Self> {
        let mut journals: Vec<(u64, PathBuf)> = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            if let (Some(number), true) = (number, path.extension().is_some_and(|e| e == "jnl")) {
                journals.push((number, path));
            }
        }
        journals.sort();
        journals.pop();
        let ends = journals.into_iter().map(|(_, path)| content_end(&path).map(|end| (path, end)));
        Ok(Self(ends.collect::<io::Result<_>>()?))
    }

    /// Whether each is as long as its content was, or gone because nothing needs it.
    pub(crate) fn are_whole(&self) -> bool {
        let is_whole = |(path, end): &(PathBuf, u64)| path.metadata().map_or(true, |file| file.len() >= *end);
        self.0.iter().all(is_whole)
    }
}

/// Where zeros begin that go on to the end: journals are made longer than they will be.
fn content_end(path: &Path) -> io::Result<u64> {
    let file = File::open(path)?;
    let mut end = file.metadata()?.len();
    let mut block = vec![0; BLOCK_BYTES];
    while end > 0 {
        let begin = end.saturating_sub(BLOCK_BYTES as u64);
        let part = &mut block[..usize::try_from(end - begin).unwrap_or(BLOCK_BYTES)];
        file.read_exact_at(part, begin)?;
        if let Some(last) = part.iter().rposition(|byte| *byte != 0) {
            return Ok(begin + last as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}
