//! What is told of hosts: StackStorm's result keyed by host, and what else is known of each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use petrel_execution::Stream;
use petrel_execution::limits::{RESULT_BYTES_MAX, head};
use petrel_execution::worker::Why;
use petrel_secrets::Mask;
use serde_json::{Map, Value, json};

/// Most hosts that the sentence of an error names.
const NAMED_MAX: usize = 5;
/// Longest sentence about one host, in bytes.
const ERROR_BYTES_MAX: usize = 400;

/// Stable codes of how the work on a host went.
pub(super) mod outcome {
    /// The command ended with an exit code other than 0.
    pub(in super::super) const EXIT_CODE: &str = "exit_code";
    /// There was no connection.
    pub(in super::super) const NOT_REACHED: &str = "not_reached";
    /// It is not who it should be.
    pub(in super::super) const HOST_KEY: &str = "host_key";
    /// It let nobody in.
    pub(in super::super) const AUTH: &str = "auth";
    /// Nothing could begin: no such directory or program, no leave to be somebody else.
    pub(in super::super) const NOT_STARTED: &str = "not_started";
    /// A file could not be written or read.
    pub(in super::super) const FILE: &str = "file";
    /// It took longer than one host may.
    pub(in super::super) const HOST_TIMEOUT: &str = "host_timeout";
    /// It was at work when the action's time was over.
    pub(in super::super) const TIMEOUT: &str = "run_timeout";
    /// It was at work when the attempt was stopped.
    pub(in super::super) const STOPPED: &str = "stopped";
    /// It was at work when the lease passed.
    pub(in super::super) const LEASE_LOST: &str = "lease_lost";
    /// Nothing is known about it.
    pub(in super::super) const UNKNOWN: &str = "unknown";
    /// The worker lacks what it takes.
    pub(in super::super) const LACKING: &str = "worker_lacks";
    /// It had failed on too many others by then.
    pub(in super::super) const SKIPPED: &str = "skipped";
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileRead {
    pub(super) path: String,
    /// How many there are.
    pub(super) bytes: u64,
    pub(super) content: Stream,
}

/// What is known of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OnHost {
    pub(super) name: String,
    /// Whether anything of the action may have been done there.
    pub(super) begun: bool,
    /// Whether a file was written there.
    pub(super) has_written: bool,
    /// Whether what was ended is known to have ended.
    pub(super) is_ended: bool,
    /// Why it was not done, or not to its end.
    pub(super) failure: Option<(&'static str, String)>,
    /// Why the attempt ended while it was at work.
    pub(super) stopped_by: Option<Why>,
    pub(super) return_code: Option<i32>,
    pub(super) stdout: Stream,
    pub(super) stderr: Stream,
    pub(super) files: Vec<FileRead>,
    pub(super) elapsed_ms: u64,
}

impl OnHost {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            begun: false,
            has_written: false,
            is_ended: false,
            failure: None,
            stopped_by: None,
            return_code: None,
            stdout: Stream::default(),
            stderr: Stream::default(),
            files: Vec::new(),
            elapsed_ms: 0,
        }
    }

    /// One that has not been asked.
    pub(super) fn skipped(name: &str, why: &str) -> Self {
        let mut told = Self::new(name);
        told.failed(outcome::SKIPPED, why.to_owned());
        told
    }

    pub(super) fn failed(&mut self, code: &'static str, why: String) {
        self.failure = Some((code, why));
    }

    pub(super) fn code(&self) -> Option<&'static str> {
        self.failure.as_ref().map(|(code, _)| *code)
    }

    /// Whether it was asked, and it went wrong.
    pub(super) fn has_failed(&self) -> bool {
        self.code().is_some_and(|code| code != outcome::SKIPPED)
    }

    /// What went wrong, in a sentence.
    fn error(&self) -> Option<String> {
        let (code, why) = self.failure.as_ref()?;
        let ended_by_us = [outcome::HOST_TIMEOUT, outcome::TIMEOUT, outcome::STOPPED, outcome::LEASE_LOST];
        let more = match (ended_by_us.contains(code), self.begun, self.is_ended) {
            (false, ..) => "",
            (true, false, _) => ": nothing had been done",
            (true, true, true) => ": it had begun, and has ended",
            (true, true, false) => ": it had begun, and ends when the lease passes at the latest",
        };
        Some(head(&format!("{why}{more}"), ERROR_BYTES_MAX).to_owned())
    }

    /// Without secrets. To be done before anything more is cut: of a secret that is cut off, masking would not find what
    /// is left.
    pub(super) fn masked(self, mask: &Mask) -> Self {
        let is_whole = self.return_code.is_some() && self.stopped_by.is_none();
        let stream = |stream: Stream, is_whole: bool| {
            let Stream { bytes, truncated, .. } = stream;
            Stream { truncated, ..Stream::whole(mask.bytes(bytes, truncated || !is_whole)) }
        };
        let file = |file: FileRead| FileRead { content: stream(file.content, true), ..file };
        Self {
            failure: self.failure.map(|(code, why)| (code, mask.text(why))),
            stdout: stream(self.stdout, is_whole),
            stderr: stream(self.stderr, is_whole),
            files: self.files.into_iter().map(file).collect(),
            ..self
        }
    }

    /// With so much of each text, in bytes.
    fn told(&self, text_bytes_max: usize) -> Value {
        let mut told = Map::new();
        let succeeded = self.failure.is_none();
        told.insert("succeeded".to_owned(), succeeded.into());
        told.insert("failed".to_owned(), (!succeeded).into());
        told.insert("return_code".to_owned(), self.return_code.into());
        insert_text(&mut told, "stdout", &self.stdout, text_bytes_max);
        insert_text(&mut told, "stderr", &self.stderr, text_bytes_max);
        told.insert("begun".to_owned(), self.begun.into());
        if let (Some(code), Some(error)) = (self.code(), self.error()) {
            told.insert("code".to_owned(), code.into());
            told.insert("error".to_owned(), error.into());
        }
        if !self.files.is_empty() {
            let mut files = Map::new();
            for file in &self.files {
                let mut entry = Map::new();
                insert_text(&mut entry, "content", &file.content, text_bytes_max);
                entry.insert("bytes".to_owned(), file.bytes.into());
                files.insert(file.path.clone(), Value::Object(entry));
            }
            told.insert("files".to_owned(), Value::Object(files));
        }
        told.insert("elapsed_ms".to_owned(), self.elapsed_ms.into());
        Value::Object(told)
    }

    fn longest_text(&self) -> usize {
        let files = self.files.iter().map(|file| file.content.bytes.len());
        files.chain([self.stdout.bytes.len(), self.stderr.bytes.len()]).max().unwrap_or(0)
    }
}

