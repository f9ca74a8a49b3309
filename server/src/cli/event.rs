//! `petrel event send` and `petrel topic send`.

use reqwest::Method;

use super::Failure;
use super::args::{EventCommand, TopicCommand};
use super::http::{Body, Client, argument};
use super::output;

/// Content type of one JSON document a line.
const NDJSON: &str = "application/x-ndjson";

pub fn event(command: EventCommand, client: &Client) -> Result<(), Failure> {
    let EventCommand::Send { trigger, payload, id, batch } = command;
    let body = argument(&payload)?;
    let kind = if batch { NDJSON } else { "application/json" };
    let headers: Vec<(&str, &str)> = id.iter().map(|id| ("event-id", id.as_str())).collect();
    let answer = client.call(Method::POST, &["v1", "events", &trigger], &[], &headers, Body::Bytes(kind, body))?;
    output::raw(&answer);
    output::line("");
    Ok(())
}

pub fn topic(command: TopicCommand, client: &Client) -> Result<(), Failure> {
    let TopicCommand::Send { topic, value, key, lines } = command;
    let body = argument(&value)?;
    let kind = if lines { NDJSON } else { "application/octet-stream" };
    let query: Vec<(&str, String)> = key.into_iter().map(|key| ("key", key)).collect();
    let answer = client.call(Method::POST, &["v1", "topics", &topic], &query, &[], Body::Bytes(kind, body))?;
    output::raw(&answer);
    output::line("");
    Ok(())
}
