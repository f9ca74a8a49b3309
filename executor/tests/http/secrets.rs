//! Secrets of requests: they reach the server that they are for, and nothing that is told of it.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::rig::{Rig, eventually};
use crate::server::{Reply, Seen, Server, json as answered, redirect};

/// Different enough that no other text of the log holds a piece of it.
const TOKEN: &str = "Zq7kV+9xR2/mBwT";
const KEY: &str = "4pLd-WsN8-yHc3-jGf6";
/// What a server gives for a secret.
const GRANTED: &str = "Yp6jU.8wQ1lAvS~granted";
/// The same, in the letters of a host's name or a scheme.
const SMALL: &str = "c0ffee9f3ab27c41d05e68";

/// A header that is named after it.
const HEADER: &str = "X-c0ffee9f3ab27c41d05e68";

/// Pieces of them, as they are, in base64 at each place, and as in URLs.
const FORMS: [&str; 16] = [
    "Zq7kV", "WnE3a1Y", "pxN2tWK", "cTdrVis", "kV%2B9x", "4pLd-W", "WsN8-", "NHBMZC1", "RwTGQtV", "cExkLVd", "Yp6jU",
    "WXA2alU", "c0ffee9f", "lwNmpVL", "cDZqVS4", // As it is encoded first where it is a client's.
    "UyRm1Cd1",
];

fn rig(lease_ms: i64) -> Rig {
    Rig::with_secrets(lease_ms, vec![("demo.token", TOKEN), ("demo.key", KEY)])
}

fn assert_clean(rig: &Rig) {
    let log = rig.log();
    for form in FORMS {
        let found = log.windows(form.len()).position(|part| part == form.as_bytes());
        let around = found.map(|at| String::from_utf8_lossy(&log[at.saturating_sub(80)..log.len().min(at + 80)]));
        assert!(found.is_none(), "{form} stands in the log: {around:?}");
    }
}

fn parameters(url: &str) -> Value {
    json!({ "line": url, "token": "${secret.demo.token}" })
}

