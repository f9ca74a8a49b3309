//! The workflow of an action: which file of the pack it is, what is wrong in it, and which actions it calls.

use std::sync::Arc;

use petrel_execution::runner::{Mistake, SpecError, WorkflowLanguage};
use petrel_execution::workflow::Workflow;
use petrel_workflow::conduct::PackWorkflow;
use petrel_workflow::expression::Dialect;
use petrel_workflow::outline::{Call, Parameter};
use petrel_workflow::{Finding, SpecError as SpecFault, Unexpected, WorkflowSpec, inspect};
use serde_json::{Map, Value};

use crate::problems::{At, Code, Place, Problems, did_you_mean};
use crate::walk::{Fields, Report, check_name};
use crate::yaml::{self, Data, Node};

use super::action::ParameterDef;
use super::files::{Kind, PackFile, PackSource, kind_of};
use super::schema::key_in;

/// The runner of questions, which its owner conducts as it does workflows.
pub(crate) const INQUIRER: &str = "inquirer";

/// Keys of an action that are about workers, which no workflow has, and what to do instead.
const OF_WORKERS: [(&str, &str); 6] = [
    ("timeout", "say \"timeout:\" in the workflow"),
    ("pool", "the actions that it calls have pools"),
    ("requires", "the actions that it calls have pools"),
    ("needs", "the actions that it calls have needs"),
    ("retry", "say \"retry:\" at its tasks"),
    ("output_bytes_max", "what it results in is its \"output:\""),
];

/// A workflow as its file says it.
#[derive(Debug, Clone)]
pub(crate) struct WorkflowDraft {
    /// Its path in the pack.
    pub(crate) file: String,
    /// What stands before the places in it, as users know the file.
    pub(crate) path: Arc<str>,
    pub(crate) dialect: Dialect,
    /// The whole text.
    pub(crate) text: Arc<str>,
    /// The calls of its tasks that are constant.
    pub(crate) calls: Vec<Call>,
    /// What owners conduct.
    pub(super) conducted: Arc<dyn Workflow>,
    inputs: Vec<Parameter>,
}

impl WorkflowDraft {
    /// A place in the workflow's file.
    pub(crate) fn place(&self, at: petrel_workflow::At) -> Place {
        Place { path: self.path.clone(), at: at_of(at) }
    }
}

/// The language of a runner, if it is one of workflows.
pub(super) fn language_of(runner: &str) -> Option<WorkflowLanguage> {
    match runner {
        "workflow" => Some(WorkflowLanguage::Native),
        "orquesta" => Some(WorkflowLanguage::Orquesta),
        _ => None,
    }
}

/// Which languages of expressions a workflow may hold.
pub(crate) fn dialect_of(language: WorkflowLanguage) -> Dialect {
    match language {
        WorkflowLanguage::Native => Dialect::Native,
        WorkflowLanguage::Orquesta => Dialect::Orquesta,
    }
}

/// The path of a file of the pack as users know it, beside that of an action's file.
fn beside(action: &str, file: &str) -> String {
    let folder = action.rfind("actions/").map_or("", |at| &action[..at]);
    format!("{folder}{file}")
}

/// The runner of the action, as its file says it.
fn runner_of<'n>(fields: &Fields<'n>) -> Option<&'n str> {
    match &fields.entry("runner")?.1.data {
        Data::Text(text, _) => Some(text),
        _ => None,
    }
}

/// The path of the workflow that an action names, and its language; nothing for any other action.
pub(super) fn named<'n>(fields: &Fields<'n>) -> Option<(&'n str, WorkflowLanguage)> {
    let language = language_of(runner_of(fields)?)?;
    match &fields.entry("workflow")?.1.data {
        Data::Text(path, _) => Some((path, language)),
        _ => None,
    }
}

/// Reads the workflow of an action, if it is one. What is wrong in the workflow's file is told there.
pub(super) fn read(fields: &Fields<'_>, files: &[PackFile], report: &mut Report<'_>) -> Option<WorkflowDraft> {
    let (file, language) = named(fields)?;
    let text = text_of(file, files).ok()?;
    let path: Arc<str> = beside(&report.place(At::START).path, file).into();
    let before = report.count();
    let spec = inspected(&path, text, language, report.problems())?;
    if report.count() > before {
        return None;
    }
    let dialect = dialect_of(language);
    let conducted: Arc<dyn Workflow> = match PackWorkflow::of(&spec, dialect) {
        Ok(conducted) => Arc::new(conducted),
        Err(findings) => {
            for finding in &findings {
                tell(&path, finding.at, finding, Code::BadWorkflow, report.problems());
            }
            return None;
        }
    };
    let (calls, inputs) = (spec.calls(), spec.parameters());
    let dialect = dialect_of(language);
    Some(WorkflowDraft { file: file.to_owned(), path, dialect, text: text.into(), calls, conducted, inputs })
}

