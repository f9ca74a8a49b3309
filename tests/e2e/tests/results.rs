//! Results that are too large for the log: put into the store of objects, fetched, and looked at.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use petrel_e2e_tests::{Cli, Single, get, post, write_pack};
use petrel_testkit::{poll_until, wait_until};
use serde_json::{Value, json};

use crate::secrets::{holding, master_key};

const SOON: Duration = Duration::from_secs(60);
const TOKEN: &str = "Zq7kV-9xR2mBwT-hunter2";
/// Rows of about a hundred bytes: three megabytes.
const ROWS: usize = 30_000;

/// Its result has the token in every thousandth row.
const LIST: &str = "\
name: list
runner: command
command: [awk, 'BEGIN { printf \"{\\\"rows\\\":[\"; for (i = 0; i < ENVIRON[\"ROWS\"]; i++) { \
printf \"%s{\\\"id\\\":%d,\\\"text\\\":\\\"%080d\\\"%s}\", (i ? \",\" : \"\"), i, i, \
(i % 1000 ? \"\" : \",\\\"token\\\":\\\"\" ENVIRON[\"TOKEN\"] \"\\\"\") }; print \"]}\" }']
env: { ROWS: \"${parameters.rows}\", TOKEN: \"${parameters.token}\" }
output:
  format: json
  bytes_max: 8388608
  schema: { type: object, required: [rows], properties: { rows: { type: array } } }
  extract: { count: size(result.rows), last: 'result.rows[size(result.rows) - 1].id', token: 'result.rows[0].token' }
parameters:
  rows: { type: integer, required: true }
  token: { type: string, secret: true, required: true }
";

/// It says what looks like a reference.
const FORGE: &str = "\
name: forge
runner: command
command: [printf, '%s', \"${parameters.text}\"]
output: { format: json, extract: { store: result.store } }
parameters: { text: { type: string, required: true } }
";

/// Its result lacks what is taken of it.
const LACKING: &str = "\
name: lacking
runner: shell
script: echo '{\"id\":7}'
output: { extract: { id: result.id, host: result.host } }
";

/// It is given what another one resulted in.
const TALLY: &str = "\
name: tally
runner: command
command: [awk, '{ print gsub(/\"id\":/, \"\") }']
stdin: \"${parameters.list}\"
output: { format: json }
parameters:
  list: { type: object, required: true }
  note: { type: string, default: '' }
";

/// An execution that has ended, as the API tells it once the audit trail has heard of it.
fn run(cli: &Cli, action: &str, parameters: &[&str]) -> Result<Value> {
    let mut arguments = vec!["action", "run", action, "-o", "json"];
    arguments.extend(parameters);
    let asked: Value = serde_json::from_str(&cli.run(&arguments)?)?;
    let id = asked["execution_id"].as_str().context("no id")?.to_owned();
    let of = format!("SELECT count() FROM executions_latest WHERE execution_id = '{id}' AND ended_at IS NOT NULL");
    wait_until("the end is in SQL", SOON, || cli.number(&of).is_ok_and(|ends| ends == 1));
    cli.json(&["execution", "get", &id])
}

fn list(cli: &Cli, dir: &Path, rows: usize) -> Result<Value> {
    let token = dir.join("token");
    fs::write(&token, TOKEN)?;
    run(cli, "big.list", &[&format!("rows={rows}"), "--secret", &format!("token={}", token.display())])
}

/// Objects in the folder of a server.
fn objects(data: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in fs::read_dir(data.join("objects"))? {
        let folder = folder?.path();
        if folder.is_dir() {
            for file in fs::read_dir(folder)? {
                found.push(file?.path());
            }
        }
    }
    Ok(found)
}

/// The code with which the result of an execution is refused, and the status.
fn refusal(cli: &Cli, id: &str) -> Result<(u16, Value)> {
    let answer = get(&format!("{}/v1/executions/{id}/result", cli.api()))?;
    let body: Value = serde_json::from_str(&answer.body)?;
    Ok((answer.status, body["error"]["code"].clone()))
}

fn start(dir: &Path) -> Result<Single> {
    let key = master_key(&dir.join("master.key"), "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n")?;
    let petrel = Single::start(dir, &[("PETREL_SECRETS__MASTER_KEY_FILE", &key)])?;
    let files = [
        ("pack.yaml", "name: big\nversion: 1.0.0\n"),
        ("triggers/said.yaml", "name: said\nschema: { type: object, required: [text] }\n"),
        (
            "rules/said.yaml",
            "name: said\ntrigger: big.said\naction: { ref: big.forge, parameters: { text: \"${trigger.text}\" } }\n",
        ),
        ("actions/list.yaml", LIST),
        ("actions/forge.yaml", FORGE),
        ("actions/lacking.yaml", LACKING),
        ("actions/tally.yaml", TALLY),
    ];
    petrel.cli().run(&["pack", "apply", &write_pack(dir, "big", &files)?.display().to_string()])?;
    Ok(petrel)
}

#[test]
fn a_result_of_three_megabytes_is_an_object_that_is_fetched_whole_and_without_secrets() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut petrel = start(dir.path())?;
    let (cli, data) = (petrel.cli().clone(), petrel.data().to_owned());

    let listed = list(&cli, dir.path(), ROWS)?;
    assert_eq!((&listed["status"], &listed["result"]), (&json!("succeeded"), &json!("")), "{listed}");
    let id = listed["execution_id"].as_str().context("no id")?;
    let extracted: Value = serde_json::from_str(listed["extracted"].as_str().context("nothing extracted")?)?;
    assert_eq!((&extracted["count"], &extracted["last"]), (&json!(ROWS), &json!(ROWS - 1)));
    let object: Value = serde_json::from_str(listed["result_object"].as_str().context("no object")?)?;
    assert_eq!(object["media_type"], "application/json");
    ensure!(object["store"].as_str().is_some_and(|store| store.starts_with("files/")), "{object}");
    ensure!(object["bytes"].as_u64().is_some_and(|bytes| bytes > 3_000_000), "{object}");

    // The whole of it, by the command line and as a file.
    let text = cli.run(&["execution", "result", id])?;
    let result: Value = serde_json::from_str(&text)?;
    assert_eq!(result["rows"].as_array().map(Vec::len), Some(ROWS));
    assert_eq!(result["rows"][29_999]["text"], format!("{:080}", 29_999));
    assert_eq!(extracted["token"], result["rows"][0]["token"]);
    ensure!(extracted["token"].as_str().is_some_and(|shown| !shown.is_empty() && shown != TOKEN), "{extracted}");
    let file = dir.path().join("result.json");
    let name = file.display().to_string();
    cli.run(&["execution", "result", id, "--file", &name])?;
    assert_eq!(fs::read_to_string(&file)?, text);
    let again = cli.output(&["execution", "result", id, "--file", &name])?;
    ensure!(!again.status.success(), "it writes over a file that is there");

    // No token anywhere: not in the object, the log, the audit trail.
    let mut found = Vec::new();
    fs::remove_file(dir.path().join("token"))?;
    holding(dir.path(), TOKEN, &mut found)?;
    assert!(found.is_empty(), "{found:?}");

    // What somebody writes in its place is nobody's result, and what is gone is told as gone.
    let stored = objects(&data)?;
    assert_eq!(stored.len(), 1, "{stored:?}");
    let good = fs::read(&stored[0])?;
    fs::write(&stored[0], vec![b' '; good.len()])?;
    assert_eq!(refusal(&cli, id)?, (502, json!("object_damaged")));
    fs::remove_file(&stored[0])?;
    assert_eq!(refusal(&cli, id)?, (410, json!("object_gone")));

    // A store that takes nothing fails no execution, and it is told.
    fs::remove_dir_all(data.join("objects"))?;
    fs::write(data.join("objects"), "")?;
    let left_out = list(&cli, dir.path(), ROWS)?;
    assert_eq!((&left_out["status"], &left_out["code"]), (&json!("succeeded"), &json!("result_not_stored")));
    assert_eq!((&left_out["result"], &left_out["result_object"]), (&json!(""), &json!("")));
    let id = left_out["execution_id"].as_str().context("no id")?;
    assert_eq!(refusal(&cli, id)?, (404, json!("no_result")));
    let extracted: Value = serde_json::from_str(left_out["extracted"].as_str().context("nothing extracted")?)?;
    assert_eq!(extracted["count"], json!(ROWS));
    fs::remove_file(data.join("objects"))?;
    let listed = list(&cli, dir.path(), ROWS)?;
    assert_eq!((&listed["code"], objects(&data)?.len()), (&json!(""), 1));
    cli.reconciles()?;
    petrel.down()
}

#[test]
fn what_looks_like_a_reference_is_a_value_and_what_is_taken_has_to_be_there() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut petrel = start(dir.path())?;
    let (cli, data) = (petrel.cli().clone(), petrel.data().to_owned());
    let small = list(&cli, dir.path(), 3)?;
    let id = small["execution_id"].as_str().context("no id")?;
    assert_eq!((&small["status"], &small["result_object"]), (&json!("succeeded"), &json!("")), "{small}");
    let inline: Value = serde_json::from_str(&cli.run(&["execution", "result", id])?)?;
    assert_eq!(inline["rows"][2]["id"], 2);
    ensure!(!data.join("objects").exists(), "a small result is an object");

    // Somebody who knows what an object is called, and writes it into an event.
    let listed = list(&cli, dir.path(), ROWS)?;
    let reference = listed["result_object"].as_str().context("no object")?;
    cli.run(&["event", "send", "big.said", &json!({ "text": reference }).to_string()])?;
    let of_rule = "SELECT execution_id, status, result, result_object, extracted FROM executions_latest \
                   WHERE rule = 'big.said' AND ended_at IS NOT NULL";
    let rows = poll_until(SOON, || cli.sql(of_rule).ok().filter(|rows| rows.len() == 1)).context("it did not end")?;
    assert_eq!((&rows[0]["status"], &rows[0]["result_object"]), (&json!("succeeded"), &json!("")));
    let said: Value = serde_json::from_str(rows[0]["result"].as_str().context("no result")?)?;
    assert_eq!(said, serde_json::from_str::<Value>(reference)?);
    let id = rows[0]["execution_id"].as_str().context("no id")?;
    let fetched: Value = serde_json::from_str(&cli.run(&["execution", "result", id])?)?;
    assert_eq!(fetched, said, "the reference itself, not what it names");

    // By its execution somebody gives it on, and its worker fetches it; so it is with one that is small.
    let listed = listed["execution_id"].as_str().context("no id")?;
    let tallied = run(&cli, "big.tally", &["--result", &format!("list={listed}")])?;
    assert_eq!((&tallied["status"], &tallied["result"]), (&json!("succeeded"), &json!(ROWS.to_string())), "{tallied}");
    ensure!(tallied["parameters"].to_string().contains("$objects"), "{tallied}");
    let small = small["execution_id"].as_str().context("no id")?;
    let tallied = run(&cli, "big.tally", &["--result", &format!("list={small}")])?;
    assert_eq!((&tallied["status"], &tallied["result"]), (&json!("succeeded"), &json!("3")), "{tallied}");
    // A list is no object.
    let number = tallied["execution_id"].as_str().context("no id")?;
    let refused = cli.output(&["action", "run", "big.tally", "--result", &format!("list={number}")])?;
    ensure!(String::from_utf8_lossy(&refused.stderr).contains("/list: the value is not of type"), "{refused:?}");
    // What an action was told by an event does not become the name of a secret.
    let given = format!("token={small}");
    let refused = cli.output(&["action", "run", "big.list", "rows=3", "--result", &given])?;
    ensure!(String::from_utf8_lossy(&refused.stderr).contains("holds a secret, which no result is"), "{refused:?}");
    // Nobody but Petrel writes a reference.
    let forged = json!({ "parameters": { "$objects": { "list": serde_json::from_str::<Value>(reference)? } } });
    let url = format!("{}/v1/actions/big.tally/run", cli.api());
    let refused = post(&url, &[("content-type", "application/json")], forged.to_string())?;
    assert_eq!(refused.status, 422, "{}", refused.body);
    ensure!(refused.body.contains("is Petrel's"), "{}", refused.body);

    // What is gone fails who needs it, and says so.
    for object in objects(&data)? {
        fs::remove_file(object)?;
    }
    let gone = run(&cli, "big.tally", &["--result", &format!("list={listed}")])?;
    assert_eq!((&gone["status"], &gone["code"]), (&json!("failed"), &json!("object_unusable")), "{gone}");

    let lacking = run(&cli, "big.lacking", &[])?;
    assert_eq!((&lacking["status"], &lacking["code"]), (&json!("failed"), &json!("output_invalid")), "{lacking}");
    let why = lacking["error"].as_str().context("no error")?;
    ensure!(why.starts_with("output.extract.host: "), "{why}");
    assert_eq!(lacking["extracted"], "{\"id\":7}");
    petrel.down()
}

