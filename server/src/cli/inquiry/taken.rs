//! Whether an answer was taken: somebody else may have been faster.
#![expect(clippy::disallowed_methods, reason = "how long a person waits to see that an answer was taken")]

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::http::Client;
use crate::cli::{EXIT_REFUSED, Failure};

/// How often a waiting client asks.
const POLL: Duration = Duration::from_millis(200);
/// How long it waits: the audit trail, which knows what was answered, is a moment behind.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The inquiry once it is closed by this answer; none if that is not known yet.
///
/// # Errors
/// It was closed otherwise.
pub fn taken(client: &Client, id: &str, answer: &Value) -> Result<Option<Value>, Failure> {
    let began = Instant::now();
    while began.elapsed() < WAIT_MAX {
        // Whatever does not answer now may have taken it.
        let inquiry = client.get(&["v1", "inquiries", id], &[]).unwrap_or_default();
        if let Some(closed) = closed_by(&inquiry, answer) {
            return closed.map(|()| Some(inquiry));
        }
        std::thread::sleep(POLL);
    }
    Ok(None)
}

/// Whether an inquiry is closed, as far as that is known in full, and by this answer.
fn closed_by(inquiry: &Value, answer: &Value) -> Option<Result<(), Failure>> {
    let refused = |why: String| Err(Failure::new(EXIT_REFUSED, format!("this answer came too late: {why}")));
    let by = inquiry["answered_by"].as_str();
    match inquiry["status"].as_str()? {
        "open" => None,
        "answered" if inquiry["answer"].is_null() && !answer.is_null() => None,
        "answered" if inquiry["answer"] == *answer => Some(Ok(())),
        "answered" => Some(refused(format!("{} had answered {}", by.unwrap_or("somebody"), inquiry["answer"]))),
        other => Some(refused(format!("it was {other} meanwhile"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_answer_counts_and_who_was_later_is_told() {
        let closed = |inquiry: Value| closed_by(&inquiry, &json!({ "go": true }));
        let answered = |answer: Value| json!({ "status": "answered", "answer": answer, "answered_by": "kim" });
        assert!(matches!(closed(answered(json!({ "go": true }))), Some(Ok(()))));
        // Its end is known, and what was answered not yet.
        assert!(closed(answered(Value::Null)).is_none());
        assert!(closed(json!({ "status": "open" })).is_none() && closed(Value::Null).is_none());
        let late = closed(answered(json!({ "go": false }))).unwrap().unwrap_err();
        assert_eq!(late.message, "this answer came too late: kim had answered {\"go\":false}");
        let late = closed(json!({ "status": "expired" })).unwrap().unwrap_err();
        assert_eq!((late.code, &*late.message), (EXIT_REFUSED, "this answer came too late: it was expired meanwhile"));
    }
}
