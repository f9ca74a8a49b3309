//! [`ExecutorView`](crate::ExecutorView) in terms of the catalog's content.

use std::sync::Arc;

use petrel_catalog::{Actions, StoredPack};
use petrel_schemas::Task;
use serde_json::Value;

use crate::view::{CommandPlan, EachFile, PackContent, Plan, Prepared, Rendered, Resolution, ResolvedAction};

/// Resolves an action in the pack that its revision has.
///
/// # Panics
/// If the action's reference, `pack.name`, is of another pack.
pub fn resolve_in(actions: &Actions, pack: &StoredPack, action: &str) -> Resolution {
    let (of, name) = action.split_once('.').unwrap_or((action, ""));
    assert_eq!(of, pack.name(), "the pack is the action's");
    match actions.resolve(pack, name) {
        Ok(Some(action)) => Resolution::Ready(ResolvedAction { action, pack: Arc::new(Files(pack.clone())) }),
        Ok(None) => Resolution::NoSuchAction,
        Err(why) => Resolution::Broken(why),
    }
}

/// Completes the parameters of a request for a resolved action.
pub(crate) fn prepare(resolution: &Resolution, revision: &str, parameters: &str) -> Prepared {
    let action = match resolution {
        Resolution::Ready(resolved) => &resolved.action,
        Resolution::NotYet | Resolution::Broken(_) => return Prepared::RevisionUnknown,
        Resolution::Removed => return Prepared::Refused(removed(revision)),
        Resolution::NoSuchAction => return Prepared::NoSuchAction,
    };
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
pub(crate) fn command(resolution: &Resolution, task: &Task) -> Rendered {
    let ResolvedAction { action, pack } = match resolution {
        Resolution::Ready(resolved) => resolved,
        Resolution::NotYet | Resolution::Broken(_) => return Rendered::RevisionUnknown,
        Resolution::Removed => return Rendered::Refused(removed(&task.revision)),
        Resolution::NoSuchAction => {
            return Rendered::Refused(format!("revision {} has no action {}", task.revision, task.action));
        }
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
            pack: pack.clone(),
        }),
        Err(e) => Rendered::Refused(e.to_string()),
    }
}

fn removed(revision: &str) -> String {
    format!("revision {revision} was removed from the catalog before this execution began, or never was in it")
}

/// The files of a stored pack, unpacked where somebody lays them out.
struct Files(StoredPack);

impl PackContent for Files {
    fn name(&self) -> String {
        format!("{}/{}", self.0.hash(), self.0.name())
    }

    fn hash(&self) -> Result<String, String> {
        Ok(self.0.hash().to_string())
    }

    fn files(&self, each: &mut EachFile<'_>) -> Result<(), String> {
        let files = self.0.files().map_err(|e| e.to_string())?;
        files.iter().try_for_each(|file| each(&file.path, &file.bytes, file.executable))
    }
}

#[cfg(test)]
mod tests {
    use petrel_catalog::{PackFile, PackSource, Revision};

    use super::*;
    use crate::view::ExecutorView;

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

    const REVISION: &str = "here";

    /// A pack of one revision.
    struct View {
        pack: StoredPack,
        actions: Actions,
    }

    impl ExecutorView for View {
        fn dispatch_paused(&self) -> bool {
            false
        }

        fn resolve(&self, revision: &str, action: &str) -> Resolution {
            match revision {
                "later" => Resolution::NotYet,
                "gone" => Resolution::Removed,
                _ => resolve_in(&self.actions, &self.pack, action),
            }
        }
    }

    fn view() -> View {
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
        View { pack: revision.content().packs()[0].clone(), actions: Actions::new() }
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
        let view = view();
        let prepare = |revision: &str, action: &str, parameters: &str| match view.prepare(revision, action, parameters)
        {
            Prepared::Ready(plan) => {
                format!("{} {} {} {}", plan.parameters, plan.pool, plan.delivery.as_str(), plan.timeout_ms)
            }
            Prepared::RevisionUnknown => "unknown".to_owned(),
            Prepared::NoSuchAction => "no action".to_owned(),
            Prepared::Refused(reason) => reason,
        };
        let ready = "{\"host\":\"db\",\"days\":7} default at_most_once 600000";
        assert_eq!(prepare(REVISION, "disk.clean", "{\"host\":\"db\"}"), ready);
        assert_eq!(prepare("later", "disk.clean", "{}"), "unknown");
        assert!(prepare("gone", "disk.clean", "{}").contains("revision gone was removed"));
        assert_eq!(prepare(REVISION, "disk.wipe", "{}"), "no action");
        assert!(prepare(REVISION, "disk.clean", "{}").contains("\"host\" is required"));
        assert!(prepare(REVISION, "disk.clean", "{").contains("no JSON"));
    }

    #[test]
    fn tasks_are_rendered_with_the_files_of_their_pack() {
        let view = view();
        let rendered = view.command(&task(REVISION, "disk.clean", "{\"host\":\"; rm -rf /\",\"days\":7}"));
        let Rendered::Command(plan) = rendered else { panic!("not rendered") };
        assert_eq!(plan.argv, ["./clean.sh", "; rm -rf /", "7", "e1"]);
        assert_eq!(plan.environment["DAYS"], "7");
        assert_eq!(plan.pack.name(), format!("{}/disk", view.pack.hash()));
        assert_eq!(plan.pack.hash().unwrap(), **view.pack.hash());
        let mut paths = Vec::new();
        let mut each = |path: &str, _: &[u8], executable: bool| {
            paths.push((path.to_owned(), executable));
            Ok(())
        };
        plan.pack.files(&mut each).unwrap();
        assert!(paths.contains(&("actions/clean.sh".to_owned(), true)) && paths.len() == 3);
        let told = |revision: &str, action: &str| match view.command(&task(revision, action, "{}")) {
            Rendered::RevisionUnknown => "unknown".to_owned(),
            Rendered::Refused(reason) => reason,
            Rendered::Command(_) => panic!("rendered {action}"),
        };
        assert_eq!(told("later", "disk.clean"), "unknown");
        assert!(told("gone", "disk.clean").contains("revision gone was removed"));
        assert!(told(REVISION, "disk.wipe").contains("no action disk.wipe"));
    }
}