/// A text as it is, base64 of what is none, and what is known of it beside that.
fn insert_text(told: &mut Map<String, Value>, name: &str, stream: &Stream, bytes_max: usize) {
    let kept = &stream.bytes[..stream.bytes.len().min(bytes_max)];
    let truncated = stream.truncated || kept.len() < stream.bytes.len();
    let text = match std::str::from_utf8(kept) {
        Ok(text) => Some(text),
        // The last character of what was cut may be cut, too.
        Err(e) if truncated && e.error_len().is_none() => std::str::from_utf8(&kept[..e.valid_up_to()]).ok(),
        Err(_) => None,
    };
    match text {
        Some(text) => told.insert(name.to_owned(), text.into()),
        None => {
            told.insert(format!("{name}_encoding"), "base64".into());
            told.insert(name.to_owned(), STANDARD.encode(kept).into())
        }
    };
    if truncated {
        told.insert(format!("{name}_truncated"), true.into());
    }
}

/// The result of all hosts, within the limit of a result: texts are cut where they do not fit, the longest first.
pub(super) fn result(hosts: &[OnHost]) -> Value {
    let of = |text_bytes_max: usize| {
        Value::Object(hosts.iter().map(|host| (host.name.clone(), host.told(text_bytes_max))).collect())
    };
    let mut text_bytes_max = hosts.iter().map(OnHost::longest_text).max().unwrap_or(0);
    loop {
        let result = of(text_bytes_max);
        if result.to_string().len() <= RESULT_BYTES_MAX {
            return result;
        }
        if text_bytes_max == 0 {
            // So many hosts that not even their names and errors fit.
            return short(hosts);
        }
        text_bytes_max = text_bytes_max / 8 * 7;
    }
}

