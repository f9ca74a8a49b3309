//! A question: an execution that ends with the answer that somebody gives it, as an owner drives it.
//!
//! It is a workflow without children, so that whoever can conduct one can ask: it is `pending` until it is answered, has
//! waited for as long as it may, or is withdrawn.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::answer::{AnswerSchema, normal_schema};
use super::{Asked, Begin, Changed, ChildEnd, Conduct, Piece, Standing, Start, Workflow};
use crate::code;
use crate::limits::{INQUIRY_TTL_MINUTES_MAX, RESULT_BYTES_MAX};
use crate::status::Status;
use crate::subject::Note;

/// How long a question waits that does not say, in minutes.
const TTL_MINUTES: u64 = 1_440;

const MINUTE_MS: i64 = 60_000;

/// The key of the one piece that it has.
const PIECE: &str = "inquiry";

/// Name under which the parameters of a question say, beside them, until when whoever asks waits for an answer: as RFC 3339
/// has it, for people. Only Petrel writes it.
pub const UNTIL_KEY: &str = "$until";

/// The action of a question.
#[derive(Debug, Clone, Copy)]
pub struct Inquirer;

/// What is asked, as its parameters say it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct About {
    schema: Value,
    route: String,
    users: Value,
    roles: Value,
    /// In minutes; `0` and `null` for as long as it takes.
    ttl: Value,
}

/// How it has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    Answered(Value),
    Expired,
    Withdrawn,
}

/// A question that is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Inquiry {
    about: About,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<End>,
    #[serde(skip)]
    now_ms: i64,
    #[serde(skip)]
    changed: bool,
}

/// The JSON schema that the answer of a question has to fit, by the question's parameters. One that they do not have is a
/// mapping with `continue`, a boolean. A property that says `required: true` of itself, as StackStorm's old schemas do, is
/// among those that its mapping requires.
pub fn answer_schema(parameters: &Map<String, Value>) -> Value {
    match parameters.get("schema") {
        None | Some(Value::Null) => json!({
            "type": "object",
            "properties": { "continue": { "type": "boolean", "description": "Whether the workflow goes on" } },
            "required": ["continue"],
            "additionalProperties": false,
        }),
        Some(schema) => normal_schema(schema),
    }
}

impl About {
    fn of(parameters: &Map<String, Value>) -> Result<Self, String> {
        let schema = answer_schema(parameters);
        if !schema.is_object() && !schema.is_boolean() {
            return Err(format!("\"schema\" is the JSON schema of the answer, found {schema}"));
        }
        // Whoever asks is told now, and not whoever answers.
        AnswerSchema::compile(&schema).map_err(|why| format!("\"schema\" is no schema of an answer: {why}"))?;
        let route = match parameters.get("route") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(route)) => route.clone(),
            Some(other) => return Err(format!("\"route\" must be a string, found {other}")),
        };
        let (users, roles) = (people(parameters, "users")?, people(parameters, "roles")?);
        let ttl = parameters.get("ttl").cloned().unwrap_or_else(|| TTL_MINUTES.into());
        if !ttl.is_null() && ttl.as_u64().is_none_or(|minutes| minutes > INQUIRY_TTL_MINUTES_MAX) {
            return Err(format!(
                "\"ttl\" is a whole number of minutes, 0 for as long as it takes, and at most \
                 {INQUIRY_TTL_MINUTES_MAX} (INQUIRY_TTL_MINUTES_MAX), found {ttl}"
            ));
        }
        Ok(Self { schema, route, users, roles, ttl })
    }

    /// How long it waits, in milliseconds; none for as long as it takes.
    fn waits_ms(&self) -> Option<i64> {
        let minutes = self.ttl.as_u64().filter(|minutes| *minutes > 0)?;
        i64::try_from(minutes).ok().map(|minutes| minutes.saturating_mul(MINUTE_MS))
    }
}

/// Who may answer: nobody can be told from anybody else yet.
fn people(parameters: &Map<String, Value>, name: &str) -> Result<Value, String> {
    match parameters.get(name) {
        None | Some(Value::Null) => Ok(json!([])),
        Some(Value::Array(names)) if names.is_empty() => Ok(json!([])),
        Some(Value::Array(_)) => Err(format!(
            "\"{name}\" is not supported in this version, until identities exist: leave it empty, whoever may answer at \
             all may answer"
        )),
        Some(other) => Err(format!("\"{name}\" must be a list of strings, found {other}")),
    }
}