/// A workflow, and everything that is wrong with it; none if its text cannot be taken apart.
fn inspected(path: &str, text: &str, language: WorkflowLanguage, problems: &mut Problems) -> Option<WorkflowSpec> {
    let dialect = dialect_of(language);
    let tell_error = |error: SpecFault| {
        problems.add_at(path, at_of(error.at), Code::BadWorkflow, error.message);
    };
    let spec = WorkflowSpec::read(text, dialect).map_err(tell_error).ok()?;
    let inspection = inspect(&spec, known(dialect));
    let kinds = [
        (&inspection.syntax, Code::BadWorkflow),
        (&inspection.semantics, Code::BadWorkflow),
        (&inspection.expressions, Code::BadExpression),
        (&inspection.context, Code::BadExpression),
        (&inspection.joins, Code::BadWorkflow),
    ];
    for (findings, code) in kinds {
        findings.iter().for_each(|finding| tell(path, place_in(&spec, finding), finding, code, problems));
    }
    Some(spec)
}

/// Where a finding stands. Parameters that are written behind an action have no place but the action's.
fn place_in(spec: &WorkflowSpec, finding: &Finding) -> petrel_workflow::At {
    match finding.spec_path.strip_suffix(".input") {
        Some(task) if spec.place(task) == finding.at => spec.place(&format!("{task}.action")),
        _ => finding.at,
    }
}

fn tell(path: &str, at: petrel_workflow::At, finding: &Finding, code: Code, problems: &mut Problems) {
    // YAML 1.1 takes `on` for a truth.
    let part = match finding.spec_path.strip_suffix(".True") {
        Some(entry) => format!("{entry}.on: "),
        None if finding.spec_path.is_empty() => String::new(),
        None => format!("{}: ", finding.spec_path),
    };
    let hint = finding.unexpected.as_ref().map(hint).unwrap_or_default();
    problems.add_at(path, at_of(at), code, format!("{part}{}{hint}", finding.message));
}

/// What may have been meant by keys that nobody knows: for people, beside Orquesta's words.
fn hint(unexpected: &Unexpected) -> String {
    let Unexpected { keys, known, native } = unexpected;
    let of_key = |key: &Arc<str>| match native.contains(&&**key) {
        true => format!("; `{key}` is of native workflows, whose action has `runner: workflow`"),
        false => did_you_mean(key, known.iter().copied()),
    };
    let hints: String = keys.iter().map(of_key).collect();
    if hints.is_empty() { format!("; there are {}", known.join(", ")) } else { hints }
}

/// A workflow's text by itself, and everything that is wrong in it; none if it cannot be taken apart. `path` is what the
/// problems call it.
pub fn inspect_workflow(path: &str, text: &str, language: WorkflowLanguage) -> (Option<WorkflowSpec>, Problems) {
    let mut problems = Problems::new();
    let spec = inspected(path, text, language, &mut problems);
    (spec, problems)
}

/// Variables that every workflow in a language begins with.
pub fn known_variables(language: WorkflowLanguage) -> &'static [&'static str] {
    known(dialect_of(language))
}

/// The language of the action of a pack that names a file as its workflow; none if none does.
pub fn workflow_language(pack: &PackSource, path: &str) -> Option<WorkflowLanguage> {
    let actions = pack.files.iter().filter(|file| matches!(kind_of(&file.path), Some(Kind::Action)));
    let nodes = actions.filter_map(|file| yaml::parse(&file.bytes).ok());
    let text = |node: &Node, key: &str| match &node.data {
        Data::Map(entries) => entries.iter().find(|(name, _)| name.text == key).map(|(_, value)| value.to_json()),
        _ => None,
    };
    let names = |node: &Node| text(node, "workflow").is_some_and(|named| named == path);
    nodes.filter(names).find_map(|node| language_of(text(&node, "runner")?.as_str()?))
}

