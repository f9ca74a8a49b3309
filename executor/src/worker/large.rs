//! Results that are too large for the log: they go into the store of objects.

use std::time::Duration;

use petrel_execution::limits::RESULT_BYTES_MAX;
use petrel_execution::worker::{Holding, Verdict};
use petrel_execution::{Note, Outcome, code};
use tokio::sync::watch;

use super::attempt::told_to_stop;
use crate::objects::{JSON, NotStored, Objects};

/// How long a store may still take once the attempt is told to stop: its worker does not wait for long.
const STOPPING: Duration = Duration::from_secs(1);

/// Puts a result that is too large away, and leaves its reference. Where the store does not take it, it is left out, which
/// is told: what has succeeded has succeeded. Its secrets are masked already.
pub(super) async fn put_away(objects: &Objects, held: &watch::Sender<Holding>, verdict: Verdict) -> Verdict {
    let Verdict::Ended(mut outcome) = verdict else { return verdict };
    let Some(result) = outcome.result.take() else { return Verdict::Ended(outcome) };
    // A large one took long to make; to write it as a text does not take long beside that.
    let text = result.to_string();
    if text.len() <= RESULT_BYTES_MAX {
        outcome.result = Some(result);
        return Verdict::Ended(outcome);
    }
    drop(result);
    let bytes = text.len();
    let put = tokio::select! {
        put = objects.put(text.into_bytes(), JSON) => put,
        () = must_end(held) => Err(NotStored::Away("the attempt has to end".to_owned())),
    };
    match put {
        Ok(object) => outcome.result_object = Some(object),
        Err(error) => leave_out(&mut outcome, bytes, &error),
    }
    Verdict::Ended(outcome)
}

/// An end that is not told is the loss of a lease, and what has been done is done again.
async fn must_end(held: &watch::Sender<Holding>) {
    told_to_stop(held).await;
    tokio::time::sleep(STOPPING).await;
}

/// Says why there is no result; with the code of what went wrong before, if something did.
fn leave_out(outcome: &mut Outcome, bytes: usize, error: &NotStored) {
    tracing::warn!(bytes, %error, "a result was left out");
    let code = match error {
        NotStored::TooLarge { .. } => code::RESULT_TOO_LARGE,
        NotStored::Away(_) => code::RESULT_NOT_STORED,
    };
    let note = std::mem::replace(&mut outcome.note, Note::NONE);
    outcome.note = note.and(code, &format!("its result of {bytes} bytes was left out: {error}"));
}

#[cfg(test)]
mod tests {
    use petrel_bus::sim::SimClock;
    use petrel_execution::Status;
    use petrel_execution::worker::Remembered;
    use serde_json::{Value, json};
    use tokio::time::Instant;

    use super::*;
    use crate::objects::{ObjectOptions, Place, S3Options};
    use crate::worker::attempt::tests::task;

    fn objects(folder: &std::path::Path, object_bytes_max: usize) -> Objects {
        let place = Place::Files(folder.to_owned());
        let options = ObjectOptions { place, object_bytes_max, retention_ms: 1_000 };
        Objects::new(options, SimClock::at(0)).unwrap()
    }

    fn held() -> watch::Sender<Holding> {
        watch::Sender::new(Holding::new(&task(), 0, Remembered::default()))
    }

    async fn put_of(objects: &Objects, held: &watch::Sender<Holding>, outcome: Outcome) -> Outcome {
        match put_away(objects, held, Verdict::Ended(outcome)).await {
            Verdict::Ended(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    }

    async fn ended(objects: &Objects, result: Value) -> Outcome {
        put_of(objects, &held(), Outcome::succeeded(result)).await
    }

    #[tokio::test]
    async fn what_fits_stays_and_what_does_not_is_an_object() {
        let dir = tempfile::tempdir().unwrap();
        let objects = objects(dir.path(), 1 << 20);
        // With its quotes it is just as long as it may be.
        let fits = json!("x".repeat(RESULT_BYTES_MAX - 2));
        let outcome = ended(&objects, fits.clone()).await;
        assert_eq!((outcome.result, outcome.result_object), (Some(fits), None));

        let large = json!("x".repeat(RESULT_BYTES_MAX - 1));
        let outcome = ended(&objects, large.clone()).await;
        assert_eq!((outcome.result, outcome.status, outcome.note), (None, Status::Succeeded, Note::NONE));
        let stored = objects.get(&outcome.result_object.unwrap()).await.unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&stored).unwrap(), large);
    }

    #[tokio::test]
    async fn what_is_not_stored_is_left_out_and_the_execution_has_succeeded_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let large = json!("x".repeat(RESULT_BYTES_MAX));
        // A folder cannot be made below a file, whoever asks.
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        for (objects, code) in
            [(objects(&file, 1 << 20), code::RESULT_NOT_STORED), (objects(dir.path(), 1_000), code::RESULT_TOO_LARGE)]
        {
            let outcome = ended(&objects, large.clone()).await;
            assert_eq!((outcome.status, outcome.note.code.as_deref()), (Status::Succeeded, Some(code)));
            let why = outcome.note.error.unwrap();
            assert!(why.starts_with("its result of 65538 bytes was left out: "), "{why}");
            assert_eq!((outcome.result, outcome.result_object), (None, None));
        }
    }

    #[tokio::test]
    async fn of_what_failed_it_is_told_beside_why_it_did() {
        let dir = tempfile::tempdir().unwrap();
        let objects = objects(dir.path(), 1_000);
        let note = Note::new(code::EXIT_CODE, "it ended with 3");
        let outcome =
            Outcome { result: Some(json!("x".repeat(RESULT_BYTES_MAX))), ..Outcome::bare(Status::Failed, note, false) };
        let outcome = put_of(&objects, &held(), outcome).await;
        assert_eq!(outcome.note.code.as_deref(), Some(code::EXIT_CODE));
        let why = outcome.note.error.unwrap();
        assert!(why.starts_with("it ended with 3; its result of 65538 bytes was left out: "), "{why}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_does_not_answer_keeps_no_end_from_being_told() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let place = Place::S3(Box::new(S3Options {
            endpoint: format!("http://{}", silent.local_addr().unwrap()),
            bucket: "results".to_owned(),
            prefix: String::new(),
            region: "us-east-1".to_owned(),
            access_key_id: "id".to_owned(),
            secret_access_key: "key".to_owned(),
        }));
        let options = ObjectOptions { place, object_bytes_max: 1 << 20, retention_ms: 1_000 };
        let objects = Objects::new(options, SimClock::at(0)).unwrap();
        for (stops, limit_ms) in [(false, 5_100), (true, 1_100)] {
            let (held, began) = (held(), Instant::now());
            if stops {
                held.send_modify(Holding::end);
            }
            let result = json!("x".repeat(RESULT_BYTES_MAX));
            let outcome = put_of(&objects, &held, Outcome::succeeded(result)).await;
            let took_ms = began.elapsed().as_millis();
            assert!(took_ms <= limit_ms, "{took_ms} ms, {stops}");
            let told = (outcome.status, outcome.note.code.as_deref());
            assert_eq!(told, (Status::Succeeded, Some(code::RESULT_NOT_STORED)));
        }
    }
}
