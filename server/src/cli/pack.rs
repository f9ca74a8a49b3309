//! `petrel pack validate|test|apply|list`.

use std::path::{Path, PathBuf};

use petrel_catalog::{PackSource, Problems, Revision, TestOutcome, Tested, run_tests};
use serde_json::{Value, json};

use super::args::{Output, PackCommand};
use super::http::Client;
use super::{EXIT_FAILED, EXIT_USAGE, Failure, output};
use crate::packs::{self, PackUpload};

/// Code of the refusal that another apply came first.
const MOVED: &str = "catalog_moved";

pub fn run(command: PackCommand, client: &impl Fn() -> Result<Client, Failure>, format: Output) -> Result<(), Failure> {
    match command {
        PackCommand::Validate { paths, config } => validate(&paths, config.as_deref(), format),
        PackCommand::Test { paths, config } => test(&paths, config.as_deref(), format),
        PackCommand::Apply { paths, prune, revision, config } => {
            apply(&paths, config.as_deref(), prune, revision, &client()?, format)
        }
        PackCommand::List => list(&client()?, format),
    }
}

fn validate(paths: &[PathBuf], config: Option<&Path>, format: Output) -> Result<(), Failure> {
    let revision = load_with(paths, config, format)?;
    let warnings = revision.compiled().warnings();
    match format {
        Output::Json => output::json(&json!({
            "revision": revision.hash(), "packs": revision.pack_versions(), "warnings": warnings.as_slice(),
        })),
        Output::Table => {
            for warning in warnings.as_slice() {
                output::line(&format!("warning: {warning}"));
            }
            output::line(&format!("valid: {}", revision.pack_versions().join(", ")));
        }
    }
    Ok(())
}

/// Compiles packs; a path that cannot be read is a mistake of the command line, not of a pack.
pub(super) fn load(paths: &[PathBuf], format: Output) -> Result<Revision, Failure> {
    load_with(paths, None, format)
}

/// The same, with what packs are given.
fn load_with(paths: &[PathBuf], config: Option<&Path>, format: Output) -> Result<Revision, Failure> {
    let sources = read(paths, config)?;
    Revision::load(sources).map_err(|problems| invalid(&problems, format))
}

fn read(paths: &[PathBuf], config: Option<&Path>) -> Result<Vec<PackSource>, Failure> {
    let sources = packs::read(paths).and_then(|sources| packs::with_config(sources, config));
    let (sources, unused) = sources.map_err(|e| Failure::new(EXIT_USAGE, format!("{e:#}")))?;
    for path in unused {
        output::note(&format!("warning: {} is for none of these packs, and has no effect", path.display()));
    }
    Ok(sources)
}

/// Every problem on a line of its own.
fn invalid(problems: &Problems, format: Output) -> Failure {
    if format == Output::Json {
        output::json(&json!({ "problems": problems.as_slice() }));
        return Failure::new(EXIT_FAILED, "");
    }
    let count = problems.len();
    let noun = if count == 1 { "problem" } else { "problems" };
    Failure::new(EXIT_FAILED, format!("{count} {noun}\n{problems}"))
}

fn test(paths: &[PathBuf], config: Option<&Path>, format: Output) -> Result<(), Failure> {
    let revision = load_with(paths, config, format)?;
    tell_outcomes(&run_tests(revision.compiled()), format)
}

/// Tells how tests went; it is a failure if one failed.
pub(super) fn tell_outcomes(outcomes: &[TestOutcome], format: Output) -> Result<(), Failure> {
    let failed = outcomes.iter().filter(|o| !o.passed()).count();
    match format {
        Output::Json => {
            let rows: Vec<Value> = outcomes
                .iter()
                .map(|o| {
                    let what = match o.tested {
                        Tested::Rule => "rule",
                        Tested::Workflow => "workflow",
                    };
                    json!({ what: o.subject, "test": o.index, "passed": o.passed(), "difference": o.failure })
                })
                .collect();
            output::json(&Value::Array(rows));
        }
        Output::Table => {
            for outcome in outcomes {
                output::line(&outcome.to_string());
            }
            output::line(&format!("{} passed, {failed} failed", outcomes.len() - failed));
        }
    }
    if failed > 0 { Err(Failure::new(EXIT_FAILED, "")) } else { Ok(()) }
}

fn apply(
    paths: &[PathBuf],
    config: Option<&Path>,
    prune: bool,
    revision: Option<String>,
    client: &Client,
    format: Output,
) -> Result<(), Failure> {
    let apply = || {
        let request = match &revision {
            Some(revision) => json!({ "revision": revision }),
            None => {
                let sources = read(paths, config)?;
                let uploads: Vec<PackUpload> = sources.iter().map(PackUpload::from).collect();
                json!({ "packs": uploads, "prune": prune })
            }
        };
        client.post(&["v1", "packs", "apply"], &request)
    };
    let answer = again_if_moved(apply, |why| output::error(&format!("{why}\ntrying once more")))?;
    if format == Output::Json {
        output::json(&answer);
        return Ok(());
    }
    let names: Vec<&str> = answer["packs"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let verb = if answer["changed"] == json!(true) { "applied" } else { "already in force" };
    output::line(&format!("{verb}: revision {} ({})", answer["revision"].as_str().unwrap_or("-"), names.join(", ")));
    let early = answer["removed_early"].as_array().map_or(0, Vec::len);
    if early > 0 {
        output::line(&format!(
            "warning: the catalog is at catalog_bytes_max: {early} earlier revision(s) had to go early; executions that still wait in them will fail"
        ));
    }
    Ok(())
}

/// Applies; once more if another apply came first, with what is in force then.
fn again_if_moved(apply: impl Fn() -> Result<Value, Failure>, tell: impl Fn(&str)) -> Result<Value, Failure> {
    match apply() {
        Err(failure) if failure.refusal.as_deref() == Some(MOVED) => {
            tell(&failure.message);
            apply()
        }
        answer => answer,
    }
}

fn list(client: &Client, format: Output) -> Result<(), Failure> {
    let answer = client.get(&["v1", "packs"], &[])?;
    let columns = [
        ("pack", "pack"),
        ("version", "version"),
        ("triggers", "triggers"),
        ("rules", "rules"),
        ("actions", "actions"),
        ("description", "description"),
    ];
    super::rule::show(&answer, "packs", format, &columns);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[test]
    fn an_apply_that_came_second_is_tried_once_more_and_says_so() {
        let refused = |code: &str| Failure { refusal: Some(code.to_owned()), ..Failure::new(4, "refused") };
        // What the server answers, one after the other; how often it is asked, and told to the user.
        let cases = [
            (vec![None], 1, 0, true),
            (vec![Some(MOVED), None], 2, 1, true),
            (vec![Some(MOVED), Some(MOVED), None], 2, 1, false),
            (vec![Some("invalid_packs"), None], 1, 0, false),
        ];
        for (answers, asked_times, told_times, succeeds) in cases {
            let (asked, told) = (Cell::new(0), RefCell::new(Vec::new()));
            let apply = || {
                let answer = answers[asked.get()];
                asked.set(asked.get() + 1);
                answer.map_or(Ok(json!({})), |code| Err(refused(code)))
            };
            let answer = again_if_moved(apply, |why| told.borrow_mut().push(why.to_owned()));
            let found = (asked.get(), told.borrow().len(), answer.is_ok());
            assert_eq!(found, (asked_times, told_times, succeeds), "{answers:?}");
        }
    }
}
