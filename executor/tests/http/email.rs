//! The runner `email` against servers of mail.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use petrel_execution::Delivery;
use petrel_execution::runner::{EmailCall, Rendering, RunnerCall, RunnerSpec};
use petrel_execution::worker::{Exit, Why};
use petrel_executor::runner::EmailRequest;
use petrel_secrets::{Mask, SecretValue};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::asking::{AnyFile, Asking, CANCEL, Still, failure, holding};
use crate::certificates::Certificates;
use crate::mail::{MailServer, Odd};

pub struct Sending {
    asking: Asking,
    delivery: Delivery,
    timeout_ms: u64,
    mask: Arc<Mask>,
}

impl Sending {
    pub fn new() -> Self {
        Self {
            asking: Asking::new(),
            delivery: Delivery::AtLeastOnce,
            timeout_ms: 20_000,
            mask: Arc::new(Mask::NOTHING),
        }
    }

    pub async fn send(&self, server: Value, message: Value) -> Exit {
        let (_director, held) = watch::channel(holding(60_000));
        self.send_held(server, message, held).await
    }

    pub async fn send_held(
        &self,
        server: Value,
        message: Value,
        held: watch::Receiver<petrel_execution::worker::Holding>,
    ) -> Exit {
        let request = EmailRequest {
            execution_id: "e-1",
            delivery: self.delivery,
            timeout_ms: self.timeout_ms,
            pack: None,
            clock: &Still,
            mask: &self.mask,
        };
        let sent = self.asking.runner.email();
        let call = call(server, message);
        tokio::time::timeout(Duration::from_secs(30), sent.run(&call, request, held)).await.expect("it hangs")
    }
}

fn call(server: Value, message: Value) -> EmailCall {
    let Value::Object(keys) = json!({ "server": server, "message": message }) else { unreachable!() };
    let spec = RunnerSpec::parse("email", &keys, &AnyFile).unwrap();
    let rendering = Rendering { parameters: &Value::Null, secrets: &Value::Null, execution_id: "e-1", attempt: 1 };
    let Ok(RunnerCall::Email(call)) = spec.render(rendering) else { panic!("not rendered") };
    *call
}

pub fn message() -> Value {
    json!({
        "from": "Petrel <petrel@example.com>", "to": ["ann@example.com", "Bob <bob@example.com>"],
        "bcc": "eve@example.com", "subject": "größer als 90 %", "text": "ein\n.\nText",
    })
}

fn plain(server: &MailServer) -> Value {
    json!({ "host": "127.0.0.1", "port": server.port, "security": "none" })
}

/// The body of the only part.
fn body(data: &str) -> String {
    let (_, encoded) = data.split_once("\r\n\r\n").unwrap();
    String::from_utf8(STANDARD.decode(encoded.replace("\r\n", "")).unwrap()).unwrap()
}

