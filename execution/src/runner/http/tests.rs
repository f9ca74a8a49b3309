use serde_json::json;

use super::super::{RunnerCall, RunnerSpec};
use super::*;

struct Files;

impl PackFiles for Files {
    fn executable(&self, path: &str) -> Option<bool> {
        (path == "actions/certs/ca.pem").then_some(false)
    }

    fn hint(&self, path: &str) -> String {
        format!(", not {path}")
    }
}

fn parse(keys: Value) -> Result<RunnerSpec, Vec<SpecError>> {
    let Value::Object(keys) = keys else { panic!("keys are a mapping") };
    RunnerSpec::parse("http", &keys, &Files)
}

fn call(request: Value, parameters: Value) -> Result<HttpCall, String> {
    let spec = parse(json!({ "request": request })).unwrap();
    let rendering = Rendering { parameters: &parameters, secrets: &Value::Null, execution_id: "e1", attempt: 2 };
    match spec.render(rendering) {
        Ok(RunnerCall::Http(call)) => Ok(*call),
        Ok(other) => panic!("{other:?}"),
        Err(e) => Err(e.to_string()),
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_request_that_says_little_has_sensible_defaults() {
    let call = call(json!({"url": "https://api.test/v1"}), json!({})).unwrap();
    assert_eq!(
        (&*call.method, &*call.url, call.body, call.auth),
        ("GET", "https://api.test/v1", Body::None, Auth::None)
    );
    assert_eq!((call.redirects_max, call.retry.times, &*call.idempotency_header), (5, 0, "Idempotency-Key"));
    assert_eq!((call.forward_body, call.timeout_ms), (false, None));
    assert_eq!(call.tls, Tls { ca: None, ca_file: None, identity: None, verify: true });
    assert_eq!(call.proxy, None);
    let success = [199, 200, 206, 299, 300, 404].map(|code| call.success.contains(code));
    assert_eq!(success, [false, true, true, true, false, false]);
}

#[test]
fn a_request_is_rendered_with_its_parameters() {
    let request = json!({
        "method": "${parameters.verb}",
        "url": "https://${parameters.host}/v1",
        "path": ["incidents", "${parameters.id}"],
        "query": {"q": "${parameters.q}", "tag": "${parameters.tags}", "none": "${parameters.none}", "n": 5},
        "headers": {"X-Team": "sre", "X-N": "${parameters.n}"},
        "json": {"n": "${parameters.n}", "text": "n=${parameters.n}", "id": "${execution.id}"},
    });
    let parameters = json!({
        "verb": "post", "host": "api.test", "id": "a/../b?c", "q": "a&b", "tags": ["x", "y"], "none": null, "n": 1.5,
    });
    let call = call(request, parameters).unwrap();
    assert_eq!((&*call.method, &*call.url), ("POST", "https://api.test/v1"));
    assert_eq!(call.path, ["incidents", "a/../b?c"]);
    assert_eq!(call.query, pairs(&[("q", "a&b"), ("tag", "x"), ("tag", "y"), ("n", "5")]));
    assert_eq!(call.headers, pairs(&[("X-Team", "sre"), ("X-N", "1.5")]));
    assert_eq!(call.body, Body::Json(json!({"n": 1.5, "text": "n=1.5", "id": "e1"})));
}

#[test]
fn whole_mappings_may_come_of_a_parameter() {
    let request = json!({"url": "http://h/", "headers": "${parameters.h}", "query": "${parameters.q}", "form": "${parameters.h}"});
    let rendered = call(request.clone(), json!({"h": {"X-A": "1"}, "q": null})).unwrap();
    assert_eq!((rendered.headers, rendered.query), (pairs(&[("X-A", "1")]), Vec::new()));
    assert_eq!(rendered.body, Body::Form(pairs(&[("X-A", "1")])));
    let wrong = call(request, json!({"h": [], "q": {}})).unwrap_err();
    assert_eq!(wrong, "\"headers\" must be a mapping, found a list");
}

#[test]
fn credentials_are_rendered_and_never_shown() {
    let hidden = |text: &str| Hidden(text.to_owned());
    let parameters = json!({"secret": "s3cret"});
    let secret = "${parameters.secret}";
    let oauth2 = json!({"token_url": "https://id.test/t", "client_id": "c", "client_secret": secret, "scope": "read", "credentials": "body"});
    for (auth, expected) in [
        (
            json!({"basic": {"username": "u", "password": secret}}),
            Auth::Basic { username: "u".into(), password: hidden("s3cret") },
        ),
        (json!({"bearer": secret}), Auth::Bearer(hidden("s3cret"))),
        (json!({"api_key": {"header": "X-Key", "value": secret}}), Auth::Header("X-Key".into(), hidden("s3cret"))),
        (json!({"api_key": {"query": "key", "value": secret}}), Auth::Query("key".into(), hidden("s3cret"))),
        (
            json!({ "oauth2": oauth2 }),
            Auth::OAuth2 {
                token_url: "https://id.test/t".into(),
                client_id: "c".into(),
                client_secret: hidden("s3cret"),
                scope: Some("read".into()),
                audience: None,
                in_body: true,
            },
        ),
    ] {
        let tls = json!({"certificate": "C", "key": secret, "ca_file": "./certs/ca.pem", "verify": false});
        let proxy = json!({"url": "http://proxy:3128", "username": "p", "password": secret});
        let request = json!({"url": "https://h/", "auth": auth, "tls": tls, "proxy": proxy});
        let call = call(request, parameters.clone()).unwrap();
        assert_eq!(call.auth, expected);
        assert_eq!(call.tls.identity, Some(("C".to_owned(), hidden("s3cret"))));
        assert_eq!((call.tls.ca_file.as_deref(), call.tls.verify), (Some("actions/certs/ca.pem"), false));
        let shown = format!("{call:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(RunnerCall::Http(Box::new(call)).uses_pack());
    }
}

#[test]
fn what_no_request_may_have_is_refused_when_it_is_rendered() {
    let url = "http://h/";
    for (request, parameters, expected) in [
        (
            json!({"url": "${parameters.u}"}),
            json!({"u": "file:///etc/passwd"}),
            "the URL must begin with http:// or https://",
        ),
        (
            json!({"url": "${parameters.u}"}),
            json!({"u": "https://u:p@h/"}),
            "the URL holds a name or a password: they stand in \"auth\", for a URL is shown",
        ),
        (json!({"url": "${parameters.u}"}), json!({"u": "https:///x"}), "the URL names no host"),
        (json!({"url": "${parameters.u}"}), json!({"u": "http://h/\r\nX: y"}), "the URL holds a control character"),
        (
            json!({"url": url, "method": "${parameters.m}"}),
            json!({"m": "GET / HTTP/1.1"}),
            "\"GET / HTTP/1.1\" is no method of HTTP",
        ),
        (
            json!({"url": url, "method": "${parameters.m}"}),
            json!({"m": "connect"}),
            "the method CONNECT is not for actions",
        ),
        (json!({"url": url, "path": ["${parameters.p}"]}), json!({"p": ".."}), "a part of the path is \"..\""),
        (json!({"url": url, "path": ["${parameters.p}"]}), json!({"p": ""}), "a part of the path is \"\""),
        (
            json!({"url": url, "headers": {"X-A": "${parameters.v}"}}),
            json!({"v": "a\r\nX-B: c"}),
            "the header \"X-A\" holds a control character",
        ),
        (
            json!({"url": url, "headers": "${parameters.h}"}),
            json!({"h": {"A B": "c"}}),
            "\"A B\" is no name of a header",
        ),
        (
            json!({"url": url, "headers": "${parameters.h}"}),
            json!({"h": {"transfer-encoding": "chunked"}}),
            "the header \"transfer-encoding\" belongs to the connection",
        ),
        (
            json!({"url": url, "auth": {"bearer": "${parameters.t}"}}),
            json!({"t": "a\nb"}),
            "the header \"Authorization\" holds a control character",
        ),
        (
            json!({"url": url, "auth": {"basic": {"username": "a:b", "password": "c"}}}),
            json!({}),
            "a user's name that holds a colon cannot be sent",
        ),
        (
            json!({"url": url, "proxy": "${parameters.p}"}),
            json!({"p": "socks5://p"}),
            "the proxy must begin with http:// or https://",
        ),
        (
            json!({"url": url, "proxy": "${parameters.p}", "tls": {"certificate": "C", "key": "K"}}),
            json!({"p": "HTTPS://p"}),
            "a proxy by https would be shown the client's certificate: name one by http",
        ),
        (
            json!({"url": url, "proxy": "https://p", "tls": {"verify": false}}),
            json!({}),
            "a proxy by https would not have to show who it is: name one by http",
        ),
    ] {
        assert_eq!(call(request.clone(), parameters), Err(expected.to_owned()), "{request}");
    }
    let missing = call(json!({"url": "http://${parameters.host}/"}), json!({})).unwrap_err();
    assert!(missing.starts_with("the URL: "), "{missing}");
}

/// Tabs and line breaks are nothing to parsers of URLs: with them out, each of these leads elsewhere.
#[test]
fn no_part_of_a_path_leads_elsewhere() {
    let request = json!({"url": "http://h/v1/hosts", "path": ["${parameters.p}", "restart"]});
    for part in [".\t.", ".\n.", ".\r", "\t", ".\r\n.", "\t..", "a\u{7f}", "\u{85}"] {
        let refused = call(request.clone(), json!({ "p": part }));
        assert_eq!(refused, Err("a part of the path holds a control character".to_owned()), "{part:?}");
    }
    for part in ["", ".", ".."] {
        assert_eq!(call(request.clone(), json!({ "p": part })), Err(format!("a part of the path is {part:?}")));
    }
}

#[test]
fn every_mistake_of_a_request_is_told_where_it_is() {
    let url = "http://h/";
    for (keys, expected) in [
        (json!({}), &[": an action needs \"request\""][..]),
        (json!({"request": "http://h/"}), &["/request: \"request\" must be a mapping, found a string"]),
        (json!({"request": {}}), &["/request: \"request\" needs \"url\""]),
        (json!({"request": {"url": "h/x"}}), &["/request/url: the URL must begin with http:// or https://"]),
        (
            json!({"request": {"url": 5}}),
            &["/request/url: \"url\" must be a string, found the number 5; write \"5\" in quotes"],
        ),
        (
            json!({"request": {"url": url, "json": {}, "form": {}, "redirects": 21, "method": "G T"}}),
            &[
                "/request/method: \"G T\" is no method of HTTP",
                "/request/form: a request has one of json, form, not several",
                "/request/redirects: \"redirects\" must be a whole number, at most 20",
            ],
        ),
        (
            json!({"request": {"url": url, "query": "a=b"}}),
            &["/request/query: \"query\" must be a mapping, found a string"],
        ),
        (
            json!({"request": {"url": url, "path": "a/b"}}),
            &["/request/path: \"path\" must be a list of strings, found a string"],
        ),
        (
            json!({"request": {"url": url, "headers": {"a/b": "c"}}}),
            &["/request/headers/a~1b: \"a/b\" is no name of a header"],
        ),
        (
            json!({"request": {"url": url, "auth": {}}}),
            &["/request/auth: \"auth\" must be one of basic, bearer, api_key, oauth2"],
        ),
        (
            json!({"request": {"url": url, "auth": {"basic": {"username": "u"}}}}),
            &["/request/auth/basic: \"basic\" needs \"password\""],
        ),
        (
            json!({"request": {"url": url, "auth": {"api_key": {"value": "v"}}}}),
            &["/request/auth/api_key: \"api_key\" must have the name of a \"header\" or of a \"query\" parameter"],
        ),
        (
            json!({"request": {"url": url, "auth": {"digest": {}}}}),
            &[
                "/request/auth/digest: unknown key \"digest\" in \"auth\", which has \"basic\", \"bearer\", \"api_key\", \"oauth2\"",
            ],
        ),
        (
            json!({"request": {"url": url, "auth": {"oauth2": {"token_url": "https://i/", "client_id": "c", "client_secret": "s", "credentials": "x"}}}}),
            &["/request/auth/oauth2/credentials: \"credentials\" must be one of \"header\", \"body\""],
        ),
        (
            json!({"request": {"url": url, "tls": {"certificate": "c", "ca_file": "../ca.pem", "verify": "no"}}}),
            &[
                "/request/tls: \"certificate\" and \"key\" stand together in \"tls\"",
                "/request/tls/verify: \"verify\" must be true or false, found a string",
                "/request/tls/ca_file: \"../ca.pem\" leaves the pack",
            ],
        ),
        (
            json!({"request": {"url": url, "timeout": "0s"}}),
            &["/request/timeout: \"timeout\" must be longer than nothing"],
        ),
        (
            json!({"request": {"url": url, "timeout": "soon"}}),
            &[
                "/request/timeout: \"soon\" is not a duration: write a whole number and a unit (ms, s, m, h, d), such as 10s or 7d",
            ],
        ),
        (
            json!({"request": {"url": url, "forward_body": "yes"}}),
            &["/request/forward_body: \"forward_body\" must be true or false, found a string"],
        ),
        (
            json!({"request": {"url": url, "tls": {"ca_file": "ca.pem"}}}),
            &["/request/tls/ca_file: the pack has no file actions/ca.pem, not actions/ca.pem"],
        ),
        (
            json!({"request": {"url": url, "proxy": {"username": "u"}, "retry": {"times": 21, "wait": "soon", "on": [429, "5xx"]}}}),
            &[
                "/request/proxy: \"proxy\" needs \"url\"",
                "/request/retry/times: \"times\" must be a whole number, at most 20",
                "/request/retry/wait: \"soon\" is not a duration: write a whole number and a unit (ms, s, m, h, d), such as 10s or 7d",
                "/request/retry/on/1: \"on\" has status codes from 100 to 599 such as 200 or \"200-206\", found \"5xx\"",
            ],
        ),
        (
            json!({"request": {"url": url}, "success_codes": "299-200"}),
            &[
                "/success_codes: \"success_codes\" has status codes from 100 to 599 such as 200 or \"200-206\", found \"299-200\"",
            ],
        ),
        (
            json!({"request": {"url": url, "idempotency_header": "Connection"}}),
            &["/request/idempotency_header: the header \"Connection\" belongs to the connection"],
        ),
    ] {
        let errors = parse(keys.clone()).unwrap_err();
        assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{keys}");
    }
    let errors = parse(json!({"request": {"url": url, "json": {"a": ["${trigger.x}"]}}})).unwrap_err();
    assert_eq!(errors[0].at, "/request/json/a/0");
    let unknown = parse(json!({"request": {"url": url, "bdoy": "x"}})).unwrap_err();
    assert_eq!((&*unknown[0].at, &unknown[0].mistake), ("/request/bdoy", &super::super::Mistake::UnknownKey));
}

#[test]
fn codes_are_single_ones_and_ranges() {
    let spec = parse(json!({"request": {"url": "http://h/"}, "success_codes": [200, "404", "500-502"]})).unwrap();
    let parameters = json!({});
    let rendering = Rendering { parameters: &parameters, secrets: &Value::Null, execution_id: "e1", attempt: 1 };
    let Ok(RunnerCall::Http(call)) = spec.render(rendering) else { panic!() };
    let contains = [200, 201, 404, 499, 500, 502, 503].map(|code| call.success.contains(code));
    assert_eq!(contains, [true, false, true, false, true, true, false]);
}
