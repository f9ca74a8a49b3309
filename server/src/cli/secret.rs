//! `petrel secret list|set|rotate|delete`. A value comes from a file, from standard input or from a prompt: an argument
//! would be seen by everybody on the machine, and stay in the shell's history.

use std::io::{IsTerminal, Read};
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::args::{Output, SecretCommand};
use super::http::{Body, Client};
use super::{EXIT_FAILED, EXIT_USAGE, Failure, input, output};

pub fn run(command: SecretCommand, client: &Client, format: Output) -> Result<(), Failure> {
    match command {
        SecretCommand::List => {
            let answer = client.get(&["v1", "secrets"], &[])?;
            let columns =
                [("name", "name"), ("version", "version"), ("set_at", "set"), ("set_by", "by"), ("problem", "problem")];
            super::rule::show(&answer, "secrets", format, &columns);
            Ok(())
        }
        SecretCommand::Set { name, file } => {
            let answer = send(client, Method::PUT, &["v1", "secrets", &name], &value(&name, file.as_deref())?)?;
            show(&answer, format, "is set");
            Ok(())
        }
        SecretCommand::Rotate { name: Some(name), file, .. } => {
            let path = ["v1", "secrets", &name, "rotate"];
            let answer = send(client, Method::POST, &path, &value(&name, file.as_deref())?)?;
            show(&answer, format, "has another value");
            Ok(())
        }
        SecretCommand::Rotate { .. } => rotate_master(client, format),
        SecretCommand::Delete { name } => {
            let answer = send(client, Method::DELETE, &["v1", "secrets", &name], &json!({}))?;
            show(&answer, format, "is deleted");
            Ok(())
        }
    }
}

fn rotate_master(client: &Client, format: Output) -> Result<(), Failure> {
    let answer = client.post(&["v1", "secrets", "rotate-master"], &json!({}))?;
    let problems: Vec<&str> = answer["problems"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match format {
        Output::Json => output::json(&answer),
        Output::Table => output::line(&format!(
            "{} secrets are sealed under the current master key now, {} were before",
            answer["moved"], answer["unchanged"]
        )),
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(EXIT_FAILED, problems.join("\n"))),
    }
}

fn send(client: &Client, method: Method, path: &[&str], body: &Value) -> Result<Value, Failure> {
    let answer = client.call(method, path, &[], &[], Body::Json(body))?;
    serde_json::from_slice(&answer)
        .map_err(|e| Failure::new(EXIT_FAILED, format!("the server's answer is no JSON: {e}")))
}

fn show(answer: &Value, format: Output, what: &str) {
    match (format, answer["name"].as_str(), answer["version"].as_i64()) {
        (Output::Table, Some(name), Some(version)) => output::line(&format!("{name} {what}, version {version}")),
        (Output::Table, Some(name), None) => output::line(&format!("{name} {what}")),
        _ => output::json(answer),
    }
}

/// The value, as a body.
fn value(name: &str, file: Option<&Path>) -> Result<Value, Failure> {
    Ok(json!({ "value": text(name, file)?.as_str() }))
}

/// The value of what is called so: from a file, from standard input, or from a prompt.
pub(super) fn text(name: &str, file: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
    let bytes = match file {
        Some(file) => input::read(file).map_err(|e| unread(&input::name(file), &e))?,
        None if std::io::stdin().is_terminal() => prompt(name)?,
        None => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).map_err(|e| unread("standard input", &e))?;
            bytes
        }
    };
    let text = String::from_utf8(bytes).map(Zeroizing::new);
    let text = text
        .map_err(|_| Failure::new(EXIT_USAGE, "a secret is UTF-8 text; encode other bytes, in base64 for example"))?;
    Ok(Zeroizing::new(without_line_end(&text).to_owned()))
}

/// Editors and `echo` end a single line; the end of a text of several lines, as of a private key, belongs to it.
fn without_line_end(text: &str) -> &str {
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if line.contains('\n') { text } else { line }
}

fn prompt(name: &str) -> Result<Vec<u8>, Failure> {
    let terminal = console::Term::stderr();
    let ask = |what: &str| {
        output::note(what);
        terminal.read_secure_line().map_err(|e| unread("the terminal", &e))
    };
    let value = ask(&format!("Value of {name} (it is not shown):"))?;
    match ask("Once more:")? == value {
        true => Ok(value.into_bytes()),
        false => Err(Failure::new(EXIT_USAGE, "the two values differ; nothing was changed")),
    }
}

fn unread(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(EXIT_USAGE, format!("cannot read {what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::without_line_end;

    #[test]
    fn the_end_of_a_single_line_is_no_part_of_a_secret() {
        for (text, wanted) in [
            ("a b", "a b"),
            ("a b\n", "a b"),
            ("a b\r\n", "a b"),
            ("a b\n\n", "a b\n\n"),
            ("a\nb\n", "a\nb\n"),
            ("", ""),
        ] {
            assert_eq!(without_line_end(text), wanted);
        }
    }
}
