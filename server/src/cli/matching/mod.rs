//! `petrel rule match`: rules over a file of events, on all cores, without a server.
//!
//! Reading order: `subject` (which rules), `blocks` (the input in blocks of whole lines), `worker` (a block
//! through the rules), `pipeline` (blocks through the workers, in order), `report` (what is told at the end).
#![expect(clippy::disallowed_methods, reason = "how long it took is told")]

mod blocks;
mod pipeline;
mod report;
mod subject;
mod worker;

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::thread::available_parallelism;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use self::pipeline::{Plan, RunError};
use self::subject::Subject;
pub(super) use self::subject::key_values;
use super::args::{MatchArgs, Output};
use super::{EXIT_FAILED, EXIT_USAGE, Failure, output};

/// Runs the rules over all events.
pub fn run(args: &MatchArgs, format: Output) -> Result<(), Failure> {
    let subject = Subject::read(args, format)?;
    let (input, bytes) = open(&args.events)?;
    let bar = progress(bytes, args.counts);
    let workers = available_parallelism().map_or(1, usize::from);
    let started = Instant::now();
    let ran = pipeline::run(&subject, input, &Plan::new(workers, args.counts), &mut io::stdout(), &|n| bar.inc(n));
    bar.finish_and_clear();
    let totals = match ran {
        Ok(totals) => totals,
        // A reader that has seen enough (`petrel … | head`) is no error.
        Err(RunError::Write(e)) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        Err(error) => return Err(Failure::new(EXIT_FAILED, format!("{}: {error}", args.events.display()))),
    };
    if args.counts {
        output::raw(&report::counts(&subject, &totals));
    }
    output::note(&report::summary(&totals, started.elapsed()));
    match totals.bad_lines() {
        0 => Ok(()),
        _ => Err(Failure::new(EXIT_FAILED, report::bad_lines(&totals))),
    }
}

/// The events and, of a file, how many bytes they are.
fn open(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>), Failure> {
    let refuse = |e: io::Error| Failure::new(EXIT_USAGE, format!("cannot read the events {}: {e}", path.display()));
    if path == Path::new("-") {
        // It may be a file: `petrel … < events.ndjson`.
        let input = io::stdin().as_fd().try_clone_to_owned().map(File::from);
        return Ok((Box::new(io::stdin()), input.and_then(|input| length(&input)).unwrap_or_default()));
    }
    let file = File::open(path).map_err(refuse)?;
    if file.metadata().map_err(refuse)?.is_dir() {
        return Err(refuse(io::ErrorKind::IsADirectory.into()));
    }
    let bytes = length(&file).map_err(refuse)?;
    Ok((Box::new(file), bytes))
}

/// How many bytes a file has, if it is one: of a pipe nobody knows.
fn length(file: &File) -> io::Result<Option<u64>> {
    file.metadata().map(|metadata| metadata.is_file().then_some(metadata.len()))
}

/// A bar on a terminal, while no matches run over the same terminal; of a pipe only how much was read.
fn progress(bytes: Option<u64>, counts: bool) -> ProgressBar {
    let free = counts || !io::stdout().is_terminal();
    if !free || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match bytes {
        Some(bytes) => (ProgressBar::new(bytes), "{bar:40} {bytes}/{total_bytes} {binary_bytes_per_sec}, {eta} left"),
        None => (ProgressBar::no_length(), "{spinner} {bytes} {binary_bytes_per_sec}"),
    };
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}
