//! `petrel execution tail`.
#![expect(clippy::disallowed_methods, reason = "how long a person waits for an answer")]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::args::Output;
use super::http::Client;
use super::terminal::{Decoder, harmless};
use super::{EXIT_FAILED, EXIT_UNAVAILABLE, Failure, output};

/// How long one request waits for output, in milliseconds.
pub(super) const WAIT_MS: u64 = 20_000;
/// Before a server is asked again that did not answer, or did not know the execution.
pub(super) const AGAIN: Duration = Duration::from_millis(500);
/// How long a requested execution may stay unknown, or a server away, before who follows it gives up.
pub(super) const AWAY_MAX: Duration = Duration::from_secs(30);
/// What a server answers that does not know an execution (yet).
const UNKNOWN: &str = "unknown_execution";

/// What is asked for.
#[derive(Debug)]
pub struct Tail {
    /// Execution.
    pub id: String,
    /// Whether to go on until it is over.
    pub follow: bool,
    /// Only this stream.
    pub stream: Option<String>,
    /// Whether to leave out nothing that commands a terminal.
    pub raw: bool,
}

/// Shows what an execution writes.
pub fn run(tail: &Tail, client: &Client, format: Output) -> Result<(), Failure> {
    let mut shown = Shown { raw: tail.raw, format, attempt: None, streams: HashMap::new() };
    let (mut after, mut has_shown, mut heard) = (None, false, Instant::now());
    let last = loop {
        let wait_ms = if tail.follow { WAIT_MS } else { 0 };
        let mut query = vec![("wait_ms", wait_ms.to_string())];
        query.extend(after.iter().map(|after: &String| ("after", after.clone())));
        query.extend(tail.stream.iter().map(|stream| ("stream", stream.clone())));
        let answer = match client.get(&["v1", "executions", &tail.id, "output"], &query) {
            Ok(answer) => answer,
            Err(failure) if tail.follow && may_come(&failure) && heard.elapsed() < AWAY_MAX => {
                std::thread::sleep(AGAIN);
                continue;
            }
            Err(failure) => return Err(failure),
        };
        heard = Instant::now();
        for chunk in answer["chunks"].as_array().into_iter().flatten() {
            has_shown = true;
            shown.chunk(chunk);
        }
        after = answer["next"].as_str().map(str::to_owned).or(after);
        let is_over = answer["is_over"] == true;
        if is_over || (!tail.follow && answer["has_more"] != true) {
            break answer;
        }
    };
    shown.finish();
    if !has_shown && last["is_kept"] != true && last["is_over"] == true {
        captured(tail, client, &shown)?;
    }
    ended(&last)
}

/// It is not known yet, or the server is away for a moment.
pub(super) fn may_come(failure: &Failure) -> bool {
    failure.code == EXIT_UNAVAILABLE || failure.refusal.as_deref() == Some(UNKNOWN)
}

/// Says how it ended, if it has.
fn ended(answer: &Value) -> Result<(), Failure> {
    if answer["is_over"] != true {
        return Ok(());
    }
    let status = answer["status"].as_str().unwrap_or_default();
    match answer["return_code"].as_i64() {
        Some(code) => output::note(&format!("[{status}, exit code {code}]")),
        None => output::note(&format!("[{status}]")),
    }
    if status == "succeeded" { Ok(()) } else { Err(Failure::new(EXIT_FAILED, "")) }
}

/// What nobody keeps any more as it came: both ends of it are in the audit trail.
fn captured(tail: &Tail, client: &Client, shown: &Shown) -> Result<(), Failure> {
    let execution = client.get(&["v1", "executions", &tail.id], &[])?;
    for stream in ["stdout", "stderr"] {
        let text = |name: String| execution[name.as_str()].as_str().unwrap_or_default().to_owned();
        let (first, last) = (text(stream.to_owned()), text(format!("{stream}_tail")));
        if tail.stream.as_deref().is_some_and(|wanted| wanted != stream) || (first.is_empty() && last.is_empty()) {
            continue;
        }
        output::note(&format!("[what it wrote is not kept as it came; {stream}, as it was captured:]"));
        shown.text(stream, &first);
        if !last.is_empty() {
            shown.left_out(execution[format!("{stream}_omitted_bytes")].as_i64().unwrap_or_default());
            shown.text(stream, &last);
        }
    }
    Ok(())
}

/// What was shown.
struct Shown {
    raw: bool,
    format: Output,
    attempt: Option<i64>,
    /// Of the attempt's streams, where the next chunk should begin, and what is left of a character.
    streams: HashMap<String, (i64, Decoder)>,
}

impl Shown {
    fn chunk(&mut self, chunk: &Value) {
        if self.format == Output::Json {
            return output::line(&chunk.to_string());
        }
        let attempt = chunk["attempt"].as_i64();
        if self.attempt != attempt {
            self.finish();
            if self.attempt.is_some() || attempt != Some(1) {
                output::note(&format!("[attempt {}]", attempt.unwrap_or_default()));
            }
            self.attempt = attempt;
            self.streams.clear();
        }
        let stream = chunk["stream"].as_str().unwrap_or("stdout").to_owned();
        let (offset, bytes) = (chunk["offset"].as_i64().unwrap_or_default(), bytes_of(chunk));
        let (next, decoder) = self.streams.entry(stream.clone()).or_default();
        let gap = offset - *next;
        *next = offset + i64::try_from(bytes.len()).unwrap_or_default();
        if self.raw {
            if gap > 0 {
                self.left_out(gap);
            }
            return write(&stream, &bytes);
        }
        let before = if gap > 0 { decoder.finish() } else { String::new() };
        let text = decoder.push(&bytes);
        self.text(&stream, &before);
        if gap > 0 {
            self.left_out(gap);
        }
        self.text(&stream, &text);
    }

    fn text(&self, stream: &str, text: &str) {
        let text = if self.raw { text.to_owned() } else { harmless(text) };
        write(stream, text.as_bytes());
    }

    fn left_out(&self, bytes: i64) {
        output::note(&format!("[{bytes} bytes are not shown]"));
    }

    /// What is left of characters.
    fn finish(&mut self) {
        for (stream, (_, decoder)) in &mut self.streams {
            write(stream, harmless(&decoder.finish()).as_bytes());
        }
    }
}

fn write(stream: &str, bytes: &[u8]) {
    match stream {
        "stderr" => output::raw_error(bytes),
        _ => output::raw(bytes),
    }
}

fn bytes_of(chunk: &Value) -> Vec<u8> {
    match (chunk["text"].as_str(), chunk["base64"].as_str()) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(base64)) => STANDARD.decode(base64).unwrap_or_default(),
        (None, None) => Vec::new(),
    }
}
