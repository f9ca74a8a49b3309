//! What an action takes of its result, when it has ended and its secrets are masked.

use petrel_execution::runner::RunnerSpec;
use petrel_execution::worker::Verdict;
use petrel_execution::{ActionPlan, Note, Outcome, Status, Stream, StreamEnd, code};

/// Told in the place of what a panic left. With what words it ends is not told: they may quote the result.
const PANICKED: &str = "what takes values of the result panicked, and the result is left out";

/// Takes of the result what the action says, off the runtime: it may be large.
pub(super) async fn shaped(verdict: Verdict, plan: &ActionPlan) -> Verdict {
    let Verdict::Ended(outcome) = verdict else { return verdict };
    if outcome.result.is_none() || !plan.runner.shape().is_some_and(|shape| shape.extracts()) {
        return Verdict::Ended(outcome);
    }
    let (runner, status) = (plan.runner.clone(), outcome.status);
    let taken = tokio::task::spawn_blocking(move || taken(outcome, &runner)).await;
    Verdict::Ended(taken.unwrap_or_else(|_| {
        let status = if status == Status::Succeeded { Status::Failed } else { status };
        Outcome::bare(status, Note::new(code::OUTPUT_INVALID, PANICKED), false)
    }))
}

/// What has succeeded and lacks something that its action takes of it has not succeeded. What failed keeps what can be
/// taken: it may say why in its result, and need not keep to anything.
fn taken(outcome: Outcome, runner: &RunnerSpec) -> Outcome {
    let (Some(shape), Some(result)) = (runner.shape(), &outcome.result) else { return outcome };
    let (extracted, error) = shape.extracted(result);
    let extracted = (!extracted.is_empty()).then_some(extracted);
    match error {
        Some(error) if outcome.status == Status::Succeeded => Outcome {
            status: Status::Failed,
            note: Note::new(code::OUTPUT_INVALID, error.to_string()),
            retriable: false,
            events: Vec::new(),
            extracted,
            ..outcome
        },
        _ => Outcome { extracted, ..outcome },
    }
}

/// Leaves as much of a stream as is told of it: its beginning and its end, where that is known.
pub(super) fn cut(stream: &mut Stream, bytes_max: usize) {
    let kept_bytes = stream.kept_bytes();
    if kept_bytes <= bytes_max {
        return;
    }
    let end_bytes_max = bytes_max.div_ceil(2);
    let end = match stream.end.take() {
        // What was read to its end is its end, too.
        None if !stream.truncated => {
            let bytes = stream.bytes.split_off(stream.bytes.len() - end_bytes_max);
            Some(StreamEnd { bytes, ..StreamEnd::default() })
        }
        None => None,
        Some(mut end) => {
            end.bytes.drain(..end.bytes.len().saturating_sub(end_bytes_max));
            Some(end)
        }
    };
    stream.bytes.truncate(bytes_max - end.as_ref().map_or(0, |end| end.bytes.len()));
    stream.truncated = true;
    stream.end = end;
    let left_out_bytes = kept_bytes - stream.kept_bytes();
    if let Some(end) = &mut stream.end {
        end.omitted_bytes += left_out_bytes as u64;
    }
}

#[cfg(test)]
mod tests {
    use petrel_execution::runner::PackFiles;
    use serde_json::{Value, json};

    use super::*;

    struct NoFiles;

    impl PackFiles for NoFiles {
        fn executable(&self, _: &str) -> Option<bool> {
            None
        }

        fn hint(&self, _: &str) -> String {
            String::new()
        }
    }

    fn runner() -> RunnerSpec {
        let keys = json!({ "command": ["x"], "output": { "extract": { "id": "result.id", "host": "result.host" } } });
        let Value::Object(keys) = keys else { panic!("keys are a mapping") };
        RunnerSpec::parse("command", &keys, &NoFiles).unwrap()
    }

    #[test]
    fn what_lacks_something_that_is_taken_has_failed_and_says_what() {
        let ended = taken(Outcome::succeeded(json!({ "id": 7, "host": "db-1" })), &runner());
        assert_eq!((ended.status, ended.note), (Status::Succeeded, Note::NONE));
        assert_eq!(ended.extracted.map(Value::Object), Some(json!({ "id": 7, "host": "db-1" })));

        let ended = taken(Outcome::succeeded(json!({ "id": 7 })), &runner());
        assert_eq!((ended.status, ended.note.code.as_deref()), (Status::Failed, Some(code::OUTPUT_INVALID)));
        assert!(ended.note.error.unwrap().starts_with("output.extract.host: "));
        assert_eq!(ended.result, Some(json!({ "id": 7 })));
    }

    #[test]
    fn what_failed_anyway_keeps_why_and_what_there_is() {
        let note = Note::new(code::EXIT_CODE, "it ended with 3");
        let failed = Outcome { result: Some(json!({ "id": 7 })), ..Outcome::bare(Status::Failed, note.clone(), true) };
        let ended = taken(failed, &runner());
        assert_eq!((ended.status, ended.note, ended.retriable), (Status::Failed, note, true));
        assert_eq!(ended.extracted.map(Value::Object), Some(json!({ "id": 7 })));
    }

    #[test]
    fn a_stream_is_cut_and_says_so() {
        let end = |bytes: &[u8], omitted_bytes| StreamEnd { bytes: bytes.to_vec(), omitted_bytes, lead: Vec::new() };
        let mut stream = Stream::whole(b"abcdef".to_vec());
        cut(&mut stream, 6);
        assert_eq!(stream, Stream::whole(b"abcdef".to_vec()));
        cut(&mut stream, 5);
        assert_eq!(stream, Stream { bytes: b"ab".to_vec(), truncated: true, end: Some(end(b"def", 1)) });
        cut(&mut stream, 2);
        assert_eq!(stream, Stream { bytes: b"a".to_vec(), truncated: true, end: Some(end(b"f", 4)) });
        // Nobody knows how it ends.
        let mut stream = Stream { truncated: true, ..Stream::whole(b"abcdef".to_vec()) };
        cut(&mut stream, 4);
        assert_eq!(stream, Stream { truncated: true, ..Stream::whole(b"abcd".to_vec()) });
    }
}
