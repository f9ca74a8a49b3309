//! [`ExecutorView`](crate::ExecutorView) in terms of the catalog's state.

use std::sync::Arc;

use petrel_catalog::{CatalogState, CompiledRevision, archive};

use crate::view::{EachFile, PackContent, Resolution, ResolvedAction};

/// Resolves an action in its revision.
pub fn resolve_in(catalog: &CatalogState, revision: &str, action: &str) -> Resolution {
    let revision = match catalog.revision(revision) {
        Ok(revision) => revision,
        Err(e) if e.may_appear() => return Resolution::NotYet,
        Err(_) => return Resolution::Removed,
    };
    let Some(action) = revision.action(action) else { return Resolution::NoSuchAction };
    let pack = Arc::new(RevisionPack { pack: action.pack.clone(), revision: revision.clone() });
    Resolution::Ready(ResolvedAction { plan: action.plan.clone(), pack })
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
    use petrel_execution::Delivery;
    use petrel_execution::runner::{Rendering, RunnerCall};
    use petrel_schemas::{CatalogBlob, CatalogRevision, encode};
    use serde_json::json;

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

    fn ready(revision: &str, action: &str) -> Result<ResolvedAction, &'static str> {
        let (catalog, here) = catalog();
        match resolve_in(&catalog, if revision == "here" { &here } else { revision }, action) {
            Resolution::Ready(resolved) => Ok(resolved),
            Resolution::NotYet => Err("not yet"),
            Resolution::Removed => Err("removed"),
            Resolution::NoSuchAction => Err("no action"),
            Resolution::Broken(_) => Err("broken"),
        }
    }

    #[test]
    fn an_action_is_resolved_in_its_revision() {
        let resolved = ready("here", "disk.clean").ok().unwrap();
        let plan = &resolved.plan;
        assert_eq!((&*plan.pool, plan.delivery, plan.timeout_ms), ("default", Delivery::AtMostOnce, 600_000));
        assert_eq!(plan.parameters.complete(&json!({"host": "db"})).unwrap(), json!({"host": "db", "days": 7}));
        assert!(plan.parameters.complete(&json!({})).unwrap_err().contains("\"host\" is required"));
        let parameters = json!({"host": "; rm -rf /", "days": 7});
        let rendering = Rendering { parameters: &parameters, execution_id: "e1", attempt: 1 };
        let Ok(RunnerCall::Command(call)) = plan.runner.render(rendering) else { panic!("not rendered") };
        assert_eq!(call.argv, ["./clean.sh", "; rm -rf /", "7", "e1"]);
        assert_eq!(call.env, [("DAYS".to_owned(), "7".to_owned())]);
        assert!(resolved.pack.hash().unwrap().bytes().all(|b| b.is_ascii_hexdigit()));
        let mut paths = Vec::new();
        let mut each = |path: &str, _: &[u8], executable: bool| {
            paths.push((path.to_owned(), executable));
            Ok(())
        };
        resolved.pack.files(&mut each).unwrap();
        assert!(paths.contains(&("actions/clean.sh".to_owned(), true)) && paths.len() == 3);
        assert_eq!(ready("here", "disk.wipe").err(), Some("no action"));
        assert_eq!(ready("other", "disk.clean").err(), Some("not yet"));
    }
}