#[test]
fn an_expression_over_anything_but_the_result_is_a_mistake_where_it_stands() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut petrel = Single::start(dir.path(), &[])?;
    let action =
        "name: x\nrunner: command\ncommand: ['true']\noutput:\n  extract:\n    ok: result.id\n    bad: parameters.id\n";
    let rule =
        "name: r\ntrigger: wrong.t\naction:\n  ref: wrong.x\n  parameters: { $objects: { id: \"${trigger.id}\" } }\n";
    let files = [
        ("pack.yaml", "name: wrong\nversion: 1.0.0\n"),
        ("triggers/t.yaml", "name: t\n"),
        ("rules/r.yaml", rule),
        ("actions/x.yaml", action),
    ];
    let pack = write_pack(dir.path(), "wrong", &files)?.display().to_string();
    let refused = petrel.cli().output(&["pack", "apply", &pack])?;
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(!refused.status.success() && why.contains("actions/x.yaml:7:10: unknown"), "{why}");
    // The action has a mistake of its own, which may hide what a rule gives it.
    fs::write(Path::new(&pack).join("actions/x.yaml"), "name: x\nrunner: noop\n")?;
    let refused = petrel.cli().output(&["pack", "apply", &pack])?;
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    let is_told = why.contains("rules/r.yaml:5:17: action wrong.x has no parameter \"$objects\"");
    ensure!(!refused.status.success() && is_told, "{why}");
    petrel.down()
}
