//! [`ExecutorView`](crate::ExecutorView) in terms of the catalog's state.

use std::sync::Arc;

use petrel_catalog::{CatalogState, CompiledRevision, archive};
use petrel_schemas::Task;
use serde_json::Value;

use crate::view::{CommandPlan, EachFile, PackContent, Plan, Prepared, Rendered};

/// Resolves an action in its revision and completes its parameters.
pub fn prepare_in(catalog: &CatalogState, revision: &str, action: &str, parameters: &str) -> Prepared {
    let revision = match catalog.revision(revision) {
        Ok(revision) => revision,
        Err(e) if e.may_appear() => return Prepared::RevisionUnknown,
        Err(e) => return Prepared::Refused(e.to_string()),
    };
    let Some(action) = revision.action(action) else { return Prepared::NoSuchAction };
    let given: Value = match serde_json::from_str(parameters) {
        Ok(given) => given,
        Err(e) => return Prepared::Refused(format!("the parameters are no JSON: {e}")),
    };
    match action.resolve_parameters(&given) {
        Ok(resolved) => Prepared::Ready(Plan {
            parameters: resolved.to_string(),
            pool: action.pool.clone(),
            delivery: action.delivery,
            timeout_ms: action.timeout_ms,
        }),
        Err(e) => Prepared::Refused(e.to_string()),
    }
}

/// Renders a task's command.
pub fn command_in(catalog: &CatalogState, task: &Task) -> Rendered {
    let revision = match catalog.revision(&task.revision) {
        Ok(revision) => revision,
        Err(e) if e.may_appear() => return Rendered::RevisionUnknown,
        Err(e) => return Rendered::Refused(e.to_string()),
    };
    let Some(action) = revision.action(&task.action) else {
        return Rendered::Refused(format!("revision {} has no action {}", task.revision, task.action));
    };
    let parameters: Value = match serde_json::from_str(&task.parameters) {
        Ok(parameters) => parameters,
        Err(e) => return Rendered::Refused(format!("the parameters are no JSON: {e}")),
    };
    let attempt = u32::try_from(task.attempt).unwrap_or(0);
    match action.render(&parameters, &task.execution_id, attempt) {
        Ok(command) => Rendered::Command(CommandPlan {
            argv: command.argv,
            environment: command.env.into_iter().collect(),
            output_bytes_max: usize::try_from(action.output_bytes_max).unwrap_or(usize::MAX),
            pack: Arc::new(RevisionPack { pack: action.pack.clone(), revision: revision.clone() }),
        }),
        Err(e) => Rendered::Refused(e.to_string()),
    }
}

/// A pack of a compiled revision.
struct RevisionPack {
    revision: Arc<CompiledRevision>,
    pack: String,
}

impl PackContent for RevisionPack {
    fn name(&self) -> String {
        format!("{}/{}", self.revision.hash(), self.pack)
    }

    fn hash(&self) -> Result<String, String> {
        archive::content_hash(self.revision.files(&self.pack)).map_err(|e| e.to_string())
    }

    fn files(&self, each: &mut EachFile<'_>) -> Result<(), String> {
        self.revision.files(&self.pack).iter().try_for_each(|file| each(&file.path, &file.bytes, file.executable))
    }
}

#[cfg(test)]
mod tests {
    use petrel_catalog::{PackFile, PackSource, Revision, blob_key, revision_key};
    use petrel_schemas::{CatalogBlob, CatalogRevision, encode};

    use super::*;

