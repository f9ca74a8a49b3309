//! `petrel rule explain`: by the server's rules, or by those of a pack without a server.

use std::path::Path;

use petrel_bus::Clock as _;
use petrel_rules::explanation_text;
use reqwest::Method;
use serde_json::Value;

use super::args::{ExplainArgs, Output};
use super::http::{Body, Client};
use super::{EXIT_FAILED, EXIT_USAGE, Failure, input, matching, output, pack};
use crate::api::explain::of_revision;
use crate::clock::SystemClock;

/// Tells why the rule matches the event or does not.
pub fn run(args: &ExplainArgs, client: &impl Fn() -> Result<Client, Failure>, format: Output) -> Result<(), Failure> {
    input::standard_input_once(&[("--event", Some(&args.event)), ("--kv", args.kv.as_deref())])?;
    let event = read(&args.event)?;
    let explanation =
        if args.packs.is_empty() { ask(args, &client()?, event)? } else { offline(args, &event, format)? };
    match format {
        Output::Json => output::json(&explanation),
        Output::Table => output::line(&explanation_text(&explanation)),
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let refuse = |e| Failure::new(EXIT_USAGE, format!("cannot read the event {}: {e}", input::name(file)));
    input::read(file).map_err(refuse)
}

fn ask(args: &ExplainArgs, client: &Client, event: Vec<u8>) -> Result<Value, Failure> {
    let segments = ["v1", "rules", &args.rule, "explain"];
    let answer = client.call(Method::POST, &segments, &[], &[], Body::Bytes("application/json", event))?;
    serde_json::from_slice(&answer)
        .map_err(|e| Failure::new(EXIT_FAILED, format!("the server's answer is no JSON ({e})")))
}

fn offline(args: &ExplainArgs, event: &[u8], format: Output) -> Result<Value, Failure> {
    let revision = pack::load(&args.packs, format)?;
    let kv = matching::key_values(args.kv.as_deref())?;
    let now_ms = args.now.map_or_else(|| SystemClock::new().now_ms(), |now| now.as_millisecond());
    of_revision(revision.compiled(), &args.rule, event, now_ms, &kv)
        .map(|explanation| explanation.to_json())
        .map_err(|e| Failure::new(if e.code == "unknown_rule" { EXIT_USAGE } else { EXIT_FAILED }, e.message))
}
