//! One pack folder, read: its files into drafts whose parts know where they were written.
//!
//! A draft is checked as far as a single pack can be; what needs the other packs of a revision, or
//! the expression engine, is checked when the revision is compiled.

mod action;
mod config;
mod files;
mod manifest;
mod needs;
mod policy;
mod refs;
mod retry;
mod rule;
mod rule_test;
mod runner;
mod schema;
mod stackstorm_policy;
mod trigger;
mod windows;
mod workflow;
mod workflow_test;

use std::collections::HashMap;
use std::sync::Arc;

use crate::archive::content_hash;
use crate::problems::{At, Code, Place, Problems};
use crate::walk::{Located, Report};
use crate::yaml::{self, Data};

pub(crate) use action::ActionDraft;
pub use action::ParameterDef;
pub(crate) use config::keep_given;
pub use config::{Config, config_file, given_config};
pub(crate) use files::check_path;
pub use files::{PackFile, PackSource};
pub(crate) use policy::{OwnDraft, PolicyDraft};
pub(crate) use rule::{CallDraft, RuleDraft};
pub(crate) use rule_test::{ExpectDraft, TestDraft};
pub(crate) use schema::{compile_schema, describe_errors, node_in};
pub(crate) use trigger::TriggerDraft;
pub use trigger::{CatchUp, KafkaSource, Start, TriggerSource, Validate};
pub(crate) use workflow::{INQUIRER, WorkflowDraft, at_of, dialect_of, known};
pub use workflow::{inspect_workflow, known_variables, workflow_language};
pub(crate) use workflow_test::{WorkflowTestDraft, read_tests};

/// A pack as its files say it.
#[derive(Debug)]
pub(crate) struct PackDraft {
    pub(crate) name: Located<String>,
    pub(crate) version: String,
    pub(crate) description: String,
    /// Topics to which its actions may write.
    pub(crate) produces: Vec<String>,
    pub(crate) triggers: Vec<TriggerDraft>,
    pub(crate) rules: Vec<RuleDraft>,
    pub(crate) actions: Vec<ActionDraft>,
    pub(crate) policies: Vec<PolicyDraft>,
    /// Tests of workflows.
    pub(crate) workflow_tests: Vec<WorkflowTestDraft>,
    /// What it needs to know of where it runs, and what that is.
    pub(crate) config: Arc<Config>,
    /// All files of the pack, sorted by path.
    pub(crate) files: Vec<PackFile>,
    /// Hash of the files; empty if they cannot be packed, which is told elsewhere.
    pub(crate) content_hash: String,
    /// Names that files meant to define and could not, so that references to them are no second problem.
    broken: Vec<String>,
    /// Its `pack.yaml` could not be used; the name is a guess.
    pub(crate) nameless: bool,
}

impl PackDraft {
    /// References to what this pack meant to define and could not, actions whose workflow has a mistake included.
    pub(crate) fn broken_references(&self) -> Vec<String> {
        let is_broken = |action: &&ActionDraft| action.workflow_file.is_some() && action.workflow.is_none();
        let workflows = self.actions.iter().filter(is_broken).map(|action| &action.name.value);
        self.broken.iter().chain(workflows).map(|name| format!("{}.{name}", self.name.value)).collect()
    }
}

/// Reads a pack. What cannot be read is left out of the draft and stands in the problems; a pack
/// without a readable `pack.yaml` is called as its folder.
pub(crate) fn read(source: PackSource, problems: &mut Problems) -> PackDraft {
    read_only(source, |_| true, problems)
}

impl PackSource {
    /// What the pack is called: as its manifest says, or else as its folder.
    pub fn name(&self) -> String {
        read_only(self.clone(), |kind| matches!(kind, files::Kind::Manifest), &mut Problems::new()).name.value
    }
}

/// Reads of a stored pack what its triggers are, and nothing else.
pub(crate) fn read_triggers(name: &str, files: Vec<PackFile>, problems: &mut Problems) -> Vec<TriggerDraft> {
    let source = PackSource { label: name.to_owned(), files, special: Vec::new() };
    read_only(source, |kind| matches!(kind, files::Kind::Trigger), problems).triggers
}

