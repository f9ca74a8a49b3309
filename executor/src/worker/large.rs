//! Results that are too large for the log: they go into the store of objects.

use petrel_execution::limits::RESULT_BYTES_MAX;
use petrel_execution::worker::Verdict;
use petrel_execution::{Note, Outcome, code};

use crate::objects::{JSON, NotStored, Objects};

/// Puts a result that is too large away, and leaves its reference. Where the store does not take it, it is left out, which
/// is told: what has succeeded has succeeded. Its secrets are masked already.
pub(super) async fn put_away(objects: &Objects, verdict: Verdict) -> Verdict {
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
    match objects.put(text.into_bytes(), JSON).await {
        Ok(object) => outcome.result_object = Some(object),
        Err(error) => leave_out(&mut outcome, bytes, &error),
    }
    Verdict::Ended(outcome)
}

/// Says why there is no result, unless there is worse to tell.
fn leave_out(outcome: &mut Outcome, bytes: usize, error: &NotStored) {
    tracing::warn!(bytes, %error, "a result was left out");
    if outcome.note.code.is_some() {
        return;
    }
    let code = match error {
        NotStored::TooLarge { .. } => code::RESULT_TOO_LARGE,
        NotStored::Away(_) => code::RESULT_NOT_STORED,
    };
    outcome.note = Note::new(code, format!("its result of {bytes} bytes was left out: {error}"));
}

#[cfg(test)]
mod tests {
    use petrel_bus::sim::SimClock;
    use petrel_execution::Status;
    use serde_json::{Value, json};

    use super::*;
    use crate::objects::{ObjectOptions, Place};

    fn objects(folder: &std::path::Path, object_bytes_max: usize) -> Objects {
        let place = Place::Files(folder.to_owned());
        let options = ObjectOptions { place, object_bytes_max, retention_ms: 1_000 };
        Objects::new(options, SimClock::at(0)).unwrap()
    }

    async fn ended(objects: &Objects, result: Value) -> Outcome {
        match put_away(objects, Verdict::Ended(Outcome::succeeded(result))).await {
            Verdict::Ended(outcome) => outcome,
            other => panic!("{other:?}"),
        }
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
}