/// How it went, in a word for each host, and for how many there was no room: those that failed come first.
fn short(hosts: &[OnHost]) -> Value {
    let word = |host: &OnHost| match host.code() {
        None => json!({ "succeeded": true, "failed": false }),
        Some(code) => json!({ "succeeded": false, "failed": true, "begun": host.begun, "code": code }),
    };
    let (failed, others): (Vec<&OnHost>, Vec<&OnHost>) = hosts.iter().partition(|host| host.has_failed());
    let mut result = Map::new();
    // Braces, and the number of those that are left out.
    let mut bytes = 64;
    for host in failed.into_iter().chain(others) {
        let word = word(host);
        // Quotes may have to be escaped, a colon and a comma come on top.
        bytes += Value::from(host.name.as_str()).to_string().len() + word.to_string().len() + 2;
        if bytes > RESULT_BYTES_MAX {
            break;
        }
        result.insert(host.name.clone(), word);
    }
    let left_out = hosts.len() - result.len();
    if left_out > 0 {
        result.insert("left_out".to_owned(), left_out.into());
    }
    Value::Object(result)
}

/// What went wrong where, in a sentence.
pub(super) fn error(hosts: &[OnHost]) -> String {
    let failed: Vec<&OnHost> = hosts.iter().filter(|host| host.has_failed()).collect();
    let named = failed.iter().take(NAMED_MAX);
    let named: Vec<String> = named.map(|host| format!("{}: {}", host.name, host.error().unwrap_or_default())).collect();
    let more = match failed.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let skipped = match hosts.iter().filter(|host| host.code() == Some(outcome::SKIPPED)).count() {
        0 => String::new(),
        skipped => format!(", {skipped} left out"),
    };
    format!("failed on {} of {} hosts{skipped}: {}{more}", failed.len(), hosts.len(), named.join("; "))
}

/// What all hosts wrote, each under its name where there are several.
pub(super) fn streams(hosts: &[OnHost], bytes_max: usize) -> (Stream, Stream) {
    let (mut stdout, mut stderr) = (Stream::default(), Stream::default());
    for host in hosts {
        for (all, one) in [(&mut stdout, &host.stdout), (&mut stderr, &host.stderr)] {
            if hosts.len() > 1 && !one.bytes.is_empty() {
                add(all, format!("{}:\n", host.name).as_bytes(), bytes_max);
            }
            add(all, &one.bytes, bytes_max);
            all.truncated |= one.truncated;
            if hosts.len() > 1 && one.bytes.last().is_some_and(|last| *last != b'\n') {
                add(all, b"\n", bytes_max);
            }
        }
    }
    // Where the result is not told, this says what was done where.
    if hosts.iter().any(|host| host.stopped_by.is_some()) {
        for host in hosts {
            let how = host.error().unwrap_or_else(|| "done".to_owned());
            add(&mut stderr, format!("petrel: {}: {how}\n", host.name).as_bytes(), bytes_max);
        }
    }
    (stdout, stderr)
}

fn add(stream: &mut Stream, bytes: &[u8], bytes_max: usize) {
    let room = bytes_max.saturating_sub(stream.bytes.len());
    stream.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    stream.truncated |= bytes.len() > room;
}

#[cfg(test)]
mod tests {
    use petrel_secrets::SecretValue;

    use super::*;

    fn host(name: &str, stdout: &[u8]) -> OnHost {
        let stdout = Stream::whole(stdout.to_vec());
        OnHost { begun: true, return_code: Some(0), stdout, ..OnHost::new(name) }
    }

    #[test]
    fn a_result_has_what_stackstorm_has_of_each_host() {
        let mut down = OnHost::new("b");
        down.failed(outcome::NOT_REACHED, "no route".to_owned());
        let expected = json!({
            "a": {
                "succeeded": true, "failed": false, "return_code": 0, "stdout": "ok\n", "stderr": "", "begun": true,
                "elapsed_ms": 0,
            },
            "b": {
                "succeeded": false, "failed": true, "return_code": null, "stdout": "", "stderr": "", "begun": false,
                "code": "not_reached", "error": "no route", "elapsed_ms": 0,
            },
        });
        assert_eq!(result(&[host("a", b"ok\n"), down.clone()]), expected);
        assert_eq!(error(&[host("a", b""), down]), "failed on 1 of 2 hosts: b: no route");
    }