/// Reads of a stored pack what its policies are, and nothing else.
pub(crate) fn read_policies(name: &str, files: Vec<PackFile>, problems: &mut Problems) -> Vec<PolicyDraft> {
    // Of the others, only what is a policy: all else of them was seen to when they were applied.
    let mut inline = Vec::new();
    for file in files.iter().filter(|file| holds_policy(&file.bytes)) {
        let Some(kind) = files::kind_of(&file.path) else { continue };
        let Ok(node) = yaml::parse(&file.bytes) else { continue };
        let mut report = Report::new(files::shown(name, &file.path).into(), problems);
        inline.extend(match kind {
            files::Kind::Action => policy::of_action(name, &node, &mut report),
            files::Kind::Rule => policy::of_rule(name, &node, &mut report),
            _ => None,
        });
    }
    let source = PackSource { label: name.to_owned(), files, special: Vec::new() };
    let mut policies = read_only(source, |kind| matches!(kind, files::Kind::Policy), problems).policies;
    policies.extend(inline);
    policies
}

/// Whether the text of an action or a rule may hold a policy: most do not, and are not read for it.
fn holds_policy(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.contains("policies") || text.contains("limits")
}

fn read_only(source: PackSource, wanted: impl Fn(files::Kind) -> bool, problems: &mut Problems) -> PackDraft {
    let label = source.label.clone();
    let files = files::check(source, problems);
    let mut parts = Parts::default();
    let config = match wanted(files::Kind::Action) {
        true => config::read(&label, &files, problems),
        false => Arc::default(),
    };
    for file in &files {
        let Some(kind) = files::kind_of(&file.path).filter(|kind| wanted(*kind)) else { continue };
        let path: Arc<str> = files::shown(&label, &file.path).into();
        let mut report = Report::new(path.clone(), problems);
        match yaml::parse(&file.bytes) {
            Ok(node) => {
                if !parts.read(kind, &node, &files, &config, &mut report) {
                    parts.broken.extend(names_of(&file.path, Some(&node)));
                }
                if matches!(kind, files::Kind::Action | files::Kind::Rule) && holds_policy(&file.bytes) {
                    parts.nodes.push((path, kind, node));
                }
            }
            Err(error) => {
                report.add(error.at, error.code, error.message);
                parts.broken.extend(names_of(&file.path, None));
            }
        }
    }
    let mut workflow_tests = Vec::new();
    if wanted(files::Kind::Action) {
        workflow_tests = workflow_test::read(&label, &files, problems);
        parts.check_workflows(&label, &files, &workflow_tests, problems);
    }
    unique("trigger", parts.triggers.iter().map(|t| &t.name), problems);
    unique("rule", parts.rules.iter().map(|r| &r.name), problems);
    unique("action", parts.actions.iter().map(|a| &a.name), problems);
    unique("policy", parts.policies.iter().map(|p| &p.name), problems);
    let Parts { manifest, triggers, rules, actions, mut policies, broken, nodes } = parts;
    let nameless = manifest.is_none();
    let manifest = manifest.unwrap_or_else(|| guessed_manifest(&label));
    for (path, kind, node) in &nodes {
        let mut report = Report::new(path.clone(), problems);
        let pack = &manifest.name.value;
        policies.extend(match kind {
            files::Kind::Action => policy::of_action(pack, node, &mut report),
            _ => policy::of_rule(pack, node, &mut report),
        });
    }
    let (name, version, description) = (manifest.name, manifest.version, manifest.description);
    let produces = manifest.produces.into_iter().map(|topic| topic.value).collect();
    let content_hash = content_hash(&files).unwrap_or_default();
    PackDraft {
        name,
        version,
        description,
        produces,
        triggers,
        rules,
        actions,
        policies,
        workflow_tests,
        config,
        files,
        content_hash,
        broken,
        nameless,
    }
}

/// Reads one action of a stored pack and none of its other files: from the file that is called as the action,
/// or else from the one that says so. Nothing if the pack has no such action.
pub(crate) fn read_action(pack: &str, files: &[PackFile], name: &str, problems: &mut Problems) -> Option<ActionDraft> {
    let usual = format!("actions/{name}.yaml");
    let is_action = |file: &&PackFile| matches!(files::kind_of(&file.path), Some(files::Kind::Action));
    let mut candidates: Vec<&PackFile> = files.iter().filter(is_action).collect();
    candidates.sort_by_key(|file| file.path != usual);
    for file in candidates {
        let Ok(node) = yaml::parse(&file.bytes) else { continue };
        if !named(&node).any(|text| text == name) {
            continue;
        }
        let path: Arc<str> = files::shown(pack, &file.path).into();
        let config = config::read(pack, files, problems);
        return action::read(&node, files, &config, &mut Report::new(path, problems));
    }
    None
}

