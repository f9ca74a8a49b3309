//! Whom a request trusts, and as whom it speaks.

use petrel_execution::worker::Why;
use serde_json::json;
use tokio::sync::watch;

use crate::asking::{Asking, failure, holding, result};
use crate::certificates::Certificates;
use crate::guard::refused;
use crate::server::{Reply, Seen, Server, json, redirect};

#[tokio::test]
async fn servers_are_trusted_by_the_authority_that_the_action_names() {
    let made = Certificates::make();
    let server = Server::start_tls(made.server(false), |_, _| json(200, "1")).await;
    let asking = Asking::new();
    asking.names.set("api.test", &[&["127.0.0.1"]]);
    asking.names.set("other.test", &[&["127.0.0.1"]]);
    let url = |host: &str| format!("https://{host}:{}/", server.address.port());
    for host in ["127.0.0.1", "api.test"] {
        let exit = asking.ask(json!({"url": url(host), "tls": {"ca": made.text("ca.pem")}})).await;
        assert_eq!(exit.why, Why::Succeeded, "{exit:?}");
    }
    // As a file of the pack.
    std::fs::create_dir(made.path().join("actions")).unwrap();
    std::fs::copy(made.path().join("ca.pem"), made.path().join("actions/ca.pem")).unwrap();
    let (_director, held) = watch::channel(holding(60_000));
    let request = json!({"url": url("api.test"), "tls": {"ca_file": "./ca.pem"}});
    assert_eq!(asking.ask_held(request, Some(made.path()), held).await.why, Why::Succeeded);
    for (host, tls) in [
        ("api.test", json!({})),
        ("other.test", json!({"ca": made.text("ca.pem")})),
        ("api.test", json!({"ca": made.text("client.pem")})),
    ] {
        let exit = asking.ask(json!({"url": url(host), "tls": tls})).await;
        assert_eq!(failure(&exit), ("http_failed", true), "{host}");
    }
    assert_eq!(asking.ask(json!({"url": url("other.test"), "tls": {"verify": false}})).await.why, Why::Succeeded);
    let exit = asking.ask(json!({"url": url("api.test"), "tls": {"ca": "no PEM"}})).await;
    assert_eq!(failure(&exit), ("not_started", false));
    // By way of a proxy it is the same server that has to be trusted.
    let address = server.address;
    let proxy = Server::start(move |_, _| Reply::Tunnel(address)).await;
    let exit =
        asking.ask(json!({"url": url("api.test"), "tls": {"ca": made.text("ca.pem")}, "proxy": proxy.url("")})).await;
    assert_eq!((exit.why, &*proxy.seen()[0].method), (Why::Succeeded, "CONNECT"));
    assert_eq!(proxy.seen()[0].headers.get("idempotency-key"), None);
}

#[tokio::test]
async fn a_server_that_wants_to_know_its_clients_is_shown_the_certificate() {
    let made = Certificates::make();
    let server = Server::start_tls(made.server(true), |_, _| json(200, "1")).await;
    let asking = Asking::new();
    let url = format!("https://127.0.0.1:{}/", server.address.port());
    let (certificate, key) = (made.text("client.pem"), made.text("client.key"));
    let tls = json!({"ca": made.text("ca.pem"), "certificate": certificate, "key": key});
    assert_eq!(asking.ask(json!({"url": url, "tls": tls})).await.why, Why::Succeeded);
    let without = asking.ask(json!({"url": url, "tls": {"ca": made.text("ca.pem")}})).await;
    assert_eq!(failure(&without).0, "http_failed");
    assert_eq!(server.seen().len(), 1);
    let broken = json!({"ca": made.text("ca.pem"), "certificate": certificate, "key": "-----BEGIN s3cret"});
    let exit = asking.ask(json!({"url": url, "tls": broken})).await;
    assert_eq!(failure(&exit), ("not_started", false));
    assert!(!exit.error.as_deref().unwrap().contains("s3cret"), "{exit:?}");
}

