//! `petrel action run`, `petrel pause` and `petrel resume`.
#![expect(clippy::disallowed_methods, reason = "how long a person waits for an answer")]

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::args::{ActionCommand, ActionRun, Output};
use super::http::Client;
use super::{EXIT_FAILED, EXIT_UNAVAILABLE, EXIT_USAGE, Failure, output};

/// How often a waiting client asks.
const POLL: Duration = Duration::from_millis(100);
/// How long a waiting client waits for output.
const OUTPUT_MAX: Duration = Duration::from_secs(2);
/// How long a requested execution may stay unknown before a waiting client gives up.
const UNKNOWN_MAX: Duration = Duration::from_secs(30);

pub fn run(command: ActionCommand, client: &Client, format: Output) -> Result<(), Failure> {
    let ActionCommand::Run(run) = command;
    let wait = run.wait;
    let answer = request(run, client)?;
    let id = answer["execution_id"].as_str().unwrap_or_default().to_owned();
    if !wait {
        match format {
            Output::Json => output::json(&answer),
            Output::Table => output::line(&id),
        }
        return Ok(());
    }
    let execution = with_output(client, finished(client, &id)?)?;
    super::execution::show(&execution, format);
    match execution["status"].as_str() {
        Some("succeeded") => Ok(()),
        _ => Err(Failure::new(EXIT_FAILED, "")),
    }
}

/// Asks for an execution; what the server answers, with its `execution_id`.
pub(super) fn request(run: ActionRun, client: &Client) -> Result<Value, Failure> {
    let ActionRun { action, parameters, secret, result, class, wait: _ } = run;
    let mut parameters = parse(&parameters)?;
    let (visible, mut sealed) = (parameters.keys().cloned().collect::<Vec<_>>(), Vec::new());
    for word in &secret {
        let usage = || Failure::new(EXIT_USAGE, "write --secret NAME=FILE");
        let (name, file) = word.split_once('=').ok_or_else(usage)?;
        parameters.insert(name.to_owned(), super::secret::text(name, Some(Path::new(file)))?.as_str().into());
        sealed.push(name);
    }
    let results = result.iter().map(|word| {
        let usage = || Failure::new(EXIT_USAGE, "write --result NAME=EXECUTION");
        word.split_once('=').map(|(name, id)| (name.to_owned(), Value::from(id))).ok_or_else(usage)
    });
    let results = results.collect::<Result<Map<_, _>, _>>()?;
    let mut body = json!({ "parameters": parameters, "sealed": sealed, "class": class });
    if !results.is_empty() {
        body["results"] = Value::Object(results);
    }
    // Whatever happens on the way, it is asked for once.
    let key = uuid::Uuid::now_v7().to_string();
    let answer = client.post_once(&["v1", "actions", &action, "run"], &key, &body)?;
    let is_sealed = |name: &&String| answer["sealed"].as_array().is_some_and(|all| all.iter().any(|one| one == *name));
    for name in visible.iter().filter(is_sealed) {
        output::note(&format!(
            "warning: the value of {name} stood in the command line, where other users of this machine can read it; \
             --secret {name}=FILE takes it from a file"
        ));
    }
    Ok(answer)
}

pub fn dispatch(client: &Client, pause: bool, reason: Option<String>) -> Result<(), Failure> {
    let verb = if pause { "pause" } else { "resume" };
    client.post(&["v1", "dispatch", verb], &json!({ "reason": reason }))?;
    output::line(if pause {
        "dispatch is paused: events are decided and requests kept, no action starts"
    } else {
        "dispatch goes on"
    });
    Ok(())
}

/// `name=value`; a value that parses as JSON keeps its type.
pub(super) fn parse(words: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut parameters = Map::new();
    for word in words {
        let Some((name, value)) = word.split_once('=') else {
            return Err(Failure::new(EXIT_USAGE, format!("{word:?} is no parameter: write name=value")));
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        if parameters.insert(name.to_owned(), value).is_some() {
            return Err(Failure::new(EXIT_USAGE, format!("parameter {name} is given twice")));
        }
    }
    Ok(parameters)
}

/// The output is read from the audit trail, which is a moment behind; many actions have none.
fn with_output(client: &Client, mut execution: Value) -> Result<Value, Failure> {
    let began = Instant::now();
    let id = execution["execution_id"].as_str().unwrap_or_default().to_owned();
    while execution["stdout"].is_null() && execution["stderr"].is_null() && began.elapsed() < OUTPUT_MAX {
        std::thread::sleep(POLL);
        execution = client.get(&["v1", "executions", &id], &[])?;
    }
    Ok(execution)
}

fn finished(client: &Client, id: &str) -> Result<Value, Failure> {
    let began = Instant::now();
    loop {
        match client.get(&["v1", "executions", id], &[]) {
            Ok(execution) if !execution["ended_at"].is_null() => return Ok(execution),
            Ok(_) => {}
            // The request is durable, its owner has not seen it yet.
            Err(_) if began.elapsed() < UNKNOWN_MAX => {}
            Err(failure) => return Err(Failure::new(EXIT_UNAVAILABLE, failure.message)),
        }
        std::thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_keep_their_type() {
        let words = ["a=1", "b=x y", "c=true", "d={\"k\":[1]}", "e=", "f=a=b"].map(str::to_owned);
        let wanted = json!({"a": 1, "b": "x y", "c": true, "d": {"k": [1]}, "e": "", "f": "a=b"});
        assert_eq!(Value::Object(parse(&words).unwrap()), wanted);
        assert!(parse(&["a".to_owned()]).is_err());
        assert!(parse(&["a=1".to_owned(), "a=2".to_owned()]).is_err());
    }
}
