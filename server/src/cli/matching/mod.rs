//! `petrel rule match`: rules over a file of events, on all cores, without a server.
//!
//! Reading order: `subject` (which rules), `blocks` (the input in blocks of whole lines), `worker` (a block
//! through the rules), `pipeline` (blocks through the workers, in order), `report` (what is told at the end).

mod blocks;
mod pipeline;
mod report;
mod subject;
mod worker;

use std::fs::File;
use std::io::{self, IsTerminal, Read};
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
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let refuse = |e: io::Error| Failure::new(EXIT_USAGE, format!("cannot read the events {}: {e}", path.display()));
    let file = File::open(path).map_err(refuse)?;
    let metadata = file.metadata().map_err(refuse)?;
    if metadata.is_dir() {
        return Err(refuse(io::ErrorKind::IsADirectory.into()));
    }
    let bytes = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(file), bytes))
}

/// A bar on a terminal, while a file of known size is read and no matches run over the same terminal.
fn progress(bytes: Option<u64>, counts: bool) -> ProgressBar {
    let free = counts || !io::stdout().is_terminal();
    let Some(bytes) = bytes.filter(|_| free && io::stderr().is_terminal()) else { return ProgressBar::hidden() };
    let template = "{bar:40} {bytes}/{total_bytes} {binary_bytes_per_sec}, {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(bytes).with_style(style)
}
