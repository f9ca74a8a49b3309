use serde_json::json;

use super::*;
use crate::runner::Hidden;

struct Pack;

impl PackFiles for Pack {
    fn executable(&self, path: &str) -> Option<bool> {
        (path == "actions/ca.pem").then_some(false)
    }

    fn hint(&self, _: &str) -> String {
        String::new()
    }
}

fn parse(keys: Value) -> Result<EmailSpec, Vec<String>> {
    let Value::Object(keys) = keys else { panic!("keys are a mapping") };
    EmailSpec::parse(&keys, &Pack).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

fn render(spec: &EmailSpec, parameters: &Value) -> Result<Box<EmailCall>, RenderError> {
    Works::render(spec, Rendering { parameters, secrets: &Value::Null, execution_id: "e1", attempt: 1 })
}

fn message(changes: Value) -> Value {
    let mut message = json!({"from": "petrel@example.com", "to": "ann@example.com", "subject": "s", "text": "t"});
    for (key, value) in changes.as_object().unwrap() {
        message[key] = value.clone();
    }
    message.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    json!({"server": {"host": "mail.example.com"}, "message": message})
}

#[test]
fn a_message_is_rendered() {
    let spec = parse(json!({
        "server": {
            "host": "${parameters.host}", "port": "${parameters.port}", "security": "tls", "ca_file": "./ca.pem",
            "auth": {"username": "petrel", "password": "${parameters.password}"},
        },
        "message": {
            "from": "Petrel <petrel@example.com>",
            "to": "${parameters.to}",
            "cc": ["bob@example.com", "ann@example.com"],
            "subject": "${parameters.host} is full",
            "text": "${parameters.text}",
            "html": "<b>${parameters.text}</b>",
        },
    }))
    .unwrap();
    let parameters = json!({
        "host": "mail.example.com", "port": 2465, "password": "abc", "to": ["Ann <ann@example.com>"], "text": "é\n.",
    });
    let call = render(&spec, &parameters).unwrap();
    let server = MailServer {
        host: "mail.example.com".to_owned(),
        port: 2465,
        security: Security::Tls,
        ca: None,
        ca_file: Some("actions/ca.pem".to_owned()),
        credentials: Some(("petrel".to_owned(), Hidden("abc".to_owned()))),
    };
    assert_eq!(call.server, server);
    assert!(call.uses_pack() && !format!("{call:?}").contains("abc"));
    let recipients: Vec<&str> = call.recipients().iter().map(|mailbox| mailbox.address.as_str()).collect();
    assert_eq!(recipients, ["ann@example.com", "bob@example.com"]);
    assert_eq!((&*call.subject, call.text.as_deref()), ("mail.example.com is full", Some("é\n.")));
    assert_eq!(call.html.as_deref(), Some("<b>é\n.</b>"));
}

#[test]
fn ports_follow_from_the_security() {
    for (security, port) in [("starttls", 587), ("tls", 465), ("none", 25)] {
        let mut keys = message(json!({}));
        keys["server"]["security"] = json!(security);
        assert_eq!(render(&parse(keys).unwrap(), &json!({})).unwrap().server.port, port);
    }
    let call = render(&parse(message(json!({}))).unwrap(), &json!({})).unwrap();
    assert_eq!(call.server.security, Security::StartTls);
}

#[test]
fn of_two_bodies_an_empty_one_is_left_out() {
    let spec = parse(message(json!({"text": "${parameters.text}", "html": "${parameters.html}"}))).unwrap();
    for (text, html, expected) in [
        ("a", "", (Some("a"), None)),
        ("", "b", (None, Some("b"))),
        ("a", "b", (Some("a"), Some("b"))),
        ("", "", (Some(""), Some(""))),
    ] {
        let call = render(&spec, &json!({"text": text, "html": html})).unwrap();
        assert_eq!((call.text.as_deref(), call.html.as_deref()), expected);
    }
}

/// What a parameter holds ends no line of a header, and no command.
#[test]
fn nothing_leads_out_of_a_header() {
    let spec = parse(message(json!({
        "from": "${parameters.from}", "to": "${parameters.to}", "reply_to": "${parameters.reply_to}",
        "subject": "${parameters.subject}",
    })))
    .unwrap();
    let good = json!({"from": "a@x.org", "to": "b@x.org", "reply_to": "c@x.org", "subject": "s"});
    assert!(render(&spec, &good).is_ok());
    for key in ["from", "to", "reply_to", "subject"] {
        for bad in ["a@x.org\r\nBcc: eve@x.org", "a@x.org\nX: y", "a@x.org\rX: y", "Ann\r\nX: y <a@x.org>", "a\0@x.org"]
        {
            let mut parameters = good.clone();
            parameters[key] = json!(bad);
            let error = render(&spec, &parameters).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }
}

#[test]
fn a_message_is_for_somebody_and_not_for_everybody() {
    let spec = parse(message(json!({"to": "${parameters.to}"}))).unwrap();
    assert_eq!(render(&spec, &json!({"to": []})).unwrap_err().to_string(), "the message is for nobody");
    let many: Vec<String> = (0..101).map(|n| format!("a{n}@x.org")).collect();
    let error = render(&spec, &json!({"to": many})).unwrap_err().to_string();
    assert_eq!(error, "the message is for 101 addresses, more than 100");
}

#[test]
fn every_mistake_is_told_where_it_is() {
    let server = |changes: Value| {
        let mut keys = message(json!({}));
        for (key, value) in changes.as_object().unwrap() {
            keys["server"][key] = value.clone();
        }
        keys
    };
    for (keys, expected) in [
        (message(json!({"from": null})), "/message: a message needs \"from\""),
        (message(json!({"to": null})), "/message: a message needs \"to\", \"cc\" or \"bcc\""),
        (message(json!({"text": null})), "/message: a message needs \"text\" or \"html\", or both"),
        (message(json!({"to": "ann"})), "/message/to: \"to\": \"ann\" is no address such as ann@example.com"),
        (message(json!({"cc": 5})), "/message/cc: \"cc\": addresses are a string or a list of strings, found a number"),
        (
            server(json!({"security": "ssl"})),
            "/server/security: \"security\" must be one of \"starttls\", \"tls\", \"none\"",
        ),
        (server(json!({"port": 70000})), "/server/port: \"port\" must be a whole number from 1 to 65535"),
        (
            server(json!({"ca_file": "../ca.pem"})),
            "/server/ca_file: \"../ca.pem\" is no file under actions/ of the pack, such as \"./ca.pem\"",
        ),
        (server(json!({"ca_file": "./x.pem"})), "/server/ca_file: the pack has no file actions/x.pem"),
        (server(json!({"security": "none", "ca": "x"})), "/server/ca: there is nobody to trust without TLS"),
        (
            server(json!({"security": "none", "auth": {"username": "a", "password": "b"}})),
            "/server/auth: a password is not sent in the clear: \"security\" must not be \"none\"",
        ),
        (server(json!({"auth": {"username": "a"}})), "/server/auth: \"auth\" needs \"password\""),
    ] {
        assert_eq!(parse(keys).unwrap_err(), [expected]);
    }
    let errors = parse(json!({})).unwrap_err();
    assert_eq!(errors, [": an action needs \"server\"", ": an action needs \"message\""]);
}
