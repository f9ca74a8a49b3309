//! The runner `email` against a server of mail that others wrote (the package smtp-server of npm), which reads messages
//! with a parser that others wrote.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use petrel_execution::worker::Why;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::asking::failure;
use crate::certificates::Certificates;
use crate::email::Sending;

/// Nothing here takes that long unless it hangs.
const LIMIT: Duration = Duration::from_secs(30);

struct Real {
    _process: Child,
    told: Lines<BufReader<ChildStdout>>,
    port: u64,
}

impl Real {
    async fn start(made: &Certificates, kind: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let packages: PathBuf = root.join("target/dev/smtp");
        let is_there = packages.join("node_modules/smtp-server").is_dir();
        assert!(is_there, "there is no server of mail in target/dev/smtp: run cargo xtask deps --smtp");
        let mut node = Command::new("node");
        node.arg(root.join("deploy/dev/smtp/serve.mjs")).arg(made.path().join("server.key"));
        node.arg(made.path().join("server.pem")).arg(kind).current_dir(packages);
        let mut process = node.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let told = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut real = Self { _process: process, told, port: 0 };
        real.port = real.next().await["port"].as_u64().unwrap();
        real
    }

    /// What it tells next.
    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(LIMIT, self.told.next_line()).await.expect("it says nothing").unwrap();
        serde_json::from_str(&line.expect("it has ended")).unwrap()
    }
}

#[tokio::test]
async fn a_server_of_others_takes_what_is_sent_and_reads_what_was_meant() {
    let made = Certificates::make();
    for kind in ["starttls", "tls"] {
        let mut real = Real::start(&made, kind).await;
        let way = json!({
            "host": "127.0.0.1", "port": real.port, "security": kind, "ca": made.text("ca.pem"),
            "auth": { "username": "petrel", "password": "s3cret" },
        });
        let subject = "größer als 90 % – und noch viel mehr, so dass es nicht in ein Wort passt: 日本語の件名もある";
        let message = json!({
            "from": "\"Petrel, der Vogel\" <petrel@example.com>",
            "to": ["Jörg <joerg@example.com>", "ann@example.com"],
            "bcc": "eve@example.com",
            "subject": subject,
            "text": "eins\n.\n..zwei\r\nFrom drei\nä",
            "html": "<p>größer</p>",
        });
        let exit = Sending::new().send(way.clone(), message.clone()).await;
        assert_eq!(exit.why, Why::Succeeded, "{exit:?}");
        let mail = real.next().await;
        assert_eq!(
            (&mail["subject"], &mail["secure"], &mail["user"]),
            (&json!(subject), &json!(true), &json!("petrel"))
        );
        assert_eq!(mail["text"], "eins\n.\n..zwei\nFrom drei\nä");
        assert_eq!(mail["html"].as_str().map(str::trim_end), Some("<p>größer</p>"));
        assert_eq!(mail["from"], "\"Petrel, der Vogel\" <petrel@example.com>");
        assert_eq!(mail["to"], "\"Jörg\" <joerg@example.com>, ann@example.com");
        assert_eq!(
            (&mail["messageId"], &mail["date"]),
            (&json!("<e-1@example.com>"), &json!("1994-11-06T08:49:37.000Z"))
        );
        assert_eq!(mail["recipients"], json!(["joerg@example.com", "ann@example.com", "eve@example.com"]));
        assert_eq!(mail["sender"], "petrel@example.com");

        let nobody =
            json!({ "from": "a@x.org", "to": ["ann@example.com", "nobody@x.org"], "subject": "s", "text": "t" });
        let exit = Sending::new().send(way.clone(), nobody).await;
        assert!(failure(&exit) == ("email_refused", false) && exit.error.unwrap().contains("nobody is called so"));
        let mut wrong = way;
        wrong["auth"]["password"] = json!("other");
        let exit = Sending::new().send(wrong, message).await;
        assert_eq!(failure(&exit), ("email_refused", false));
    }
}