/// The certificate, and the leave to be anybody, are for the server that the action names.
#[tokio::test]
async fn a_redirect_to_another_server_takes_neither_the_certificate_nor_the_trust_along() {
    let made = Certificates::make();
    let asking = Asking::new();
    asking.names.set("api.test", &[&["127.0.0.1"]]);
    asking.names.set("other.test", &[&["127.0.0.1"]]);
    let url = |host: &str, server: &Server| format!("https://{host}:{}/", server.address.port());
    let tls =
        json!({"ca": made.text("ca.pem"), "certificate": made.text("client.pem"), "key": made.text("client.key")});
    // One that takes no client without a certificate; and one that takes everybody.
    for (wants_clients, seen) in [(true, 0), (false, 1)] {
        let other = Server::start_tls(made.server(wants_clients), |_, _| json(200, "1")).await;
        let to = url("api.test", &other);
        let server = Server::start_tls(made.server(true), move |_, _| redirect(302, &to)).await;
        let exit = asking.ask(json!({"url": url("api.test", &server), "tls": tls})).await;
        assert_eq!((exit.why == Why::Succeeded, other.seen().len()), (!wants_clients, seen), "{exit:?}");
        assert_eq!(server.seen().len(), 1);
    }
    // Neither of them is what its certificate says.
    let other = Server::start_tls(made.server(false), |_, _| json(200, "{\"access_token\": \"t\"}")).await;
    let to = url("other.test", &other);
    let server = Server::start_tls(made.server(false), move |seen, _| match &*seen.target {
        "/away" => redirect(302, &to),
        "/back" => redirect(302, "/"),
        _ => json(200, "{\"access_token\": \"t\"}"),
    })
    .await;
    let anybody = json!({"verify": false});
    let ask = async |path: &str, token_server: Option<&Server>| {
        let mut request = json!({"url": format!("{}{path}", url("other.test", &server)), "tls": anybody});
        if let Some(tokens) = token_server {
            let token_url = url("other.test", tokens);
            request["auth"] = json!({"oauth2": {"token_url": token_url, "client_id": "c", "client_secret": "s"}});
        }
        asking.ask(request).await
    };
    assert_eq!(ask("back", None).await.why, Why::Succeeded, "it is the same server");
    assert_eq!(ask("", Some(&server)).await.why, Why::Succeeded, "it is the same server");
    assert_eq!(failure(&ask("away", None).await).0, "http_failed");
    assert_eq!(failure(&ask("", Some(&other)).await).0, "http_failed");
    assert!(other.seen().is_empty(), "{:?}", other.seen());
}

#[tokio::test]
async fn a_body_that_was_sent_by_https_goes_nowhere_by_http() {
    let made = Certificates::make();
    let other = Server::start(|_, _| json(200, "1")).await;
    let to = other.url("/");
    let server = Server::start_tls(made.server(false), move |_, _| redirect(307, &to)).await;
    let request = json!({
        "method": "POST", "url": format!("https://127.0.0.1:{}/", server.address.port()), "json": "s3cret",
        "tls": {"ca": made.text("ca.pem")}, "forward_body": true,
    });
    refused(&Asking::new().ask(request).await);
    assert_eq!((server.seen().len(), other.connections()), (1, 0));
}

#[tokio::test]
async fn credentials_are_sent_and_not_told() {
    let server = Server::start(|_, _| json(500, "1")).await;
    let asking = Asking::new();
    for (auth, header, expected) in [
        (json!({"basic": {"username": "u", "password": "s3cret"}}), "authorization", "Basic dTpzM2NyZXQ="),
        (json!({"bearer": "s3cret"}), "authorization", "Bearer s3cret"),
        (json!({"api_key": {"header": "X-Key", "value": "s3cret"}}), "x-key", "s3cret"),
        (json!({"api_key": {"query": "key", "value": "s3cret"}}), "", "/x?key=s3cret"),
    ] {
        let exit = asking.ask(json!({"url": server.url("/x"), "auth": auth})).await;
        let seen = server.seen().pop().unwrap();
        assert_eq!(seen.headers.get(header).unwrap_or(&seen.target), expected);
        assert!(!format!("{exit:?}").contains("s3cret"), "{exit:?}");
    }
}