    #[test]
    fn what_is_no_text_is_base64_and_what_is_too_long_is_cut() {
        let told = result(&[host("a", b"a\xff")]);
        assert_eq!((&told["a"]["stdout"], &told["a"]["stdout_encoding"]), (&json!("Yf8="), &json!("base64")));
        let long: Vec<OnHost> = (0..50).map(|n| host(&format!("h{n}"), "ü".repeat(10_000).as_bytes())).collect();
        let told = result(&long);
        let bytes = told.to_string().len();
        assert!((RESULT_BYTES_MAX / 2..=RESULT_BYTES_MAX).contains(&bytes), "{bytes}");
        assert!(told["h0"]["stdout"].as_str().unwrap().starts_with('ü'));
        assert_eq!(told["h49"]["stdout_truncated"], true);
        let mut many: Vec<OnHost> =
            (0..1_000).map(|n| host(&format!("host-{n:04}.some.where.example.com"), b"x")).collect();
        many[999].failed(outcome::AUTH, "no".to_owned());
        let told = result(&many);
        let (bytes, count) = (told.to_string().len(), told.as_object().unwrap().len());
        assert!((RESULT_BYTES_MAX / 2..=RESULT_BYTES_MAX).contains(&bytes), "{bytes}");
        assert_eq!(told["host-0999.some.where.example.com"]["code"], "auth", "those that failed come first");
        assert_eq!(told["left_out"], 1_000 - (count - 1));
    }

    #[test]
    fn secrets_are_masked_before_anything_is_cut() {
        const SECRET: &str = "correct-horse-battery-staple";
        let mask = Mask::new([&SecretValue::new(SECRET.to_owned()).unwrap()]);
        let mut one = host("a", format!("{}{SECRET}\n{}", "x".repeat(30_000), "y".repeat(60_000)).as_bytes());
        one.stderr = Stream { truncated: true, ..Stream::whole(SECRET.as_bytes()[..12].to_vec()) };
        one.files.push(FileRead { path: "/f".to_owned(), bytes: 1, content: Stream::whole(SECRET.into()) });
        one.failed(outcome::NOT_STARTED, format!("{}{SECRET}", "z".repeat(390)));
        let hosts = [one.masked(&mask)];
        let (stdout, stderr) = streams(&hosts, 30_010);
        let told = format!("{} {} {stdout:?} {stderr:?}", result(&hosts), error(&hosts));
        let text =
            format!("{told}{}{}", String::from_utf8_lossy(&stdout.bytes), String::from_utf8_lossy(&stderr.bytes));
        assert!(!text.contains("correct"), "{text}");
    }

    #[test]
    fn an_error_names_some_and_counts_the_others() {
        let mut hosts: Vec<OnHost> = (0..7).map(|n| host(&format!("h{n}"), b"")).collect();
        for host in &mut hosts {
            host.failed(outcome::EXIT_CODE, "1".to_owned());
        }
        hosts.push(OnHost::skipped("h7", "too many have failed"));
        let expected = "failed on 7 of 8 hosts, 1 left out: h0: 1; h1: 1; h2: 1; h3: 1; h4: 1; and 2 more";
        assert_eq!(error(&hosts), expected);
    }

    #[test]
    fn what_was_stopped_says_where_it_had_begun() {
        let mut stopped = host("a", b"x");
        stopped.failed(outcome::STOPPED, "it was stopped".to_owned());
        stopped.stopped_by = Some(Why::Stopped);
        stopped.is_ended = true;
        let mut waiting = OnHost { begun: false, ..stopped.clone() };
        waiting.name = "b".to_owned();
        waiting.stdout = Stream::default();
        let (stdout, stderr) = streams(&[stopped, waiting, host("c", b"y\n")], 1_000);
        assert_eq!(String::from_utf8(stdout.bytes).unwrap(), "a:\nx\nc:\ny\n");
        let expected = "petrel: a: it was stopped: it had begun, and has ended\n\
                        petrel: b: it was stopped: nothing had been done\npetrel: c: done\n";
        assert_eq!(String::from_utf8(stderr.bytes).unwrap(), expected);
    }
}