/// All that was sent, wherever an answer has room for it.
fn echo(seen: &Seen, _: usize) -> Reply {
    let told = json!({ "target": seen.target, "headers": seen.headers }).to_string();
    let bearer = seen.headers["authorization"].clone();
    let token = bearer.trim_start_matches("Bearer ");
    match seen.target.split(['?', '&']).next().unwrap() {
        "/json" => answered(200, &told),
        "/headers" => {
            let headers = vec![
                ("X-Echo", bearer.clone()),
                ("Set-Cookie", format!("sid={token}")),
                ("Location", format!("/{token}?{KEY}")),
                ("Link", format!("<https://{KEY}.example/>")),
            ];
            Reply::Answer(200, headers, Vec::new())
        }
        "/text" => Reply::Answer(500, Vec::new(), told.into_bytes()),
        // It is read up to 1024 bytes, and all of these end in the middle of the token, or of the key.
        "/cut" => Reply::Answer(200, Vec::new(), format!("{}{token}{}", "x".repeat(1_017), "y".repeat(3_000)).into()),
        "/cut-key" => Reply::Answer(200, Vec::new(), format!("{}{KEY}", "x".repeat(1_012)).into()),
        "/binary" => Reply::Answer(200, Vec::new(), [b"\xff\0", token.as_bytes(), b"\xfe"].concat()),
        // Where nobody may go, where nothing is, or one redirect too many.
        "/away" => redirect(302, &format!("http://169.254.169.254/{token}?{KEY}")),
        "/nowhere" => redirect(302, &format!("http://[{token}]/{KEY}")),
        "/round" => redirect(302, &format!("/round?{token}")),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_reach_the_server_and_are_masked_in_whatever_it_says() {
    let server = Server::start(echo).await;
    let rig = rig(30_000);
    let (owner, worker) = (rig.owner(), rig.worker(4, 10_000));
    for (path, status) in [
        ("/json", "succeeded"),
        ("/headers", "succeeded"),
        ("/text", "failed"),
        ("/cut", "succeeded"),
        ("/cut-key", "succeeded"),
        ("/binary", "succeeded"),
        ("/away", "failed"),
        ("/round", "failed"),
        ("/nowhere", "failed"),
    ] {
        rig.request_with(path, "demo.key", &parameters(&server.url(path)));
        rig.until(path, status).await;
    }
    for seen in server.seen() {
        assert_eq!(seen.headers["authorization"], format!("Bearer {TOKEN}"), "{}", seen.target);
        let is_first = !seen.target.starts_with("/round?Z");
        assert!(!is_first || seen.target.ends_with(&format!("?key={KEY}")), "{}", seen.target);
    }
    let result = |id: &str| {
        let end = rig.history(id).pop().unwrap();
        serde_json::from_str::<Value>(end.result.as_deref().unwrap()).unwrap()
    };
    assert_eq!(result("/json")["body"]["headers"]["authorization"], "Bearer ********");
    assert_eq!(result("/json")["body"]["target"], "/json?key=********");
    assert_eq!(result("/headers")["headers"]["x-echo"], "Bearer ********");
    assert_eq!(result("/text")["body"].as_str().map(|body| body.contains("Bearer ********")), Some(true));
    assert!(result("/cut")["body"].as_str().unwrap().ends_with("x********"), "{}", result("/cut")["body"]);
    // What is told of it is cut behind its masking.
    assert!(rig.output("/cut")[0].content.ends_with("x*******"));
    worker.shutdown().await;
    assert_clean(&rig);
    tokio::task::spawn_blocking(|| owner.shutdown()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_were_got_for_a_secret_are_masked_like_it() {
    let server = Server::start(|seen, _| match &*seen.target {
        "/token" => answered(200, &json!({ "access_token": GRANTED, "expires_in": 600 }).to_string()),
        "/state" => answered(200, &json!({ "you": seen.headers["authorization"] }).to_string()),
        // A server that says too much, behind its token.
        "/small/token" => answered(200, &json!({ "access_token": SMALL }).to_string()),
        "/small/state" => redirect(302, &format!("{SMALL}://x/")),
        // One that makes it the name of a header.
        "/names/token" => answered(200, &json!({ "access_token": SMALL }).to_string()),
        "/names/state" => Reply::Answer(200, vec![(HEADER, "1".to_owned())], Vec::new()),
        "/odd/token" => {
            answered(400, &json!({ "error": format!("you are {}", seen.headers["authorization"]) }).to_string())
        }
        // A server of tokens that does.
        "/bad/token" => answered(
            400,
            &json!({ "error": format!("{KEY} is no secret of {}", seen.headers["authorization"]) }).to_string(),
        ),
        other => panic!("{other}"),
    })
    .await;
    let rig = rig(30_000);
    let (owner, worker) = (rig.owner(), rig.worker(2, 10_000));
    // The second one has the token that was kept.
    for id in ["first", "second"] {
        rig.request_with(id, "demo.grant", &parameters(&server.url("")));
        rig.until(id, "succeeded").await;
        let end = rig.history(id).pop().unwrap();
        let result: Value = serde_json::from_str(end.result.as_deref().unwrap()).unwrap();
        assert_eq!(result["body"], json!({ "you": "Bearer ********" }));
    }
    let targets: Vec<String> = server.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/token", "/state", "/state"]);
    rig.request_with("bad", "demo.grant", &parameters(&server.url("/bad")));
    rig.until("bad", "failed").await;
    let error = rig.history("bad").pop().unwrap().error.unwrap();
    assert!(error.contains("no token: answered with 400") && error.contains("********"), "{error}");
    // It is not sent as it is, for its characters have to be encoded.
    rig.request_with("encoded", "demo.encoded", &parameters(&server.url("/odd")));
    rig.until("encoded", "failed").await;
    let error = rig.history("encoded").pop().unwrap().error.unwrap();
    assert!(error.contains("you are Basic cGV0cmVsOl********"), "{error}");
    rig.request_with("small", "demo.grant", &parameters(&server.url("/small")));
    rig.until("small", "failed").await;
    let error = rig.history("small").pop().unwrap().error.unwrap();
    assert!(error.ends_with("redirected to ********:, which is no HTTP"), "{error}");
    rig.request_with("names", "demo.grant", &parameters(&server.url("/names")));
    rig.until("names", "succeeded").await;
    let end = rig.history("names").pop().unwrap();
    let result: Value = serde_json::from_str(end.result.as_deref().unwrap()).unwrap();
    assert_eq!(result["headers"]["x-********"], "1", "{result}");
    worker.shutdown().await;
    assert_clean(&rig);
    tokio::task::spawn_blocking(|| owner.shutdown()).await.unwrap();
}

/// Of a request that its lease ended, and of one that was canceled, nothing is told; the next attempt opens its secrets anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_secrets_is_over_with_its_lease_and_leaves_nothing_of_them() {
    let server = Server::start(|seen, before| if before == 0 { Reply::Drip } else { echo(seen, before) }).await;
    let rig = rig(1_500);
    let (owner, worker) = (rig.owner(), rig.worker(2, 10_000));
    rig.request_with("lease", "demo.key", &parameters(&server.url("/json")));
    eventually("the first request is there", || server.seen().len() == 1).await;
    rig.line.is_cut.store(true, Ordering::Relaxed);
    eventually("it is over", || server.is_idle()).await;
    assert_eq!(server.seen().len(), 1, "it was over before the next one came");
    rig.line.is_cut.store(false, Ordering::Relaxed);
    rig.until("lease", "succeeded").await;
    assert_eq!(rig.statuses("lease"), ["scheduled", "running", "scheduled", "running", "succeeded"]);
    assert_eq!(server.seen().len(), 2);
    worker.shutdown().await;
    assert_clean(&rig);
    tokio::task::spawn_blocking(|| owner.shutdown()).await.unwrap();
}

/// Runners without processes: what they say is a result, or an error that is cut to its limit.
#[tokio::test(flavor = "multi_thread")]
async fn what_echo_and_fail_say_of_secrets_is_masked() {
    let rig = rig(30_000);
    let (owner, worker) = (rig.owner(), rig.worker(2, 10_000));
    rig.request_with("said", "demo.echo", &parameters("x"));
    rig.until("said", "succeeded").await;
    let end = rig.history("said").pop().unwrap();
    assert_eq!(end.result.as_deref(), Some("{\"message\":[\"********\",\"with ********\"]}"));
    // The limit of an error lies in the token.
    rig.request_with("failed", "demo.fail", &parameters(&"x".repeat(4_090)));
    rig.until("failed", "failed").await;
    let error = rig.history("failed").pop().unwrap().error.unwrap();
    assert!(error.ends_with("x *****"), "{}", &error[4_000..]);
    worker.shutdown().await;
    assert_clean(&rig);
    tokio::task::spawn_blocking(|| owner.shutdown()).await.unwrap();
}
