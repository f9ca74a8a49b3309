//! What running actions write, for whoever follows it: a bounded window over `petrel.output`.
//!
//! What does not fit goes, of one execution its oldest chunks, of all the executions that have not written for the
//! longest. Readers ask for what is behind the place that they know, so that a slow one costs nobody anything: it finds
//! less.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use petrel_bus::Record;
use petrel_schemas::{OutputChunk, decode};
use tokio::sync::watch;

use crate::config;
use crate::follow::Follows;

/// Latest records of each partition that are read at the start.
const RECORDS_AT_START_MAX: i64 = 4_096;
/// What a chunk takes in memory beside its bytes.
const CHUNK_OVERHEAD_BYTES: usize = 256;

/// Which chunk of an execution: attempt, and number within that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Attempt.
    pub attempt: i32,
    /// Number of the chunk in its attempt.
    pub sequence: i64,
}

impl Place {
    /// Reads `attempt.sequence`.
    pub fn parse(text: &str) -> Option<Self> {
        let (attempt, sequence) = text.split_once('.')?;
        Some(Self { attempt: attempt.parse().ok()?, sequence: sequence.parse().ok()? })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.attempt, self.sequence)
    }
}

/// Chunks behind a place.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// In their order.
    pub chunks: Vec<Arc<OutputChunk>>,
    /// Whether there are more behind them.
    pub has_more: bool,
    /// The attempt that wrote latest, and whether all that will be told of it is here.
    pub latest: Option<(i32, bool)>,
}

/// The window.
#[derive(Debug)]
pub struct OutputView {
    bytes_max: usize,
    execution_bytes_max: usize,
    inner: Mutex<Inner>,
    /// How many chunks came.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<String, Written>,
    /// Executions by when they wrote latest.
    by_time: BTreeMap<u64, String>,
    bytes: usize,
    time: u64,
}

#[derive(Debug, Default)]
struct Written {
    chunks: BTreeMap<Place, Arc<OutputChunk>>,
    bytes: usize,
    time: u64,
}

impl OutputView {
    /// An empty window.
    pub fn new(config: &config::Api) -> Self {
        Self {
            bytes_max: config.output_bytes_max,
            execution_bytes_max: config.output_execution_bytes_max.min(config.output_bytes_max),
            inner: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }

    /// Follows the topic on a thread of its own until told to stop.
    pub fn spawn(self: &Arc<Self>, follows: &Follows, topic: Arc<str>) {
        let view = self.clone();
        follows.follow_latest("live-output", topic, RECORDS_AT_START_MAX, move |_, record| view.take(&record));
    }

    /// Tells of changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Chunks of an execution behind a place, of one stream if it is named, at least one and no more than that many bytes.
    pub fn page(&self, id: &str, after: Option<Place>, stream: Option<&str>, bytes_max: usize) -> Page {
        let inner = self.lock();
        let Some(written) = inner.by_id.get(id) else { return Page::default() };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut page, mut bytes) = (Page::default(), 0);
        for (_, chunk) in written.chunks.range((from, Bound::Unbounded)) {
            if stream.is_some_and(|stream| stream != chunk.stream) {
                continue;
            }
            bytes += chunk.bytes.len();
            if bytes > bytes_max && !page.chunks.is_empty() {
                page.has_more = true;
                break;
            }
            page.chunks.push(chunk.clone());
        }
        page.latest = written.chunks.last_key_value().map(|(place, chunk)| (place.attempt, chunk.is_last));
        page
    }

    fn take(&self, record: &Record<'_>) {
        let Some(value) = record.value else { return };
        match decode::<OutputChunk>(value) {
            Ok(chunk) => self.put(chunk),
            // Nobody decides anything by it.
            Err(error) => tracing::warn!(%error, offset = record.offset, "live output cannot be read"),
        }
    }

