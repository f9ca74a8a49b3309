//! One engine with one cell, in a process of its own: engines would disturb each other's heaps.
//!
//! The parent asks in lines on standard input, the answers are lines of JSON on standard output. The
//! driver of Event Ruler speaks the same.
//!
//! | asked | answered |
//! |---|---|
//! | at the start | `{"loaded":true}`, then `{"build_s","first_s","bytes"}` or `{"stopped"}` |
//! | `verify EVENTS SECONDS` | `{"events","count","sum","ns"}`: a pass over as many events as the time allows |
//! | `round EVENTS` | `{"count","ns"}` |

use std::io::{BufRead, Write};
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::cell::Cell;
use crate::data::Data;
use crate::engines::{Engine, Matcher, build, read_by, render};
use crate::memory::resident_bytes;
use crate::oracle::Matches;

/// A pass covers so many events at least, however long they take.
const EVENTS_MIN: usize = 5;

/// Events in memory.
struct Events {
    bytes: Vec<u8>,
    lines: Vec<Range<usize>>,
}

impl Events {
    fn read(file: &Path, count: usize) -> Result<Self> {
        let mut bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut start = 0;
        let ends = memchr::memchr_iter(b'\n', &bytes).take(count);
        let lines: Vec<Range<usize>> = ends.map(|end| std::mem::replace(&mut start, end + 1)..end).collect();
        bytes.truncate(start);
        bytes.shrink_to_fit();
        Ok(Self { bytes, lines })
    }

    fn first(&self, count: usize) -> impl Iterator<Item = &[u8]> {
        self.lines[..count.min(self.lines.len())].iter().map(|line| &self.bytes[line.clone()])
    }
}

/// Serves an engine until standard input ends.
pub(crate) fn serve(data: &Data, engine: Engine, cell: Cell, events: usize) -> Result<()> {
    let events = Events::read(&data.events(cell.corpus)?, events)?;
    let rules = data.rules(cell)?;
    let read = read_by(&rules, cell.corpus);
    let input = match render(engine, engine.part(rules), cell.corpus.fields()) {
        Ok(input) => input,
        Err(reason) => return answer(&json!({"stopped": format!("{reason:#}")})),
    };
    answer(&json!({"loaded": true}))?;
    let before = resident_bytes()?;
    let started = Instant::now();
    let mut matcher = match build(engine, &input, cell.corpus, &read) {
        Ok(matcher) => matcher,
        Err(reason) => return answer(&json!({"stopped": format!("{reason:#}")})),
    };
    let build_s = started.elapsed().as_secs_f64();
    // Some engines finish their structures when the first event comes.
    let started = Instant::now();
    pass(&mut matcher, &events, 1, f64::INFINITY)?;
    let first_s = started.elapsed().as_secs_f64();
    let bytes = resident_bytes()?.saturating_sub(before);
    drop(input);
    answer(&json!({"build_s": build_s, "first_s": first_s, "bytes": bytes}))?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["verify", count, seconds] => {
                let pass = pass(&mut matcher, &events, count.parse()?, seconds.parse()?)?;
                let Matches { count, sum } = pass.matches;
                answer(&json!({"events": pass.events, "count": count, "sum": sum, "ns": pass.ns}))?;
            }
            ["round", count] => {
                let (count, ns) = round(&mut matcher, &events, count.parse()?)?;
                answer(&json!({"count": count, "ns": ns}))?;
            }
            _ => bail!("asked what nobody knows: {line}"),
        }
    }
    Ok(())
}

fn answer(value: &serde_json::Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}")?;
    Ok(out.flush()?)
}

struct Pass {
    events: usize,
    matches: Matches,
    ns: f64,
}

/// Sums the matches of the first events, as many of them as the time allows.
fn pass(matcher: &mut Matcher, events: &Events, count: usize, seconds: f64) -> Result<Pass> {
    let mut found = Vec::new();
    let mut pass = Pass { events: 0, matches: Matches::default(), ns: 0.0 };
    let started = Instant::now();
    for (row, event) in events.first(count).enumerate() {
        found.clear();
        matcher(event, &mut found)?;
        found.iter().for_each(|rule| pass.matches.add(row, *rule));
        pass.events = row + 1;
        if pass.events >= EVENTS_MIN && started.elapsed().as_secs_f64() > seconds {
            break;
        }
    }
    pass.ns = started.elapsed().as_nanos() as f64;
    Ok(pass)
}

/// Matches of the first events, and the nanoseconds that they took.
fn round(matcher: &mut Matcher, events: &Events, count: usize) -> Result<(u64, f64)> {
    let mut found = Vec::with_capacity(1 << 16);
    let mut matches = 0;
    let started = Instant::now();
    for event in events.first(count) {
        found.clear();
        matcher(event, &mut found)?;
        matches += found.len() as u64;
    }
    Ok((matches, started.elapsed().as_nanos() as f64))
}