impl Workflow for Inquirer {
    fn begin(&self, begin: Begin<'_>) -> Result<Box<dyn Conduct>, Note> {
        let about = About::of(begin.parameters).map_err(|why| Note::new(code::INVALID_PARAMETERS, why))?;
        let due_ms = about.waits_ms().map(|ms| begin.now_ms.saturating_add(ms));
        let inquiry = Inquiry { about, due_ms, end: None, now_ms: begin.now_ms, changed: true };
        let bytes = inquiry.result(Some(&Value::Null)).to_string().len();
        if bytes > RESULT_BYTES_MAX {
            let why = format!(
                "\"schema\" leaves no room for an answer: with it the result has {bytes} bytes, the limit RESULT_BYTES_MAX is \
                 {RESULT_BYTES_MAX}"
            );
            return Err(Note::new(code::INVALID_PARAMETERS, why));
        }
        Ok(Box::new(inquiry))
    }

    fn restore(&self, pieces: &[Piece]) -> Result<Box<dyn Conduct>, String> {
        let [piece] = pieces else { return Err(format!("a question has one piece, found {}", pieces.len())) };
        let unreadable =
            |error: serde_json::Error| format!("the piece {} of a question cannot be read: {error}", piece.key);
        let inquiry: Inquiry = serde_json::from_str(&piece.value).map_err(unreadable)?;
        Ok(Box::new(inquiry))
    }
}

impl Inquiry {
    /// What it results in, as StackStorm has it; there is a `response` where somebody has answered.
    fn result(&self, response: Option<&Value>) -> Value {
        let About { schema, route, users, roles, ttl } = &self.about;
        let mut result = json!({ "schema": schema, "route": route, "users": users, "roles": roles, "ttl": ttl });
        if let Some(response) = response {
            result["response"] = response.clone();
        }
        result
    }

    fn end(&mut self, end: End) {
        self.end = Some(end);
        self.changed = true;
    }

    fn answer(&mut self, answer: &Value) -> Result<(), String> {
        let bytes = self.result(Some(answer)).to_string().len();
        if bytes > RESULT_BYTES_MAX {
            return Err(format!(
                "The answer has {bytes} bytes together with its schema, the limit RESULT_BYTES_MAX is {RESULT_BYTES_MAX}."
            ));
        }
        self.end(End::Answered(answer.clone()));
        Ok(())
    }
}

impl Conduct for Inquiry {
    fn set_now(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
    }

    fn starts(&mut self, _: usize) -> Vec<Start> {
        Vec::new()
    }

    fn has_more(&self) -> bool {
        false
    }

    fn child_ended(&mut self, number: u32, _: ChildEnd) -> Result<(), String> {
        Err(format!("A question has no child {number}."))
    }

    /// A pause of what asks does not keep anybody from answering, so that it changes nothing.
    fn ask(&mut self, asked: &Asked) -> Result<(), String> {
        match (&self.end, asked) {
            (Some(End::Answered(_)), _) => Err("The question has been answered already.".to_owned()),
            (Some(End::Expired), _) => Err("The question has expired: nobody had answered it in time.".to_owned()),
            (Some(End::Withdrawn), _) => Err("The question has been withdrawn.".to_owned()),
            (None, Asked::Pause | Asked::Resume) => Ok(()),
            (None, Asked::Answer(answer)) => self.answer(answer),
            (None, Asked::Cancel) => {
                self.end(End::Withdrawn);
                Ok(())
            }
            (None, Asked::Rerun(_)) => Err("A question does not run again: ask it anew.".to_owned()),
            (None, Asked::Decide(_)) => Err("A question is answered; only a workflow is decided about.".to_owned()),
        }
    }

    fn take_stops(&mut self) -> Vec<u32> {
        Vec::new()
    }

    fn next_to_end(&mut self, _: usize) -> Vec<u32> {
        Vec::new()
    }

    fn open(&self) -> Vec<u32> {
        Vec::new()
    }

    fn due_ms(&self) -> Option<i64> {
        self.due_ms.filter(|_| self.end.is_none())
    }

    fn time_passed(&mut self) {
        if self.due_ms().is_some_and(|due_ms| due_ms <= self.now_ms) {
            self.end(End::Expired);
        }
    }

    fn standing(&self) -> Standing {
        let (status, note, response) = match &self.end {
            None => return Standing::Pending,
            Some(End::Answered(answer)) => (Status::Succeeded, Note::NONE, Some(answer)),
            Some(End::Expired) => {
                let why = format!("nobody answered within {} minutes (\"ttl\")", self.about.ttl);
                (Status::Timeout, Note::new(code::UNANSWERED, why), None)
            }
            Some(End::Withdrawn) => (Status::Canceled, Note::code(code::CANCELED), None),
        };
        Standing::Over { status, note, result: self.result(response) }
    }

    fn frozen(&self) -> Option<Value> {
        None
    }

    fn take_changes(&mut self) -> Vec<Changed> {
        if !std::mem::take(&mut self.changed) {
            return Vec::new();
        }
        vec![Changed { key: PIECE.to_owned(), value: serde_json::to_string(self).ok() }]
    }
}

#[cfg(test)]
mod tests;
