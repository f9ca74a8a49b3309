//! What hosts write is told while they write it.

use std::sync::{Arc, Mutex};

use petrel_bus::sim::SimClock;
use petrel_bus::{Output, Publisher, Receipt, receipt};
use petrel_execution::worker::Why;
use petrel_executor::live::{LiveOptions, LiveOutput};
use petrel_schemas::{OutputChunk, Task, decode};
use petrel_secrets::{Mask, SecretValue};
use serde_json::json;
use tokio::sync::watch;

use crate::asking::{Asking, CANCEL, eventually, holding, task};
use crate::sshd::Servers;

/// A log that keeps chunks.
#[derive(Default)]
struct Log(Mutex<Vec<OutputChunk>>);

impl Publisher for Log {
    fn publish(&self, outputs: Vec<Output>) -> Receipt {
        let chunk = |output: &Output| decode::<OutputChunk>(output.value.as_deref().unwrap()).unwrap();
        self.0.lock().unwrap().extend(outputs.iter().map(chunk));
        let (acknowledge, receipt) = receipt();
        acknowledge.send(Ok(Vec::new())).unwrap();
        receipt
    }
}

impl Log {
    /// Text of a stream, with what was left out.
    fn told(&self, stream: &str) -> String {
        let (mut text, mut at) = (String::new(), 0);
        for chunk in self.0.lock().unwrap().iter().filter(|chunk| chunk.stream == stream) {
            if chunk.offset > at {
                text += &format!("<{}>", chunk.offset - at);
            }
            text += &String::from_utf8_lossy(&chunk.bytes);
            at = chunk.offset + chunk.bytes.len() as i64;
        }
        text
    }

    fn has_ended(&self) -> bool {
        self.0.lock().unwrap().last().is_some_and(|chunk| chunk.is_last)
    }
}

fn asking(mask: Mask, options: LiveOptions) -> (Asking, Arc<Log>) {
    let (log, mask) = (Arc::new(Log::default()), Arc::new(mask));
    let output = LiveOutput {
        options: LiveOptions { flush_ms: 20, ..options },
        publisher: log.clone(),
        clock: SimClock::at(5),
        topic: "petrel.output".into(),
    };
    let task = Task { timeout_ms: 30_000, ..task() };
    let live = output.attempt(&task, &mask);
    (Asking { live, mask, ..Asking::new() }, log)
}

#[tokio::test]
async fn what_one_host_writes_is_told_before_the_command_ends() {
    let servers = Servers::start(1);
    let (asking, log) = asking(Mask::NOTHING, LiveOptions::default());
    let flag = servers.path("flag");
    let script =
        format!("printf begun; echo oops >&2; while [ ! -e {} ]; do sleep 0.05; done; echo '. done'", flag.display());
    let keys = json!({
        "hosts": servers.names(), "ssh": servers.ssh(), "command": ["sh", "-c", script],
        "download": [servers.path("id.pub").display().to_string()],
    });
    let seen = async {
        eventually("it is told while it runs", || log.told("stdout") == "begun" && log.told("stderr") == "oops\n")
            .await;
        assert!(!log.has_ended());
        std::fs::write(&flag, "").unwrap();
    };
    let (exit, ()) = tokio::join!(asking.ask(keys), seen);
    assert_eq!(exit.why, Why::Succeeded, "{exit:?}");
    eventually("the end is told", || log.has_ended()).await;
    // A file that is fetched is no output.
    assert_eq!((log.told("stdout"), log.told("stderr")), ("begun. done\n".to_owned(), "oops\n".to_owned()));
}

#[tokio::test]
async fn what_several_write_is_told_in_lines_of_theirs_without_secrets() {
    const TOKEN: &str = "Zq7kV-9xR2mBwT\nKp4sY-3uN8cDfL";
    let servers = Servers::start(2);
    let mask = Mask::new([&SecretValue::new(TOKEN.to_owned()).unwrap()]);
    let (asking, log) = asking(mask, LiveOptions::default());
    let script = "for n in 1 2 3; do printf 'half '; sleep 0.2; echo \"line $n\"; done; \
                  printf '%s' \"$TOKEN\" | while IFS= read -r part || [ -n \"$part\" ]; do echo \"$part\"; sleep 0.2; done; \
                  echo err >&2; printf 'no end'";
    let keys = json!({
        "hosts": servers.names(), "ssh": servers.ssh(), "env": { "TOKEN": TOKEN }, "command": ["sh", "-c", script],
    });
    let exit = asking.ask(keys).await;
    assert_eq!(exit.why, Why::Succeeded, "{exit:?}");
    eventually("the end is told", || log.has_ended()).await;
    let (stdout, stderr) = (log.told("stdout"), log.told("stderr"));
    for name in servers.names() {
        let own = |text: &str| -> Vec<String> {
            text.lines().filter_map(|line| line.strip_prefix(&format!("{name}: "))).map(str::to_owned).collect()
        };
        let lines = own(&stdout);
        assert_eq!(lines[..3], ["half line 1", "half line 2", "half line 3"], "{stdout}");
        assert_eq!(
            (lines.last().map(String::as_str), own(&stderr)),
            (Some("no end"), vec!["err".to_owned()]),
            "{stdout}"
        );
    }
    let is_labelled = |line: &str| servers.names().iter().any(|name| line.starts_with(&format!("{name}: ")));
    assert!(stdout.lines().all(is_labelled), "{stdout}");
    assert!(!stdout.contains("Zq7kV") && !stdout.contains("Kp4sY"), "{stdout}");
}

#[tokio::test]
async fn more_than_is_told_leaves_a_gap_and_what_is_stopped_ends_there() {
    let servers = Servers::start(2);
    let (asking, log) = asking(Mask::NOTHING, LiveOptions { attempt_bytes_max: 4_000, ..LiveOptions::default() });
    let (director, held) = watch::channel(holding(60_000));
    let (go, done) = (servers.path("go"), servers.path("done"));
    let script = format!(
        "echo first; while [ ! -e {} ]; do sleep 0.05; done; head -c 100000 /dev/zero | tr '\\0' x; : > {}.$$$$; sleep 300",
        go.display(),
        done.display()
    );
    let keys = json!({ "hosts": servers.names(), "ssh": servers.ssh(), "command": ["sh", "-c", script] });
    let written = || {
        let entries = std::fs::read_dir(go.parent().unwrap()).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("done.")).count()
    };
    let cancel = async {
        eventually("both have begun", || log.told("stdout").matches("first").count() == 2).await;
        std::fs::write(&go, "").unwrap();
        eventually("both have written", || written() == 2).await;
        director.send_modify(|h| h.order(CANCEL));
    };
    let (exit, ()) = tokio::join!(asking.ask_held(keys, held), cancel);
    assert_eq!(exit.why, Why::Stopped);
    eventually("the end is told", || log.has_ended()).await;
    let told = log.told("stdout");
    let without_gaps: usize =
        told.split('<').map(|part| part.split_once('>').map_or(part, |(_, rest)| rest).len()).sum();
    assert!(told.contains('<') && without_gaps <= 4_000, "{without_gaps}");
    assert_eq!(asking.left(), [0; 0]);
}
