//! `petrel inquiry list|show|answer`: what waits for a person.

mod given;
pub(super) mod shown;
mod taken;

use std::io::IsTerminal;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::args::{Answer, InquiryCommand, Output};
use super::http::{Client, argument};
use super::{EXIT_REFUSED, EXIT_USAGE, Failure, output};

pub fn run(command: InquiryCommand, client: &Client, format: Output) -> Result<(), Failure> {
    match command {
        InquiryCommand::List { kind, route, tag, workflow, order, limit } => {
            let mut query = vec![("limit", limit.to_string()), ("order", name(order))];
            query.extend(kind.map(|kind| ("kind", name(kind))));
            query.extend(route.map(|route| ("route", route)));
            query.extend(tag.map(|tag| ("tag", tag)));
            query.extend(workflow.map(|workflow| ("workflow", workflow)));
            list(&client.get(&["v1", "inquiries"], &query)?, format);
            Ok(())
        }
        InquiryCommand::Show { id } => {
            let inquiry = client.get(&["v1", "inquiries", &id], &[])?;
            match format {
                Output::Json => output::json(&inquiry),
                Output::Table => shown::lines(&inquiry).iter().for_each(|line| output::line(line)),
            }
            Ok(())
        }
        InquiryCommand::Answer(answer) => send(&answer, client, format),
    }
}

fn list(answer: &Value, format: Output) {
    if format == Output::Json {
        return output::json(answer);
    }
    let rows: Vec<Value> = answer["inquiries"].as_array().into_iter().flatten().map(shown::row).collect();
    let columns = [
        ("inquiry_id", "inquiry"),
        ("kind", "kind"),
        ("since", "since"),
        ("until", "until"),
        ("route", "route"),
        ("workflow", "workflow"),
        ("task", "task"),
        ("question", "question"),
    ];
    output::table(&rows, &columns);
    if answer["complete"] == json!(false) {
        output::note("this server has no room for all that wait: some are missing here until it is started anew");
    }
}

fn send(answer: &Answer, client: &Client, format: Output) -> Result<(), Failure> {
    let Answer { id, properties, json } = answer;
    let value = match json {
        Some(text) => serde_json::from_slice(&argument(text)?)
            .map_err(|error| Failure::new(EXIT_USAGE, format!("--json is no JSON: {error}")))?,
        None => {
            let inquiry = client.get(&["v1", "inquiries", id], &[])?;
            if inquiry["kind"] != "question" {
                let lines = shown::lines(&inquiry).join("\n");
                return Err(Failure::new(
                    EXIT_REFUSED,
                    format!("{id} is no question, it waits for a decision\n{lines}"),
                ));
            }
            match properties.is_empty() {
                // The server says by whom, and when.
                true if inquiry["status"] != "open" => Value::Null,
                true => asked(&inquiry)?,
                false => given::of_words(&inquiry["schema"], properties)?,
            }
        }
    };
    let told = client.post(&["v1", "inquiries", id, "answer"], &json!({ "answer": value }))?;
    let closed = taken::taken(client, id, &value)?;
    match (format, &closed) {
        (Output::Json, _) => output::json(closed.as_ref().unwrap_or(&told)),
        (Output::Table, Some(_)) => output::line("answered"),
        (Output::Table, None) => {
            output::line(told["message"].as_str().unwrap_or_default());
            output::note(&format!("it is not known yet whether it was taken: petrel inquiry show {id}"));
        }
    }
    Ok(())
}

/// The answer of whoever sits at the terminal.
fn asked(inquiry: &Value) -> Result<Value, Failure> {
    let schema = &inquiry["schema"];
    if !std::io::stdin().is_terminal() {
        let schema = serde_json::to_string_pretty(schema).unwrap_or_default();
        let message = format!(
            "there is no answer on the command line, and no terminal to ask: write name=value, or --json JSON, that fits\n\
             {schema}"
        );
        return Err(Failure::new(EXIT_USAGE, message));
    }
    shown::head(inquiry).iter().for_each(|line| output::note(line));
    let terminal = console::Term::stderr();
    given::by_asking(schema, &mut |prompt| {
        output::note(&prompt.text);
        match prompt.secret {
            true => terminal.read_secure_line(),
            false => read_line(),
        }
    })
}

fn read_line() -> std::io::Result<String> {
    let mut line = String::new();
    match std::io::stdin().read_line(&mut line)? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line),
    }
}

/// A word of the command line as the API writes it.
fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn command(words: &[&str]) -> Result<InquiryCommand, String> {
        let line = ["petrel", "inquiry"].iter().chain(words);
        match Cli::try_parse_from(line).map_err(|e| e.to_string())?.command {
            Command::Inquiry(command) => Ok(command),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn an_answer_is_given_in_one_way() {
        let given = |words: &[&str]| match command(words) {
            Ok(InquiryCommand::Answer(answer)) => Ok((answer.properties, answer.json)),
            other => Err(format!("{other:?}")),
        };
        let properties = vec!["go=true".to_owned(), "why=now".to_owned()];
        assert_eq!(given(&["answer", "x", "go=true", "why=now"]), Ok((properties, None)));
        assert_eq!(given(&["answer", "x", "--json", "true"]), Ok((Vec::new(), Some("true".to_owned()))));
        assert!(command(&["answer", "x", "go=true", "--json", "{}"]).unwrap_err().contains("cannot be used with"));
        assert!(command(&["answer"]).is_err());
    }

    #[test]
    fn a_list_is_asked_for_in_the_words_of_the_api() {
        let asked = match command(&["list", "--kind", "freeze", "--order", "latest"]) {
            Ok(InquiryCommand::List { kind, order, limit, .. }) => Ok((kind.map(name), name(order), limit)),
            other => Err(format!("{other:?}")),
        };
        assert_eq!(asked, Ok((Some("freeze".to_owned()), "latest".to_owned(), 100)));
        assert!(command(&["list", "--kind", "riddle"]).is_err());
    }
}