/// A server that gives tokens and takes them: the first one it forgets after two requests.
fn tokens(seen: &Seen, _: usize) -> Reply {
    let by = seen.headers.get("authorization").map_or("", |auth| auth);
    match &*seen.target {
        // `c%3A1` and `s%263cret`, as in a form.
        "/token"
            if by == "Basic YyUzQTE6cyUyNjNjcmV0" || seen.body.contains("client_id=c%3A1&client_secret=s%263cret") =>
        {
            json(200, "{\"access_token\": \"t0ken\", \"expires_in\": 3600}")
        }
        "/token" => json(401, "{\"error\": \"invalid_client\"}"),
        _ if by == "Bearer t0ken" => json(200, "1"),
        _ => json(401, "{}"),
    }
}

#[tokio::test]
async fn tokens_are_asked_for_once_and_again_when_they_are_no_good() {
    let server = Server::start(tokens).await;
    let asking = Asking::new();
    let oauth2 = |secret: &str, credentials: &str| {
        json!({"oauth2": {
            "token_url": server.url("/token"), "client_id": "c:1", "client_secret": secret,
            "scope": "read write", "credentials": credentials,
        }})
    };
    for _ in 0..2 {
        let exit = asking.ask(json!({"url": server.url("/api"), "auth": oauth2("s&3cret", "header")})).await;
        assert_eq!((exit.why, &result(&exit)["requests"]), (Why::Succeeded, &json!(1)));
    }
    let targets: Vec<String> = server.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/token", "/api", "/api"]);
    assert_eq!(server.seen()[0].body, "grant_type=client_credentials&scope=read+write");
    let exit = asking.ask(json!({"url": server.url("/api"), "auth": oauth2("s&3cret", "body")})).await;
    assert_eq!(exit.why, Why::Succeeded);
    let wrong = asking.ask(json!({"url": server.url("/api"), "auth": oauth2("wr0ng", "header")})).await;
    assert_eq!(failure(&wrong), ("http_failed", true));
    assert!(wrong.error.as_deref().unwrap().ends_with("no token: answered with 401 Unauthorized, \"invalid_client\""));
    assert!(!format!("{wrong:?}").contains("wr0ng"));
    // Where tokens are given is guarded, too.
    let auth = json!({"oauth2": {"token_url": "http://169.254.169.254/t", "client_id": "c", "client_secret": "s"}});
    refused(&asking.ask(json!({"url": server.url("/api"), "auth": auth})).await);
}

#[tokio::test]
async fn a_token_that_was_kept_for_too_long_is_replaced() {
    let server = Server::start(|seen, before| match (&*seen.target, before) {
        ("/token", _) => json(200, &format!("{{\"access_token\": \"t{before}\", \"expires_in\": 3600}}")),
        (_, 2) => json(401, "{}"),
        _ => json(200, "1"),
    })
    .await;
    let asking = Asking::new();
    let auth = json!({"oauth2": {"token_url": server.url("/token"), "client_id": "c", "client_secret": "s"}});
    for requests in [1, 2] {
        let exit = asking.ask(json!({"url": server.url("/api"), "auth": auth})).await;
        assert_eq!((exit.why, &result(&exit)["requests"]), (Why::Succeeded, &json!(requests)));
    }
    let seen: Vec<(String, Option<String>)> = server
        .seen()
        .into_iter()
        .map(|seen| (seen.target, seen.headers.get("authorization").cloned()))
        .filter(|(target, _)| target == "/api")
        .collect();
    let tokens: Vec<&str> = seen.iter().map(|(_, token)| token.as_deref().unwrap()).collect();
    assert_eq!(tokens, ["Bearer t0", "Bearer t0", "Bearer t3"]);
}

