//! Secrets of actions, with real processes: they reach the command and nothing that is written down.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::support::rig::{Rig, eventually, lines};

/// Different enough that no other text of the log holds a piece of it.
const TOKEN: &str = "Zq7#kV \"9xR/2mB+wT";
const KEY: &str = "4pLd-WsN8-yHc3-jGf6";

fn rig() -> Rig {
    Rig::with_secrets(30_000, vec![("demo.token", TOKEN), ("demo.key", KEY)])
}

/// Nothing in the log is a secret, in any form in which the commands below write it.
fn assert_clean(rig: &Rig) {
    let log = rig.log();
    let forms = [TOKEN, KEY, "Zq7#kV", "WsN8-yHc3", "Zq7\\u0023", "cTcja1Yg", "NHBMZC1Xc04", "Zq7%23kV"];
    for form in forms {
        assert!(!log.windows(form.len()).any(|part| part == form.as_bytes()), "{form} stands in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_reaches_the_command_and_is_masked_in_all_that_it_writes() {
    let rig = rig();
    let (owner, worker) = (rig.owner(), rig.worker(2, 10_000));
    let seen = rig.dir.path().join("seen");
    let name = "${secret.demo.token}";
    // Raw, in two writes, in base64 at all alignments and folded, URL-encoded, as JSON, on both streams.
    let line = format!(
        "printf '%s\\n%s\\n' \"$TOKEN\" \"$KEY\" > {}; echo \"raw: $TOKEN\"; \
         printf 'split: %s' \"${{TOKEN%kV*}}\"; sleep 0.1; printf '%s.\\n' \"kV${{TOKEN#*kV}}\"; \
         for b in '' a ab; do printf '%s%s' \"$b\" \"$TOKEN\" | base64 -w 11; done; \
         printf '%s' \"$KEY\" | base64 >&2; echo 'url: Zq7%23kV%20%229xR%2F2mB%2BwT' >&2; \
         echo '{{\"json\": \"Zq7#kV \\\"9xR\\/2mB+wT\"}}' >&2; exit 3",
        seen.display()
    );
    rig.request_with("out", "demo.secret", &json!({ "line": line, "token": name }));
    rig.until("out", "failed").await;
    assert_eq!(lines(&seen), [TOKEN.to_owned(), format!("Bearer {KEY}")], "the command has them");
    let output = rig.output("out");
    assert!(output[0].content.starts_with("raw: ********\nsplit: ********.\n"), "{}", output[0].content);
    assert!(output[1].content.contains("url: ********\n{\"json\": \"********\"}"), "{}", output[1].content);
    let history = rig.history("out");
    assert!(history.iter().all(|row| row.parameters.contains(name)), "its name travels: {history:?}");
    // Without the lines that hold what the command is to write, for they are parameters of this test.
    worker.shutdown().await;
    tokio::task::spawn_blocking(|| owner.shutdown()).await.unwrap();
    for content in output.iter().map(|row| &row.content) {
        for form in [TOKEN, KEY, "9xR/2mB", "9xR%2F", "Zq7", "NHBMZC1Xc04", "cTcja1Yg", "WnE3I2tW", "pxNyNrViA"] {
            assert!(!content.contains(form), "{form} stands in {content}");
        }
    }
}

const CUT: &str = "head -c 505 /dev/zero | tr '\\0' x; printf '%s' \"$TOKEN\"; head -c 3000 /dev/zero; \
                   printf '%s' \"$TOKEN\"; head -c 505 /dev/zero | tr '\\0' y";

#[tokio::test(flavor = "multi_thread")]
async fn whatever_python_code_tells_of_a_secret_is_masked() {
    let rig = rig();
    let (owner, worker) = (rig.owner(), rig.worker(2, 50));
    for (line, status) in [("returns", "succeeded"), ("fails", "failed"), ("exits", "failed"), ("raises", "failed")] {
        rig.request_with(line, "demo.python", &json!({ "line": line, "token": "${secret.demo.token}" }));
        rig.until(line, status).await;
        let output = rig.output(line);
        assert!(output[0].content.contains("********"), "{}", output[0].content);
    }
    let ended = rig.history("raises").pop().unwrap();
    assert_eq!(ended.error.as_deref(), Some("ValueError: ******** and ********"));
    worker.shutdown().await;
    tokio::task::spawn_blocking(|| owner.shutdown()).await.unwrap();
    assert_clean(&rig);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_secret_stands_in_the_log_whatever_becomes_of_the_attempt() {
    let rig = rig();
    let (owner, worker) = (rig.owner(), rig.worker(4, 50));
    let token = "${secret.demo.token}";
    let ends = [
        ("fails", "echo $TOKEN $KEY; echo $TOKEN >&2; exit 7", "failed"),
        ("works", "echo $KEY; echo $TOKEN", "succeeded"),
        // Cut in the middle of it on both sides: its beginning stands before what is left out, and its end behind that.
        ("cut", CUT, "succeeded"),
    ];
    for (id, line, status) in ends {
        rig.request_with(id, "demo.secret", &json!({ "line": line, "token": token }));
        rig.until(id, status).await;
    }
    let cut = &rig.output("cut")[0];
    // What is told of it is cut once more, behind its masking.
    assert!(cut.truncated && cut.content.ends_with("x*******"), "{}", cut.content);
    assert!(cut.tail.starts_with("*******y") && cut.omitted_bytes > 3_000, "{}", cut.tail);
    // What it leaves behind is ended in the middle of it, though it has ended well itself.
    let line = "printf 'x%s' \"${TOKEN%kV*}\"; sleep 600 & exit 0";
    rig.request_with("leaves", "demo.secret", &json!({ "line": line, "token": token }));
    rig.until("leaves", "succeeded").await;
    assert_eq!(rig.output("leaves")[0].content, "x********");
    // Ended in the middle of it.
    let written = rig.dir.path().join("written");
    let line = format!("printf 'x%s' \"${{TOKEN%kV*}}\"; touch {}; exec sleep 600", written.display());
    rig.request_with("canceled", "demo.secret", &json!({ "line": line, "token": token }));
    eventually("it is written", || written.exists()).await;
    rig.cancel("canceled");
    rig.until("canceled", "canceled").await;
    assert_eq!(rig.output("canceled")[0].content, "x********");
    // One that is stopped hands over what it had written.
    rig.request_with("stops", "demo.secret", &json!({ "line": "echo $TOKEN; exec sleep 600", "token": token }));
    rig.until("stops", "running").await;
    worker.shutdown().await;
    rig.until("stops", "scheduled").await;
    assert_clean(&rig);
    tokio::task::spawn_blocking(|| owner.shutdown()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_missing_fails_the_attempt_with_its_name() {
    let rig = Rig::with_secrets(30_000, vec![("demo.key", KEY)]);
    let (owner, worker) = (rig.owner(), rig.worker(2, 10_000));
    let log = rig.dir.path().join("log");
    let line = format!("echo ran >> {}", log.display());
    let end = async |id: &str, token: &str| {
        rig.request_with(id, "demo.secret", &json!({ "line": line, "token": token }));
        rig.until(id, "failed").await;
        let end = rig.history(id).pop().unwrap();
        (end.code.unwrap_or_default(), end.error.unwrap_or_default())
    };
    let (code, error) = end("missing", "${secret.demo.token}").await;
    assert_eq!(code, "secret_missing");
    assert!(error.contains("there is no secret demo.token: `petrel secret set demo.token` sets it"), "{error}");
    let (code, error) = end("gone", "${secret.execution.token}").await;
    assert_eq!(code, "secret_missing");
    assert!(error.contains("what was given to the execution for token is not kept any more"), "{error}");
    let (code, error) = end("value", "a value itself").await;
    assert_eq!(code, "invalid_parameters");
    assert!(!error.contains("a value"), "{error}");
    assert!(lines(&log).is_empty(), "nothing was started");
    worker.shutdown().await;
    tokio::task::spawn_blocking(|| owner.shutdown()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_whose_worker_cannot_read_the_secrets_is_given_back_until_one_can() {
    let rig = rig();
    let (owner, worker) = (rig.owner(), rig.worker(2, 10_000));
    let log = rig.dir.path().join("log");
    rig.secrets.unread.store(2, Ordering::Relaxed);
    let line = format!("echo ran >> {}", log.display());
    rig.request_with("later", "demo.secret", &json!({ "line": line, "token": "${secret.demo.token}" }));
    rig.until("later", "succeeded").await;
    assert_eq!(lines(&log), ["ran"]);
    let given_back = rig.history("later").iter().filter(|row| row.code.as_deref() == Some("handed_over")).count();
    assert_eq!(given_back, 2);
    // While it waits it can be canceled.
    rig.secrets.hangs.store(true, Ordering::Relaxed);
    rig.request_with("waits", "demo.secret", &json!({ "line": line, "token": "${secret.demo.token}" }));
    rig.until("waits", "running").await;
    rig.cancel("waits");
    rig.until("waits", "canceled").await;
    assert_eq!(lines(&log), ["ran"]);
    worker.shutdown().await;
    tokio::task::spawn_blocking(|| owner.shutdown()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_part_of_a_structured_secret_is_masked() {
    let account = r#"{"user": "operator", "keys": ["Tb5-first-key", 1234567890]}"#;
    let rig = Rig::with_secrets(30_000, vec![("demo.account", account), ("demo.kim", r#"{"user": "kim"}"#)]);
    let (owner, worker) = (rig.owner(), rig.worker(2, 10_000));
    let line = "echo \"$USER, $KEYS\"; echo $KEYS | tr -d '[]\"' | tr , '\\n'; echo $KEYS | base64; exit 3";
    rig.request_with("parts", "demo.account", &json!({ "line": line, "account": "${secret.demo.account}" }));
    rig.until("parts", "failed").await;
    let output = &rig.output("parts")[0].content;
    assert!(output.starts_with("********, [\"********\",********]\n********\n********\n"), "{output}");
    let log = rig.log();
    for form in ["operator", "Tb5-first", "1234567890", "VGI1LWZpcnN0"] {
        assert!(!log.windows(form.len()).any(|part| part == form.as_bytes()), "{form} stands in the log");
    }
    // A part that could not be masked is not handed out.
    rig.request_with("short", "demo.account", &json!({ "line": "exit 3", "account": "${secret.demo.kim}" }));
    rig.until("short", "failed").await;
    let end = rig.history("short").pop().unwrap();
    assert_eq!(end.code.as_deref(), Some("secret_unusable"));
    let error = end.error.unwrap_or_default();
    assert!(error.contains("secret demo.kim, given for \"account\"") && error.contains("at least 8 bytes"), "{error}");
    worker.shutdown().await;
    tokio::task::spawn_blocking(|| owner.shutdown()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_looks_like_a_name_elsewhere_is_text() {
    let rig = rig();
    let (owner, worker) = (rig.owner(), rig.worker(2, 10_000));
    let log = rig.dir.path().join("log");
    // As if an event had said so, which a rule hands on.
    let line = format!("cat > {} <<'END'\n${{secret.demo.token}}\nEND", log.display());
    rig.request_with("text", "demo.secret", &json!({ "line": line, "token": "${secret.demo.token}" }));
    rig.until("text", "succeeded").await;
    assert_eq!(lines(&log), ["${secret.demo.token}"]);
    worker.shutdown().await;
    tokio::task::spawn_blocking(|| owner.shutdown()).await.unwrap();
}

/// Whoever may look into a supervisor, or into a guard, finds neither the worker's variables nor a secret that they handed to
/// an action.
#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_and_its_guards_show_no_variable_and_no_secret() {
    let rig = rig();
    let (owner, worker) = (rig.owner(), rig.worker(1, 10_000));
    assert!(std::env::vars().count() > 0, "there is something to inherit");
    let written = rig.dir.path().join("written");
    let line = format!("test \"$TOKEN\" && touch {}; exec sleep 600", written.display());
    rig.request_with("env", "demo.secret", &json!({ "line": line, "token": "${secret.demo.token}" }));
    eventually("it runs", || written.exists()).await;
    let watchers = watchers();
    assert!(watchers.len() >= 2, "a supervisor and a guard: {watchers:?}");
    for (pid, shown) in watchers {
        assert_eq!(shown, "", "process {pid}");
    }
    rig.cancel("env");
    rig.until("env", "canceled").await;
    worker.shutdown().await;
    tokio::task::spawn_blocking(|| owner.shutdown()).await.unwrap();
}

/// The supervisors and guards beneath this process, with their environments, and their arguments if these hold a secret.
/// Where they show their environment to nobody, it is empty.
fn watchers() -> Vec<(u32, String)> {
    let arguments = |pid| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut watchers = Vec::new();
    let mut parents = vec![std::process::id()];
    while let Some(parent) = parents.pop() {
        for task in std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten() {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            for pid in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
                parents.push(pid);
                let before = arguments(pid);
                let mut shown = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap_or_default();
                // A guard's child is one until it executes its action.
                if !before.contains("petrel-supervise") || arguments(pid) != before {
                    continue;
                }
                if [TOKEN, KEY].iter().any(|secret| before.contains(secret)) {
                    shown.push_str(&before);
                }
                watchers.push((pid, shown));
            }
        }
    }
    watchers
}
