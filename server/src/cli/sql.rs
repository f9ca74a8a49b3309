//! `petrel sql`.

use reqwest::Method;
use serde_json::json;

use super::Failure;
use super::args::{Output, SqlArgs, SqlFormat};
use super::http::{Body, Client, argument};
use super::output;

pub fn run(args: SqlArgs, client: &Client, output: Output) -> Result<(), Failure> {
    let format = args.format.unwrap_or(match output {
        Output::Json => SqlFormat::Json,
        Output::Table => SqlFormat::Table,
    });
    let format = match format {
        SqlFormat::Table => "table",
        SqlFormat::Json => "json",
        SqlFormat::Csv => "csv",
    };
    let request = match (&args.query, &args.trace) {
        (Some(query), _) => {
            let text = if query == "-" { argument("-")? } else { query.clone().into_bytes() };
            json!({ "query": String::from_utf8_lossy(&text), "format": format })
        }
        (None, Some(event)) => json!({ "trace": event, "format": format }),
        (None, None) => json!({ "reconcile": true, "grace_s": args.grace, "format": format }),
    };
    let rows = client.call(Method::POST, &["v1", "sql"], &[], &[], Body::Json(&request))?;
    output::raw(&rows);
    Ok(())
}