    fn put(&self, chunk: OutputChunk) {
        let mut inner = self.lock();
        let Inner { by_id, by_time, bytes, time } = &mut *inner;
        *time += 1;
        let id = chunk.execution_id.clone();
        let written = by_id.entry(id.clone()).or_default();
        by_time.remove(&written.time);
        by_time.insert(*time, id);
        written.time = *time;
        let place = Place { attempt: chunk.attempt, sequence: chunk.sequence };
        let (more, chunk) = (size_of(&chunk), Arc::new(chunk));
        let less = written.chunks.insert(place, chunk).map_or(0, |before| size_of(&before));
        written.bytes = written.bytes + more - less;
        *bytes = *bytes + more - less;
        while written.bytes > self.execution_bytes_max && written.chunks.len() > 1 {
            let Some((_, oldest)) = written.chunks.pop_first() else { break };
            written.bytes -= size_of(&oldest);
            *bytes -= size_of(&oldest);
        }
        while *bytes > self.bytes_max && by_time.len() > 1 {
            let Some((_, oldest)) = by_time.pop_first() else { break };
            *bytes -= by_id.remove(&oldest).map_or(0, |written| written.bytes);
        }
        drop(inner);
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size_of(chunk: &OutputChunk) -> usize {
    chunk.bytes.len() + chunk.execution_id.len() + CHUNK_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(id: &str, attempt: i32, sequence: i64, bytes: usize) -> OutputChunk {
        OutputChunk {
            execution_id: id.to_owned(),
            attempt,
            sequence,
            stream: if sequence % 2 == 0 { "stdout" } else { "stderr" }.to_owned(),
            offset: 0,
            bytes: vec![b'x'; bytes],
            is_last: false,
            told_at_ms: 0,
        }
    }

    fn view(output_bytes_max: usize, output_execution_bytes_max: usize) -> OutputView {
        OutputView::new(&config::Api { output_bytes_max, output_execution_bytes_max, ..config::Api::default() })
    }

    fn places(page: &Page) -> Vec<String> {
        page.chunks.iter().map(|c| Place { attempt: c.attempt, sequence: c.sequence }.to_string()).collect()
    }

    #[test]
    fn a_reader_goes_on_behind_what_it_knows() {
        let view = view(1 << 20, 1 << 20);
        for (attempt, sequence) in [(1, 0), (1, 1), (2, 0), (1, 2), (2, 1)] {
            view.put(chunk("e", attempt, sequence, 10));
        }
        // Written twice it is one.
        view.put(chunk("e", 2, 1, 10));
        let page = |after: &str, stream, bytes_max| view.page("e", Place::parse(after), stream, bytes_max);
        assert_eq!(places(&page("", None, 1_000)), ["1.0", "1.1", "1.2", "2.0", "2.1"]);
        let first = page("", None, 25);
        assert_eq!((places(&first), first.has_more), (vec!["1.0".to_owned(), "1.1".to_owned()], true));
        assert_eq!(places(&page("1.1", None, 1)), ["1.2"]);
        let last = page("1.1", Some("stderr"), 1_000);
        assert_eq!((places(&last), last.has_more, last.latest), (vec!["2.1".to_owned()], false, Some((2, false))));
        assert!(page("9.0", None, 1_000).chunks.is_empty() && view.page("f", None, None, 1).latest.is_none());
        assert_eq!(*view.changes().borrow(), 6);
    }

    #[test]
    fn the_window_is_bounded() {
        let one = size_of(&chunk("a", 1, 0, 1_000));
        let view = view(10 * one, 3 * one);
        for sequence in 0..100 {
            view.put(chunk("a", 1, sequence, 1_000));
        }
        assert_eq!(places(&view.page("a", None, None, 1 << 20)), ["1.97", "1.98", "1.99"]);
        for id in ["b", "c", "d"] {
            (0..3).for_each(|sequence| view.put(chunk(id, 1, sequence, 1_000)));
        }
        assert!(view.page("a", None, None, 1 << 20).chunks.is_empty(), "it has not written for the longest");
        assert_eq!(view.page("d", None, None, 1 << 20).chunks.len(), 3);
        assert_eq!(view.lock().bytes, 9 * one);
        // Longer than all that is kept: it is there all the same, alone.
        view.put(chunk("e", 1, 0, 100_000));
        assert_eq!(view.page("e", None, None, 1).chunks.len(), 1);
        assert_eq!(view.lock().by_id.len(), 1);
    }

    #[test]
    fn places_are_texts() {
        for text in ["1.0", "2147483647.9223372036854775807"] {
            assert_eq!(Place::parse(text).unwrap().to_string(), text);
        }
        for nothing in ["", "1", ".", "1.", "a.1", "1.2.3"] {
            assert_eq!(Place::parse(nothing), None, "{nothing}");
        }
    }
}