/// A token is of whom gave it: an action that does not believe that server does not use it.
#[tokio::test]
async fn a_token_is_kept_for_those_who_would_ask_the_same_server_in_the_same_way() {
    let made = Certificates::make();
    let tokens =
        Server::start_tls(made.server(false), |_, _| json(200, "{\"access_token\": \"t\", \"expires_in\": \"3600\"}"))
            .await;
    let server = Server::start(|_, _| json(200, "1")).await;
    let asking = Asking::new();
    let token_url = format!("https://{}/token", tokens.address);
    let auth = json!({"oauth2": {"token_url": token_url, "client_id": "c", "client_secret": "s"}});
    for _ in 0..2 {
        let tls = json!({"ca": made.text("ca.pem")});
        let exit = asking.ask(json!({"url": server.url("/"), "auth": auth, "tls": tls})).await;
        assert_eq!(exit.why, Why::Succeeded, "{exit:?}");
    }
    assert_eq!((tokens.seen().len(), server.seen().len()), (1, 2));
    assert_eq!(failure(&asking.ask(json!({"url": server.url("/"), "auth": auth})).await).0, "http_failed");
    assert_eq!(server.seen().len(), 2);
}

/// What was asked for is done when the redirect comes: to come again with another token would do it twice.
#[tokio::test]
async fn a_token_that_is_no_good_behind_a_redirect_doubles_nothing() {
    let other = Server::start(|_, _| json(401, "{}")).await;
    let to = other.url("/");
    let server = Server::start(move |seen, before| match &*seen.target {
        "/token" => json(200, &format!("{{\"access_token\": \"t{before}\", \"expires_in\": 3600}}")),
        "/away" => redirect(302, &to),
        "/on" => redirect(302, "/api"),
        _ if seen.headers["authorization"] == "Bearer t0" && before > 1 => json(401, "{}"),
        _ => json(200, "1"),
    })
    .await;
    let asking = Asking::new();
    let auth = json!({"oauth2": {"token_url": server.url("/token"), "client_id": "c", "client_secret": "s"}});
    let ask = async |path: &str| asking.ask(json!({"method": "POST", "url": server.url(path), "auth": auth})).await;
    assert_eq!(ask("/api").await.why, Why::Succeeded);
    // The other server never saw the token: it says nothing about it.
    assert_eq!(failure(&ask("/away").await).0, "http_status");
    assert_eq!((server.seen().len(), other.seen().len()), (3, 1));
    let exit = ask("/on").await;
    assert_eq!((failure(&exit).0, &result(&exit)["requests"]), ("http_status", &json!(1)));
    // The next one has another token.
    assert_eq!(ask("/on").await.why, Why::Succeeded);
    let targets: Vec<String> = server.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/token", "/api", "/away", "/on", "/api", "/token", "/on", "/api"]);
}

/// The variables are those of a process of its own: this test, started again.
#[tokio::test]
async fn without_any_authority_requests_by_http_are_sent_and_nobody_is_trusted() {
    const CHILD: &str = "PETREL_TEST_HTTP_NO_AUTHORITIES";
    if let Ok(urls) = std::env::var(CHILD) {
        let (plain, by_tls) = urls.split_once(' ').unwrap();
        let asking = Asking::new();
        assert_eq!(asking.ask(json!({ "url": plain })).await.why, Why::Succeeded);
        assert_eq!(failure(&asking.ask(json!({ "url": by_tls })).await), ("http_failed", true));
        return;
    }
    let made = Certificates::make();
    let plain = Server::start(|_, _| json(200, "1")).await;
    let by_tls = Server::start_tls(made.server(false), |_, _| json(200, "1")).await;
    let urls = format!("{} https://{}/", plain.url("/"), by_tls.address);
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    child.args([
        "--exact",
        "trust::without_any_authority_requests_by_http_are_sent_and_nobody_is_trusted",
        "--nocapture",
    ]);
    child.env(CHILD, urls).env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", made.path().join("none"));
    let output = child.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!((plain.seen().len(), by_tls.seen().len()), (1, 0));
}