#[tokio::test]
async fn a_message_arrives_by_every_kind_of_security() {
    let made = Certificates::make();
    let ca = made.text("ca.pem");
    for (security, tls, is_implicit) in [("none", false, false), ("starttls", true, false), ("tls", true, true)] {
        let config = tls.then(|| made.server(false));
        let server = MailServer::start(config, is_implicit, Odd::Nothing).await;
        let mut way = json!({ "host": "127.0.0.1", "port": server.port, "security": security });
        if tls {
            way["ca"] = json!(ca);
            way["auth"] = json!({ "username": "petrel", "password": "s3cret" });
        }
        let exit = Sending::new().send(way, message()).await;
        assert_eq!(exit.why, Why::Succeeded, "{exit:?}");
        let result = exit.result.unwrap();
        assert_eq!(result["message_id"], "<e-1@example.com>");
        assert_eq!(result["recipients"], json!(["ann@example.com", "bob@example.com", "eve@example.com"]));
        assert_eq!((&result["secured"], &result["reply"]), (&json!(tls), &json!("250 2.0.0 queued as 4711")));
        let taken = server.taken();
        let [mail] = &taken[..] else { panic!("{taken:?}") };
        assert_eq!(mail.from, "MAIL FROM:<petrel@example.com>");
        let recipients = ["ann", "bob", "eve"].map(|name| format!("RCPT TO:<{name}@example.com>"));
        assert_eq!((&mail.to[..], mail.is_secured), (&recipients[..], tls));
        assert_eq!(body(&mail.data), "ein\r\n.\r\nText");
        assert!(mail.data.contains("Subject: =?UTF-8?B?") && !mail.data.contains("eve"), "{}", mail.data);
        let token = STANDARD.encode("\0petrel\0s3cret");
        assert_eq!(mail.auth, tls.then(|| format!("PLAIN {token}")));
        // The name and password are said behind TLS alone.
        let heard = server.heard();
        let of = |what: &str| heard.iter().position(|line| line.starts_with(what));
        if security == "starttls" {
            assert!(of("STARTTLS") < of("AUTH") && of("AUTH") < of("MAIL"), "{heard:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_knows_login_alone_is_told_so() {
    let made = Certificates::make();
    let server = MailServer::start(Some(made.server(false)), true, Odd::LoginOnly).await;
    let auth = json!({ "username": "petrel", "password": "s3cret" });
    let way = json!({
        "host": "127.0.0.1", "port": server.port, "security": "tls", "ca": made.text("ca.pem"), "auth": auth,
    });
    assert_eq!(Sending::new().send(way, message()).await.why, Why::Succeeded);
    let expected = format!("{} {}", STANDARD.encode("petrel"), STANDARD.encode("s3cret"));
    assert_eq!(server.taken()[0].auth, Some(expected));
}

#[tokio::test]
async fn nobody_else_than_the_server_is_given_anything() {
    let (made, other) = (Certificates::make(), Certificates::make());
    let ca = made.text("ca.pem");
    for is_implicit in [false, true] {
        let server = MailServer::start(Some(other.server(false)), is_implicit, Odd::Nothing).await;
        let security = if is_implicit { "tls" } else { "starttls" };
        let way = json!({ "host": "127.0.0.1", "port": server.port, "security": security, "ca": ca });
        let exit = Sending::new().send(way, message()).await;
        assert_eq!(failure(&exit), ("email_failed", true), "{exit:?}");
        assert!(server.taken().is_empty());
    }
    // One that offers no STARTTLS, and one that somebody speaks for before TLS.
    let server = MailServer::start(None, false, Odd::Nothing).await;
    let way = |server: &MailServer| json!({ "host": "127.0.0.1", "port": server.port, "ca": ca });
    let exit = Sending::new().send(way(&server), message()).await;
    assert!(
        failure(&exit) == ("email_failed", true) && exit.error.as_ref().unwrap().contains("no STARTTLS"),
        "{exit:?}"
    );
    assert!(server.heard().iter().all(|line| line.starts_with("EHLO")), "{:?}", server.heard());
    let server = MailServer::start(Some(made.server(false)), false, Odd::SpeakBeforeTls).await;
    let exit = Sending::new().send(way(&server), message()).await;
    assert!(exit.error.as_ref().unwrap().contains("between STARTTLS and TLS"), "{exit:?}");
}

#[tokio::test]
async fn one_recipient_that_is_refused_refuses_the_message() {
    for (code, expected) in [(550, ("email_refused", false)), (451, ("email_refused", true))] {
        let server = MailServer::start(None, false, Odd::Refuse("bob", code)).await;
        let exit = Sending::new().send(plain(&server), message()).await;
        assert_eq!(failure(&exit), expected);
        assert!(exit.error.unwrap().contains("the server refuses a recipient"));
        assert!(server.taken().is_empty() && !server.heard().contains(&"DATA".to_owned()));
    }
    for (code, is_for_now) in [(554, false), (452, true)] {
        let server = MailServer::start(None, false, Odd::RefuseAtEnd(code)).await;
        let exit = Sending::new().send(plain(&server), message()).await;
        assert_eq!(failure(&exit), ("email_refused", is_for_now));
    }
    let made = Certificates::make();
    let server = MailServer::start(Some(made.server(false)), true, Odd::RefuseLogin).await;
    let auth = json!({ "username": "petrel", "password": "s3cret" });
    let way = json!({
        "host": "127.0.0.1", "port": server.port, "security": "tls", "ca": made.text("ca.pem"), "auth": auth,
    });
    let exit = Sending::new().send(way, message()).await;
    assert_eq!(failure(&exit), ("email_refused", false));
    assert!(!format!("{exit:?}").contains("s3cret") && !format!("{exit:?}").contains(&STANDARD.encode("s3cret")));
}

/// Of what was ended and not answered nobody knows whether it is delivered; it is not sent twice where it must not be.
#[tokio::test]
async fn what_may_have_been_delivered_says_so() {
    for (delivery, expected) in
        [(Delivery::AtLeastOnce, ("email_unknown", true)), (Delivery::AtMostOnce, ("email_unknown", false))]
    {
        let server = MailServer::start(None, false, Odd::CloseAtEnd).await;
        let exit = Sending { delivery, ..Sending::new() }.send(plain(&server), message()).await;
        assert_eq!(failure(&exit), expected, "{exit:?}");
    }
    let server = MailServer::start(None, false, Odd::HangAtEnd).await;
    let exit = Sending { timeout_ms: 500, ..Sending::new() }.send(plain(&server), message()).await;
    assert_eq!(exit.why, Why::Timeout);
    assert_eq!(exit.error.as_deref(), Some("the message may have been delivered"));
    let server = MailServer::start(None, false, Odd::HangAtHello).await;
    let exit = Sending { timeout_ms: 500, ..Sending::new() }.send(plain(&server), message()).await;
    assert_eq!((exit.why, exit.error), (Why::Timeout, None), "nothing was sent");
}

/// What was taken is sent, also where the attempt would end while the server makes up its mind.
#[tokio::test]
async fn nobody_waits_for_leave_of_the_server() {
    let server = MailServer::start(None, false, Odd::HangAtQuit).await;
    let exit = Sending { timeout_ms: 1_500, ..Sending::new() }.send(plain(&server), message()).await;
    assert_eq!((exit.why, server.taken().len()), (Why::Succeeded, 1), "{exit:?}");
}

/// A server may say again what it was told, and only so much of what it says is told.
#[tokio::test]
async fn what_a_server_says_is_masked_before_it_is_cut() {
    let (made, password) = (Certificates::make(), "Zq7kV-9xR2mBwT-Zq7kV-9xR2mBwT");
    let token = STANDARD.encode(format!("\0petrel\0{password}"));
    let mask = Arc::new(Mask::new([&SecretValue::new(password.to_owned()).unwrap()]));
    // Behind the name, which is no secret.
    let secret = &token[12..18];
    for before in (440..500).step_by(7) {
        let server = MailServer::start(Some(made.server(false)), true, Odd::RepeatLogin(before)).await;
        let auth = json!({ "username": "petrel", "password": password });
        let way = json!({
            "host": "127.0.0.1", "port": server.port, "security": "tls", "ca": made.text("ca.pem"), "auth": auth,
        });
        let exit = Sending { mask: mask.clone(), ..Sending::new() }.send(way, message()).await;
        let error = exit.error.unwrap();
        assert!(error.contains("535 xxx") && !error.contains(secret), "{before}: {error}");
    }
}

#[tokio::test]
async fn a_cancel_and_a_lost_lease_end_it_at_once() {
    for (lease_ms, is_canceled, expected) in [(60_000, true, Why::Stopped), (300, false, Why::LeaseLost)] {
        let server = MailServer::start(None, false, Odd::HangAtHello).await;
        let (director, held) = watch::channel(holding(lease_ms));
        let (sending, way) = (Sending::new(), plain(&server));
        let cancel = async {
            while is_canceled && server.heard().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if is_canceled {
                director.send_modify(|held| held.order(CANCEL));
            }
        };
        let both = async { tokio::join!(sending.send_held(way, message(), held), cancel) };
        let (exit, ()) = tokio::time::timeout(Duration::from_secs(30), both).await.expect("it is not heard of");
        assert_eq!(exit.why, expected);
    }
}

#[tokio::test]
async fn mail_goes_to_no_address_to_which_requests_may_not_go() {
    let server = MailServer::start(None, false, Odd::Nothing).await;
    let sending = Sending { asking: Asking::allowed(&[]), ..Sending::new() };
    let exit = sending.send(plain(&server), message()).await;
    assert_eq!(failure(&exit), ("address_refused", false), "{exit:?}");
    sending.asking.names.set("mail.test", &[&["10.0.0.1", "169.254.169.254"]]);
    let way = json!({ "host": "mail.test", "port": server.port, "security": "none" });
    let exit = sending.send(way, message()).await;
    assert!(failure(&exit).0 == "address_refused" && exit.error.unwrap().contains("169.254.169.254"));
    assert!(server.heard().is_empty());
    let nowhere = json!({ "host": "no.test", "security": "none" });
    assert_eq!(failure(&sending.send(nowhere, message()).await), ("email_failed", true));
}
