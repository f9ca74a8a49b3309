//! Secrets through the command line, with one process and everything that it writes.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use petrel_e2e_tests::{Cli, Single, post, write_pack};
use petrel_testkit::{petrel_binary, wait_until, workspace_root};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);
/// Different enough that nothing else holds a piece of it.
const TOKEN: &str = "Zq7kV-9xR2mBwT-hunter2";
const GIVEN: &str = "Lw3nP-8tY6jKsD-correct";

const ACTION: &str = "\
name: show
runner: command
command: [./show.sh]
env: { TOKEN: \"${parameters.token}\", KEY: \"${secret.safe.key}\" }
parameters: { token: { type: string, secret: true, default: \"${secret.safe.token}\" } }
";

/// It runs until a file is there.
const HOLD: &str = "\
name: hold
runner: command
command: [./hold.sh, \"${parameters.until}\"]
env: { TOKEN: \"${parameters.token}\" }
parameters: { until: { type: string, required: true }, token: { type: string, secret: true } }
";

/// Sets a secret as people do.
fn set(cli: &Cli, name: &str, value: &str) -> Result<String> {
    let mut command = Command::new(petrel_binary()?);
    command.args(["secret", "set", name, "--api", cli.api()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("no stdin")?.write_all(value.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    ensure!(!said.contains(value.trim_end()), "it says the value");
    Ok(said)
}

pub fn master_key(path: &Path, text: &str) -> Result<String> {
    std::fs::write(path, text)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(path.display().to_string())
}

/// Files under a folder that hold a text.
pub fn holding(folder: &Path, text: &str, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            holding(&path, text, found)?;
        } else if path.is_file() && std::fs::read(&path)?.windows(text.len()).any(|part| part == text.as_bytes()) {
            found.push(path);
        }
    }
    Ok(())
}

/// Variables that the engine of the process in this folder was started with. Only root is shown them: it is not dumpable.
fn engine_environment(folder: &Path) -> Result<Vec<String>> {
    let folder = folder.canonicalize()?;
    for entry in std::fs::read_dir("/proc")? {
        let process = entry?.path();
        // Others' processes, and those that end meanwhile, are none.
        let (Ok(cwd), Ok(line)) = (process.join("cwd").read_link(), std::fs::read(process.join("cmdline"))) else {
            continue;
        };
        if cwd == folder && line.split(|byte| *byte == 0).nth(1) == Some(b"clickhouse") {
            let variables = std::fs::read(process.join("environ"))?;
            let variables = variables.split(|byte| *byte == 0).map(|one| String::from_utf8_lossy(one).into_owned());
            return Ok(variables.collect());
        }
    }
    anyhow::bail!("no engine runs in {}", folder.display())
}

#[test]
fn no_value_of_a_secret_is_written_anywhere() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let key = master_key(&dir.path().join("master.key"), "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n")?;
    let mut petrel = Single::prepare(
        dir.path(),
        &[],
        &[("PETREL_SECRETS__MASTER_KEY_FILE", &key), ("PETREL_LOG__FILTER", "debug")],
    )?;
    petrel.up()?;
    let cli = petrel.cli().clone();
    let own = |name: &&String| name.starts_with("PETREL_") && !name.starts_with("PETREL_CLICKHOUSE_");
    if std::fs::metadata("/proc/self")?.uid() == 0 {
        assert_eq!(engine_environment(dir.path())?.iter().filter(own).collect::<Vec<_>>(), [""; 0]);
    }
    let script = "#!/bin/sh\necho \"$TOKEN $KEY\"; printf '%s' \"$TOKEN\" | base64; echo \"$KEY\" >&2; exit 5\n";
    let hold = "#!/bin/sh\nwhile [ ! -e \"$1\" ]; do sleep 0.05; done; echo \"$TOKEN\"\n";
    let files = [
        ("pack.yaml", "name: safe\nversion: 1.0.0\n"),
        ("actions/show.yaml", ACTION),
        ("actions/show.sh", script),
        ("actions/hold.yaml", HOLD),
        ("actions/hold.sh", hold),
    ];
    cli.run(&["pack", "apply", &write_pack(dir.path(), "safe", &files)?.display().to_string()])?;

    assert_eq!(set(&cli, "safe.key", "1234567")?.matches("at least 8 bytes").count(), 1);
    assert_eq!(set(&cli, "safe.key", &format!("{TOKEN}-key\n"))?, "safe.key is set, version 1\n");
    let missing = cli.output(&["action", "run", "safe.show", "--wait", "-o", "json"])?;
    let missing: Value = serde_json::from_slice(&missing.stdout)?;
    assert_eq!((&missing["status"], &missing["code"]), (&json!("failed"), &json!("secret_missing")));
    set(&cli, "safe.token", TOKEN)?;

    // By name, with a value for this execution alone, and over the API.
    let by_name = cli.output(&["action", "run", "safe.show", "--wait", "-o", "json"])?;
    let by_name: Value = serde_json::from_slice(&by_name.stdout)?;
    assert_eq!(by_name["parameters"], json!({"token": "${secret.safe.token}"}));
    let call = |action: &str, key: &str, parameters: Value| {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        let url = format!("{}/v1/actions/{action}/run", cli.api());
        post(&url, &headers, json!({ "parameters": parameters }).to_string())
    };
    let run = |key: &str, token: &str| call("safe.show", key, json!({ "token": token }));
    let answer = run("one", GIVEN)?;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let id = serde_json::from_str::<Value>(&answer.body)?["execution_id"].as_str().unwrap_or_default().to_owned();
    let rows = format!(
        "SELECT stream, content FROM execution_output WHERE execution_id IN ('{id}', '{}') ORDER BY stream, content",
        by_name["execution_id"].as_str().unwrap_or_default()
    );
    wait_until("the output is in SQL", SOON, || cli.sql(&rows).is_ok_and(|rows| rows.len() == 4));
    for row in cli.sql(&rows)? {
        let content = row["content"].as_str().unwrap_or_default();
        let wanted = if row["stream"] == "stderr" { "********\n" } else { "******** ********\n********" };
        assert!(content.starts_with(wanted), "{content}");
    }
    // On the command line it is warned of, and nothing is taken from a file that would be shown.
    let warned = cli.output(&["action", "run", "safe.show", &format!("token={GIVEN}")])?;
    let said = String::from_utf8_lossy(&warned.stderr).into_owned();
    assert!(warned.status.success() && said.contains("--secret token=FILE") && !said.contains(GIVEN), "{said}");
    let file = master_key(&dir.path().join("given"), "no-secret-at-all")?;
    let shown = cli.output(&["action", "run", "safe.hold", "--secret", &format!("until={file}")])?;
    assert!(!shown.status.success() && String::from_utf8_lossy(&shown.stderr).contains("would be shown"));
    // The same key with another value is another request, and refused while what was given is there.
    let gate = dir.path().join("gate");
    let hold = |token: &str| call("safe.hold", "held", json!({ "until": gate, "token": token }));
    let (first, again, changed) = (hold(GIVEN)?, hold(GIVEN)?, hold("another value of it")?);
    assert_eq!((first.status, again.status, &first.body), (202, 202, &again.body));
    assert_eq!(changed.status, 422, "{}", changed.body);
    assert!(changed.body.contains("idempotency_key_reused") && !changed.body.contains("another value of it"));
    std::fs::write(&gate, "")?;
    let held = serde_json::from_str::<Value>(&first.body)?["execution_id"].as_str().unwrap_or_default().to_owned();
    let ended = || cli.json(&["execution", "get", &held]).is_ok_and(|shown| shown["status"] == "succeeded");
    wait_until("the held one has ended", SOON, ended);
    // Once it is over nobody keeps another value, and the answer is the same execution.
    let over = hold("another value of it")?;
    assert_eq!((over.status, &over.body), (202, &first.body));
    let other = run("two", "short")?;
    assert_eq!(other.status, 422);
    assert!(other.body.contains("at least 8 bytes") && !other.body.contains("short\""), "{}", other.body);
    let named = run("three", "${secret.safe.nothing}")?;
    assert!(named.status == 422 && named.body.contains("there is no secret safe.nothing"), "{}", named.body);

    // Another master key, and everything opens still.
    petrel.down()?;
    let newer = master_key(&dir.path().join("newer.key"), "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=")?;
    let earlier = format!("[{key}]");
    let keys =
        [("PETREL_SECRETS__MASTER_KEY_FILE", newer.as_str()), ("PETREL_SECRETS__EARLIER_MASTER_KEY_FILES", &earlier)];
    let mut petrel = Single::prepare(dir.path(), &[], &keys)?;
    petrel.up()?;
    let cli = petrel.cli().clone();
    assert_eq!(cli.json(&["secret", "rotate", "--master"])?["problems"], json!([]));
    petrel.down()?;
    let mut petrel = Single::prepare(dir.path(), &[], &keys[..1])?;
    petrel.up()?;
    let cli = petrel.cli().clone();
    let listed = cli.json(&["secret", "list"])?;
    let secrets = listed["secrets"].as_array().or(listed.as_array()).cloned().unwrap_or_default();
    assert!(secrets.len() == 2 && secrets.iter().all(|one| one["problem"].is_null()), "{listed}");
    let opened = cli.output(&["action", "run", "safe.show", "--wait", "-o", "json"])?;
    let opened: Value = serde_json::from_slice(&opened.stdout)?;
    assert_eq!(opened["return_code"], 5, "{opened}");
    petrel.down()?;

    // The logs of the process, the log of topics, the tables of the engine, the caches: nothing holds a value.
    let mut found = Vec::new();
    for text in [TOKEN, GIVEN, "another value of it", "9xR2mBwT", "WnE3a1YtOXhSMm1Cd1Q", "TTBhd"] {
        holding(dir.path(), text, &mut found)?;
    }
    ensure!(found.is_empty(), "a value stands in {found:?}");
    Ok(())
}

/// A block of a page: what stands behind its fence, and its lines.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            let inside: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((kind.to_owned(), inside.join("\n") + "\n"));
        }
    }
    blocks
}

/// Runs the commands of a block, each behind a `$`, and compares what they say; `…` stands for anything.
fn console(dir: &Path, block: &str, api: Option<&str>) -> Result<()> {
    for step in format!("\n{block}").split("\n$ ").skip(1) {
        let (line, wanted) = step.split_once('\n').unwrap_or((step, ""));
        if line.starts_with("petrel sql") {
            // The audit trail is a moment behind.
            wait_until(line, SOON, || said_as_wanted(dir, line, wanted, api).is_ok());
        } else {
            said_as_wanted(dir, line, wanted, api)?;
        }
    }
    Ok(())
}

fn said_as_wanted(dir: &Path, line: &str, wanted: &str, api: Option<&str>) -> Result<()> {
    let mut command = Command::new("sh");
    let binary = petrel_binary()?;
    let path = format!("{}:{}", binary.parent().context("no folder")?.display(), std::env::var("PATH")?);
    command.args(["-c", line]).current_dir(dir).env("PATH", path).envs(api.map(|api| ("PETREL_API", api)));
    let output = command.output()?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let mut rest = said.as_str();
    for piece in wanted.trim_end().split('…').map(str::trim) {
        let at = rest.find(piece).with_context(|| format!("$ {line}\nsays\n{said}\nand not\n{wanted}"))?;
        rest = &rest[at + piece.len()..];
    }
    Ok(())
}

#[test]
fn the_examples_of_the_page_about_secrets_work() -> Result<()> {
    let page = std::fs::read_to_string(workspace_root().join("docs/SECRETS.md"))?;
    let dir = tempfile::tempdir()?;
    let mut petrel: Option<Single> = None;
    let mut ran = 0;
    for (kind, block) in blocks(&page) {
        if kind == "console" {
            let api = petrel.as_ref().map(|petrel| petrel.cli().api().to_owned());
            console(dir.path(), &block, api.as_deref())?;
            ran += 1;
        } else {
            let path =
                block.lines().next().and_then(|line| line.strip_prefix("# ")).context("a file without a name")?;
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().context("no folder")?)?;
            let text = if kind == "sh" { format!("#!/bin/sh\n{block}") } else { block };
            std::fs::write(&path, text)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        }
        if petrel.is_none() {
            // The first block makes the master key.
            let key = dir.path().join("master.key").display().to_string();
            let mut started = Single::prepare(dir.path(), &[], &[("PETREL_SECRETS__MASTER_KEY_FILE", &key)])?;
            started.up()?;
            petrel = Some(started);
        }
    }
    assert!(ran >= 5, "{ran} blocks ran");
    petrel.context("no server")?.down()
}