/// Variables that every workflow begins with.
pub(crate) fn known(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Orquesta => &["st2"],
        Dialect::Native => &["st2", "execution"],
    }
}

/// A place in a workflow, as those of all other files are told.
pub(crate) fn at_of(at: petrel_workflow::At) -> At {
    let clamp = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    At { line: clamp(at.line), column: clamp(at.column) }
}

/// The text of a workflow's file.
pub(super) fn text_of<'p>(path: &str, files: &'p [PackFile]) -> Result<&'p str, SpecError> {
    let wrong = |mistake: Mistake, message: String| SpecError { at: "/workflow".to_owned(), mistake, message };
    if !path.ends_with(".yaml") {
        let message = format!("{path:?} is no *.yaml file of the pack, such as workflows/heal.yaml");
        return Err(wrong(Mistake::BadPath, message));
    }
    let Some(file) = files.iter().find(|file| file.path == path) else {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let beside = files.iter().map(|file| file.path.as_str()).filter(|file| file.starts_with(folder));
        let message = format!("the pack has no file {path}{}", did_you_mean(path, beside));
        return Err(wrong(Mistake::BadPath, message));
    };
    std::str::from_utf8(&file.bytes).map_err(|_| wrong(Mistake::BadValue, format!("{path} is not UTF-8")))
}

/// Reports the keys of an action that make no sense for a workflow.
pub(super) fn check_keys(fields: &Fields<'_>, report: &mut Report<'_>) {
    let Some(runner) = runner_of(fields).filter(|runner| *runner == INQUIRER || language_of(runner).is_some()) else {
        return;
    };
    let is_question = runner == INQUIRER;
    for (key, instead) in OF_WORKERS {
        if let Some((key, _)) = fields.entry(key) {
            let (what, instead) = match key.text.as_str() {
                "timeout" if is_question => ("question", "its parameter \"ttl\" says how long it waits"),
                _ if is_question => ("question", "leave it out"),
                _ => ("workflow", instead),
            };
            let message =
                format!("{:?} is for actions that a worker runs, and no worker runs a {what}: {instead}", key.text);
            report.add(key.at, Code::BadValue, message);
        }
    }
    if let Some((_, node)) = fields.entry("delivery")
        && matches!(&node.data, Data::Text(text, _) if text == "at_most_once")
    {
        let message = if is_question {
            "a question is kept by its owner and is never lost: leave \"delivery\" out"
        } else {
            "a workflow is conducted by its owner and is never lost: say \"at_most_once\" in the actions that it calls"
        };
        report.add(node.at, Code::BadValue, message);
    }
}

/// The parameters of an action that says none: the inputs of its workflow.
pub(super) fn parameters(workflow: &WorkflowDraft, report: &mut Report<'_>) -> Vec<ParameterDef> {
    let mut parameters: Vec<ParameterDef> = Vec::new();
    for input in &workflow.inputs {
        if let Err(message) = check_name(&input.name) {
            report.problems().add(&workflow.place(input.at), Code::BadName, message);
            continue;
        }
        // What has to be evaluated is for the workflow to fill in.
        let default = input.default.as_ref().filter(|_| !input.is_evaluated).map(|default| default.to_json());
        parameters.retain(|known| known.name != *input.name);
        parameters.push(ParameterDef {
            name: input.name.to_string(),
            description: String::new(),
            required: input.default.is_none(),
            default,
            schema: Value::Object(Map::new()),
            position: None,
            secret: false,
        });
    }
    parameters
}

/// Checks the parameters of an action that says some against the inputs of its workflow.
pub(super) fn check_parameters(
    workflow: &WorkflowDraft,
    node: &Node,
    parameters: &[ParameterDef],
    report: &mut Report<'_>,
) {
    let names = || workflow.inputs.iter().map(|input| &*input.name);
    for parameter in parameters {
        if !names().any(|name| name == parameter.name) {
            let hint = did_you_mean(&parameter.name, names());
            let message = format!("{} has no input {:?}{hint}", workflow.file, parameter.name);
            report.add(key_in(node, &format!("/{}", parameter.name)), Code::UnknownReference, message);
        }
    }
    for input in workflow.inputs.iter().filter(|input| input.default.is_none()) {
        if !parameters.iter().any(|parameter| parameter.name == *input.name) {
            let message =
                format!("the input {:?} has no default, and its action has no parameter of that name", input.name);
            report.problems().add(&workflow.place(input.at), Code::BadParameter, message);
        }
    }
}
