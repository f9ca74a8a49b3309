//! Workflows of a pack that a test writes, and how they end.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use petrel_testkit::{wait_until, workspace_root};
use serde_json::Value;

use crate::cli::Cli;
use crate::packs::write_pack;
use crate::single::Single;

/// How long a workflow of a test may take on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// Writes the id of its execution to the file `name` in `dir`.
const MARK: &str = "\
name: mark
runner: shell
script: echo \"$PETREL_EXECUTION_ID\" >> \"$dir/$name\"
env: { dir: \"${parameters.dir}\", name: \"${parameters.name}\" }
parameters: { dir: { type: string, required: true }, name: { type: string, required: true } }
";

/// An action `hold`, which runs until there is a file `go` in `dir`.
pub const HOLD: &str = "\
name: hold
runner: shell
script: while [ ! -e \"$dir/go\" ]; do sleep 0.1; done
env: { dir: \"${parameters.dir}\" }
parameters: { dir: { type: string, required: true } }
";

/// A pack of workflows.
#[derive(Debug, Clone, Copy)]
pub struct WorkflowPack<'p> {
    /// Its name.
    pub name: &'p str,
    /// The runner of its workflows: `orquesta`, or `workflow`.
    pub runner: &'p str,
    /// The workflows, by name.
    pub workflows: &'p [(&'p str, &'p str)],
    /// Other files, by path. An action `mark` is there, which writes the id of its execution to the file `name` in `dir`.
    pub files: &'p [(&'p str, &'p str)],
}

impl WorkflowPack<'_> {
    /// Starts Petrel in `dir`, with the pack and packs/core applied.
    ///
    /// # Errors
    /// If the pack is refused, or Petrel does not start.
    pub fn start(&self, dir: &Path) -> Result<Single> {
        let petrel = Single::start(dir, &[])?;
        let manifest = format!("name: {}\nversion: 1.0.0\n", self.name);
        let mut files = vec![("pack.yaml".to_owned(), manifest), ("actions/mark.yaml".to_owned(), MARK.to_owned())];
        for (name, text) in self.workflows {
            let action = format!("name: {name}\nrunner: {}\nworkflow: workflows/{name}.yaml\n", self.runner);
            files.push((format!("actions/{name}.yaml"), action));
            files.push((format!("workflows/{name}.yaml"), (*text).to_owned()));
        }
        let written = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        let all: Vec<(&str, &str)> = written.chain(self.files.iter().copied()).collect();
        let core = workspace_root().join("packs/core").display().to_string();
        petrel.cli().run(&["pack", "apply", &core, &write_pack(dir, self.name, &all)?.display().to_string()])?;
        Ok(petrel)
    }
}

/// Runs a workflow; the id of its execution.
///
/// # Errors
/// If it is refused.
pub fn run_workflow(cli: &Cli, workflow: &str, parameters: &[&str]) -> Result<String> {
    let answer = cli.json(&[&["workflow", "run", workflow], parameters].concat())?;
    Ok(answer["execution_id"].as_str().context("no id")?.to_owned())
}

/// An execution as `petrel execution get` shows it; null while it is not known.
pub fn shown(cli: &Cli, id: &str) -> Value {
    cli.json(&["execution", "get", id]).unwrap_or_default()
}

/// How an execution ended, once that is in SQL, too.
///
/// # Panics
/// If it does not end so.
pub fn ends(cli: &Cli, id: &str, status: &str) -> Value {
    wait_until(&format!("it has {status}"), SOON, || shown(cli, id)["status"] == status);
    let told = format!(
        "SELECT count() FROM executions_latest WHERE execution_id = '{id}' AND status = '{status}' AND ended_at IS NOT NULL"
    );
    wait_until("its end is in SQL", SOON, || cli.number(&told).is_ok_and(|ends| ends == 1));
    shown(cli, id)
}

/// The output of a workflow that has ended.
///
/// # Errors
/// If its result is no JSON.
pub fn output_of(ended: &Value) -> Result<Value> {
    let result: Value = match &ended["result"] {
        Value::String(text) => serde_json::from_str(text)?,
        other => other.clone(),
    };
    Ok(result["output"].clone())
}
