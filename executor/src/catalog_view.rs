//! [`ExecutorView`](crate::ExecutorView) in terms of the catalog's content.

use std::sync::Arc;

use petrel_catalog::{Actions, StoredPack};

use crate::view::{EachFile, PackContent, Resolution, ResolvedAction};

/// Resolves an action in the pack that its revision has.
///
/// # Panics
/// If the action's reference, `pack.name`, is of another pack.
pub fn resolve_in(actions: &Actions, pack: &StoredPack, action: &str) -> Resolution {
    let (of, name) = action.split_once('.').unwrap_or((action, ""));
    assert_eq!(of, pack.name(), "the pack is the action's");
    match actions.resolve(pack, name) {
        Ok(Some(action)) => {
            Resolution::Ready(ResolvedAction { plan: action.plan.clone(), pack: Arc::new(Files(pack.clone())) })
        }
        Ok(None) => Resolution::NoSuchAction,
        Err(why) => Resolution::Broken(why),
    }
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
    use petrel_execution::Delivery;
    use petrel_execution::gate::InForce;
    use petrel_execution::runner::{Rendering, RunnerCall};
    use serde_json::json;

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
        fn in_force(&self) -> InForce {
            InForce { revision: "here".into(), since_ms: 0 }
        }

        fn dispatch_paused(&self) -> bool {
            false
        }

        fn resolve(&self, revision: &str, action: &str) -> Resolution {
            assert_eq!(revision, REVISION);
            resolve_in(&self.actions, &self.pack, action)
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

    #[test]
    fn an_action_is_resolved_in_its_revision() {
        let view = view();
        let Resolution::Ready(ResolvedAction { plan, pack }) = view.resolve(REVISION, "disk.clean") else {
            panic!("not resolved")
        };
        assert_eq!((&*plan.pool, plan.delivery, plan.timeout_ms), ("default", Delivery::AtMostOnce, 600_000));
        assert_eq!(plan.parameters.complete(&json!({"host": "db"})).unwrap(), json!({"host": "db", "days": 7}));
        assert!(plan.parameters.complete(&json!({})).unwrap_err().to_string().contains("\"host\" is required"));
        let parameters = json!({"host": "; rm -rf /", "days": 7});
        let rendering = Rendering { parameters: &parameters, secrets: &json!({}), execution_id: "e1", attempt: 1 };
        let Ok(RunnerCall::Command(call)) = plan.runner.render(rendering) else { panic!("not rendered") };
        assert_eq!(call.argv, ["./clean.sh", "; rm -rf /", "7", "e1"]);
        assert_eq!(call.process.env, [("DAYS".to_owned(), "7".to_owned())]);
        assert_eq!(pack.name(), format!("{}/disk", view.pack.hash()));
        assert_eq!(pack.hash().unwrap(), **view.pack.hash());
        let mut paths = Vec::new();
        let mut each = |path: &str, _: &[u8], executable: bool| {
            paths.push((path.to_owned(), executable));
            Ok(())
        };
        pack.files(&mut each).unwrap();
        assert!(paths.contains(&("actions/clean.sh".to_owned(), true)) && paths.len() == 3);
        assert!(matches!(view.resolve(REVISION, "disk.wipe"), Resolution::NoSuchAction));
    }
}
