//! What the API refuses before it looks at anything else, and what it answers to bad input.

use anyhow::Result;
use petrel_e2e_tests::{Cli, Single, post};
use petrel_testkit::workspace_root;

const JSON: (&str, &str) = ("content-type", "application/json");

/// Path, headers, body, status, and a part of the answer.
type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, String, u16, &'a str);

#[test]
fn bad_requests_get_clear_errors() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let petrel = Single::start(dir.path(), &[("PETREL_API__BATCH_BYTES_MAX", "1000000")])?;
    let cli = petrel.cli();
    cli.run(&["pack", "apply", &workspace_root().join("packs").display().to_string()])?;
    let url = |path: &str| format!("{}/v1/{path}", cli.api());
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep = format!("{{\"host\":{deep}}}");
    let large = format!("{{\"host\":\"{}\"}}", "x".repeat(2_000_000));
    let good = r#"{"host":"a","mount":"/tmp","used_pct":1.0}"#;
    let cases: Vec<Case<'_>> = vec![
        ("events/demo.alert", vec![JSON], good.into(), 202, "event_id"),
        ("events/demo.alert", vec![("content-type", "text/plain")], good.into(), 415, "content_type"),
        ("events/demo.alert", vec![JSON, ("origin", "http://evil.example")], good.into(), 403, "foreign_origin"),
        ("events/demo.alert", vec![JSON, ("origin", "null")], good.into(), 403, "foreign_origin"),
        ("events/demo.alert", vec![JSON, ("host", "evil.example")], good.into(), 421, "foreign_host"),
        ("events/demo.none", vec![JSON], good.into(), 404, "trigger_unknown"),
        ("events/demo.host", vec![JSON], good.into(), 409, "trigger_not_http"),
        ("events/demo.alert", vec![JSON], "{\"host\":".into(), 400, "event_malformed"),
        ("events/demo.alert", vec![JSON], deep, 400, "event_too_deep"),
        ("events/demo.alert", vec![JSON], large, 413, "too_large"),
        ("events/demo.alert", vec![JSON], r#"{"host":1}"#.into(), 422, "schema_violation"),
        ("events/demo.alert", vec![JSON, ("event-id", "")], good.into(), 400, "event_id_invalid"),
        ("events/demo.alert", vec![JSON], format!("[{good},{{}}]"), 422, "event 1"),
        ("actions/demo.none/run", vec![JSON], "{}".into(), 404, "unknown_action"),
        ("actions/demo.clean/run", vec![JSON], r#"{"parameters":{"nonsense":1}}"#.into(), 422, "nonsense"),
        ("executions/zz/cancel", vec![JSON], "{}".into(), 400, "malformed_id"),
        // Nobody but its owner can say that there is no such execution.
        ("executions/0123456789abcdef0123456789abcdef.3.1/cancel", vec![JSON], "{}".into(), 202, "does not know"),
        (
            "actions/demo.clean/run",
            vec![JSON, ("idempotency-key", "a b")],
            "{}".into(),
            400,
            "malformed_idempotency_key",
        ),
        ("topics/petrel.requests", vec![JSON], "{}".into(), 409, "topic_own"),
        ("nowhere", vec![JSON], "{}".into(), 404, "no_such_route"),
    ];
    for (path, headers, body, status, wanted) in cases {
        let answer = post(&url(path), &headers, body)?;
        assert_eq!(answer.status, status, "{path} {headers:?}: {}", answer.body);
        assert!(answer.body.contains(wanted), "{path}: {wanted} not in {}", answer.body);
    }
    Ok(())
}

#[test]
fn an_open_address_needs_a_token_and_then_every_request_does() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let refused = Cli::new("http://127.0.0.1:1").output(&["up", "--listen", "0.0.0.0:0"])?;
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("needs a token"));

    let token = "0123456789abcdef";
    let petrel = Single::start_with_token(dir.path(), token)?;
    assert_eq!(petrel.cli().json(&["pack", "list"])?, serde_json::json!([]));
    for wrong in [vec![], vec!["--token", "fedcba9876543210"]] {
        let arguments: Vec<&str> = ["pack", "list"].into_iter().chain(wrong).collect();
        let refused = Cli::new(petrel.cli().api()).output(&arguments)?;
        assert_eq!(refused.status.code(), Some(4), "{}", String::from_utf8_lossy(&refused.stderr));
    }
    Ok(())
}