    const ACTION: &str = "\
name: clean
runner: command
command: [./clean.sh, \"${parameters.host}\", \"${parameters.days}\", \"${execution.id}\"]
env: { DAYS: \"${parameters.days}\" }
parameters:
  host: { type: string, required: true }
  days: { type: integer, default: 7 }
timeout: 10m
delivery: at_most_once
";

    fn catalog() -> (CatalogState, String) {
        let file = |path: &str, text: &str| PackFile {
            path: path.to_owned(),
            bytes: text.as_bytes().to_vec(),
            executable: path.ends_with(".sh"),
        };
        let files = vec![
            file("pack.yaml", "name: disk\nversion: 1.0.0\ndescription: d\n"),
            file("actions/clean.yaml", ACTION),
            file("actions/clean.sh", "#!/bin/sh\n"),
        ];
        let revision = Revision::load(vec![PackSource { label: "disk".into(), files, special: Vec::new() }]).unwrap();
        let mut catalog = CatalogState::new();
        for blob in revision.blobs() {
            let record = CatalogBlob { pack: blob.pack.clone(), content: blob.archive.clone() };
            catalog.apply(&blob_key(&blob.hash), Some(&encode(&record))).unwrap();
        }
        let record = CatalogRevision {
            revision: revision.hash().to_owned(),
            blobs: revision.blobs().iter().map(|b| b.hash.clone()).collect(),
            packs: revision.pack_versions(),
            created_at_ms: 0,
        };
        catalog.apply(&revision_key(revision.hash()), Some(&encode(&record))).unwrap();
        (catalog, revision.hash().to_owned())
    }

    fn task(revision: &str, action: &str, parameters: &str) -> Task {
        Task {
            execution_id: "e1".to_owned(),
            root_execution_id: "e1".to_owned(),
            event_id: None,
            event_at_ms: None,
            rule: None,
            action: action.to_owned(),
            revision: revision.to_owned(),
            parameters: parameters.to_owned(),
            attempt: 1,
            token: 1,
            delivery: "at_most_once".to_owned(),
            timeout_ms: 1,
            lease_ms: 1,
            dispatched_at_ms: 0,
        }
    }

    #[test]
    fn requests_are_resolved_in_their_revision() {
        let (catalog, revision) = catalog();
        let prepare =
            |revision: &str, action: &str, parameters: &str| match prepare_in(&catalog, revision, action, parameters) {
                Prepared::Ready(plan) => {
                    format!("{} {} {} {}", plan.parameters, plan.pool, plan.delivery.as_str(), plan.timeout_ms)
                }
                Prepared::RevisionUnknown => "unknown".to_owned(),
                Prepared::NoSuchAction => "no action".to_owned(),
                Prepared::Refused(reason) => reason,
            };
        let ready = "{\"host\":\"db\",\"days\":7} default at_most_once 600000";
        assert_eq!(prepare(&revision, "disk.clean", "{\"host\":\"db\"}"), ready);
        assert_eq!(prepare("other", "disk.clean", "{}"), "unknown");
        assert_eq!(prepare(&revision, "disk.wipe", "{}"), "no action");
        assert!(prepare(&revision, "disk.clean", "{}").contains("\"host\" is required"));
        assert!(prepare(&revision, "disk.clean", "{").contains("no JSON"));
    }

    #[test]
    fn tasks_are_rendered_with_the_files_of_their_pack() {
        let (catalog, revision) = catalog();
        let rendered = command_in(&catalog, &task(&revision, "disk.clean", "{\"host\":\"; rm -rf /\",\"days\":7}"));
        let Rendered::Command(plan) = rendered else { panic!("not rendered") };
        assert_eq!(plan.argv, ["./clean.sh", "; rm -rf /", "7", "e1"]);
        assert_eq!(plan.environment["DAYS"], "7");
        assert_eq!(plan.pack.name(), format!("{revision}/disk"));
        assert!(plan.pack.hash().unwrap().bytes().all(|b| b.is_ascii_hexdigit()));
        let mut paths = Vec::new();
        let mut each = |path: &str, _: &[u8], executable: bool| {
            paths.push((path.to_owned(), executable));
            Ok(())
        };
        plan.pack.files(&mut each).unwrap();
        assert!(paths.contains(&("actions/clean.sh".to_owned(), true)) && paths.len() == 3);
        for (revision, action) in [("other", "disk.clean"), (&*revision, "disk.wipe")] {
            match command_in(&catalog, &task(revision, action, "{}")) {
                Rendered::RevisionUnknown => assert_eq!(revision, "other"),
                Rendered::Refused(reason) => assert!(reason.contains("no action disk.wipe"), "{reason}"),
                Rendered::Command(_) => panic!("rendered {action}"),
            }
        }
    }
}