/// Stands in for a manifest with problems, so that all else of the pack is checked too.
fn guessed_manifest(label: &str) -> manifest::Manifest {
    let place = Place { path: files::shown(label, "pack.yaml").into(), at: At::START };
    let value = label.rsplit('/').next().unwrap_or_default().to_owned();
    let name = Located::new(value, place);
    manifest::Manifest { name, version: String::new(), description: String::new(), produces: Vec::new() }
}

/// What a file that cannot be used would have defined: its `name:`, and its file name without extension.
fn names_of(path: &str, node: Option<&yaml::Node>) -> Vec<String> {
    let stem = path.rsplit('/').next().and_then(|name| name.strip_suffix(".yaml")).unwrap_or(path);
    let mut names = vec![stem.to_owned()];
    names.extend(node.iter().flat_map(|node| named(node).map(str::to_owned)));
    names
}

/// The texts under `name:`.
fn named(node: &yaml::Node) -> impl Iterator<Item = &str> {
    let entries = match &node.data {
        Data::Map(entries) => entries.as_slice(),
        _ => &[],
    };
    entries.iter().filter(|(key, _)| key.text == "name").filter_map(|(_, value)| match &value.data {
        Data::Text(text, _) => Some(text.as_str()),
        _ => None,
    })
}

#[derive(Default)]
struct Parts {
    manifest: Option<manifest::Manifest>,
    triggers: Vec<TriggerDraft>,
    rules: Vec<RuleDraft>,
    actions: Vec<ActionDraft>,
    policies: Vec<PolicyDraft>,
    broken: Vec<String>,
    /// Actions and rules that may hold policies of their own, which take their names from the pack.
    nodes: Vec<(Arc<str>, files::Kind, yaml::Node)>,
}

impl Parts {
    /// Whether the file could be used.
    fn read(
        &mut self,
        kind: files::Kind,
        node: &yaml::Node,
        files: &[PackFile],
        config: &Config,
        report: &mut Report<'_>,
    ) -> bool {
        match kind {
            files::Kind::Manifest => put(manifest::read(node, report), |it| self.manifest = Some(it)),
            files::Kind::Trigger => put(trigger::read(node, report), |it| self.triggers.push(it)),
            files::Kind::Rule => put(rule::read(node, report), |it| self.rules.push(it)),
            files::Kind::Action => put(action::read(node, files, config, report), |it| self.actions.push(it)),
            files::Kind::Policy => put(policy::read(node, report), |it| self.policies.push(it)),
        }
    }
}

impl Parts {
    /// Reports files of workflows that no action runs and no test rehearses. Where an action cannot be used, nobody knows.
    fn check_workflows(&self, label: &str, files: &[PackFile], tests: &[WorkflowTestDraft], problems: &mut Problems) {
        let is_run = |path: &str| {
            let is_rehearsed = |test: &WorkflowTestDraft| test.rehearsed.as_ref().is_some_and(|(file, _)| file == path);
            let is_named = self.actions.iter().any(|action| action.workflow_file.as_deref() == Some(path));
            is_named || tests.iter().any(is_rehearsed)
        };
        let all = files.iter().map(|file| file.path.as_str()).filter(|path| files::is_workflow(path));
        for path in all.filter(|path| self.broken.is_empty() && !is_run(path)) {
            let message =
                "no action runs this workflow: one with `runner: workflow` or `runner: orquesta` names its file";
            problems.add_at(&files::shown(label, path), At::START, Code::BadPath, message);
        }
    }
}

fn put<T>(read: Option<T>, store: impl FnOnce(T)) -> bool {
    read.map(store).is_some()
}

/// Reports names that stand twice, with both places.
pub(crate) fn unique<'a>(what: &str, names: impl Iterator<Item = &'a Located<String>>, problems: &mut Problems) {
    let mut first: HashMap<&str, &Place> = HashMap::new();
    for name in names.filter(|name| !name.value.is_empty()) {
        match first.get(name.value.as_str()) {
            None => {
                first.insert(&name.value, &name.place);
            }
            Some(place) => {
                let message = format!("{what} {:?} stands here again, first at {place}", name.value);
                problems.add(&name.place, Code::Duplicate, message);
            }
        }
    }
}

#[cfg(test)]
mod tests;
