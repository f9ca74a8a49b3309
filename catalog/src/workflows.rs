//! Workflows against the revision that they are of: the actions that they call, and what these are given.

use std::collections::BTreeMap;

use petrel_execution::workflow::AnswerSchema;
use petrel_schemas::SecretRef;
use petrel_workflow::outline::{ASK, Argument, Call, Input};
use petrel_workflow::rehearsal::Tests;

use crate::action::ActionDef;
use crate::compile::{CompiledRevision, Told};
use crate::pack::{INQUIRER, ParameterDef, WorkflowDraft, compile_schema, describe_errors};
use crate::problems::{Code, Problems, did_you_mean};
use crate::secrets;

/// Checks every constant call of every workflow, that no workflow calls itself without an end, and that
/// tests are of workflows that are there.
pub(crate) fn check(revision: &CompiledRevision, told: &Told, problems: &mut Problems) {
    for (reference, workflow) in revision.workflows() {
        let pack = reference.split('.').next().unwrap_or_default();
        for call in &workflow.calls {
            match revision.action(&call.action) {
                Some(_) if told.is_broken(&call.action) => {}
                None if told.explains(&call.action) => {}
                Some(action) if *call.action == *ASK && action.plan.runner.name() != INQUIRER => {
                    let message = format!(
                        "{ASK} asks people, so its runner is {INQUIRER:?}, and the revision's is {:?}: take that of packs/core",
                        action.plan.runner.name()
                    );
                    problems.add(&workflow.place(call.at), Code::BadWorkflow, message);
                }
                Some(action) => check_call(pack, workflow, call, action, problems),
                None if call.is_question => {
                    let message = format!(
                        "a task with `approve` asks people by the action {ASK}, which the revision does not have: add \
                         packs/core to it"
                    );
                    problems.add(&workflow.place(call.at), Code::UnknownReference, message);
                }
                None => {
                    let message = revision.no_such_action(&call.action);
                    problems.add(&workflow.place(call.at), Code::UnknownReference, message);
                }
            }
        }
    }
    check_recursion(revision.workflows(), problems);
    for draft in revision.workflow_tests().iter().filter(|draft| matches!(draft.file.tests, Tests::Scenarios(_))) {
        let reference = &draft.file.workflow;
        if !revision.workflows().contains_key(reference) && !told.explains(reference) {
            let hint = did_you_mean(reference, revision.workflow_names());
            let message = format!("there is no workflow {reference:?}{hint}");
            problems.add(&draft.workflow_place(), Code::UnknownReference, message);
        }
    }
}

fn check_call(pack: &str, workflow: &WorkflowDraft, call: &Call, action: &ActionDef, problems: &mut Problems) {
    let Input::Arguments(arguments) = &call.input else { return };
    for argument in arguments {
        if names_people(action, argument) {
            let message = format!(
                "{:?} is not supported in this version, until identities exist: whoever may answer at all may answer",
                &*argument.name
            );
            problems.add(&workflow.place(argument.at), Code::NotSupported, message);
            continue;
        }
        if is_question(action)
            && *argument.name == *"schema"
            && !argument.is_evaluated
            && let Err(why) = AnswerSchema::compile(&argument.value.to_json())
        {
            let message = format!("\"schema\" is no schema of an answer: {why}");
            problems.add(&workflow.place(argument.at), Code::BadParameter, message);
            continue;
        }
        match action.parameter(&argument.name) {
            Some(_) if argument.is_evaluated => {}
            Some(parameter) => check_argument(pack, workflow, argument, parameter, problems),
            None => {
                let known = action.parameters.iter().map(|parameter| parameter.name.as_str());
                let hint = did_you_mean(&argument.name, known);
                let message = format!("action {} has no parameter {:?}{hint}", action.reference, &*argument.name);
                problems.add(&workflow.place(argument.at), Code::UnknownReference, message);
            }
        }
    }
    for parameter in action.parameters.iter().filter(|parameter| parameter.required && parameter.default.is_none()) {
        if !arguments.iter().any(|argument| *argument.name == parameter.name) {
            let message = format!("action {} needs the parameter {:?}", action.reference, parameter.name);
            problems.add(&workflow.place(call.input_at), Code::BadParameter, message);
        }
    }
}

fn is_question(action: &ActionDef) -> bool {
    action.plan.runner.name() == INQUIRER
}

/// Whether a question is for some people and not for others.
fn names_people(action: &ActionDef, argument: &Argument) -> bool {
    is_question(action)
        && ["roles", "users"].contains(&&*argument.name)
        && argument.value.as_list().is_some_and(|names| !names.is_empty())
}

/// A constant must fit the schema; a secret is named, by its own pack.
fn check_argument(
    pack: &str,
    workflow: &WorkflowDraft,
    argument: &Argument,
    parameter: &ParameterDef,
    problems: &mut Problems,
) {
    let (place, value) = (workflow.place(argument.at), argument.value.to_json());
    match value.as_str().and_then(SecretRef::of_text) {
        Some(secret) if parameter.secret => secrets::check_space(pack, &secret, &place, problems),
        Some(_) => {
            let message = format!(
                "parameter {:?} is not marked `secret: true` by its action, so its value would be shown: no secret goes \
                 there",
                parameter.name
            );
            problems.add(&place, Code::BadParameter, message);
        }
        None if parameter.secret => {
            let message = format!("parameter {:?} holds a secret: {}", parameter.name, secrets::NAME_IT);
            problems.add(&place, Code::BadParameter, message);
        }
        None => {
            let Ok(validator) = compile_schema(&parameter.schema) else { return };
            if let Some(reason) = describe_errors(&validator, &value).into_iter().next() {
                let message = format!("the value of {:?} breaks the action's schema: {reason}", parameter.name);
                problems.add(&place, Code::BadParameter, message);
            }
        }
    }
}

/// How far a workflow has been followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Followed {
    /// It stands on the way that is being followed.
    OnTheWay,
    /// Nothing leads from it back to itself that was not told.
    Done,
}

/// Reports each call that closes a circle of workflows, with the whole circle.
fn check_recursion(workflows: &BTreeMap<String, WorkflowDraft>, problems: &mut Problems) {
    let mut followed: BTreeMap<&str, Followed> = BTreeMap::new();
    for start in workflows.keys() {
        if followed.contains_key(start.as_str()) {
            continue;
        }
        // The way with, for each workflow, the number of the call that is followed next.
        let mut way: Vec<(&str, usize)> = vec![(start, 0)];
        followed.insert(start, Followed::OnTheWay);
        while let Some((at, number)) = way.last_mut() {
            let (at, workflow) = (*at, &workflows[*at]);
            let Some(call) = workflow.calls.get(*number) else {
                followed.insert(at, Followed::Done);
                way.pop();
                continue;
            };
            *number += 1;
            let Some((target, _)) = workflows.get_key_value(&*call.action) else { continue };
            match followed.get(target.as_str()) {
                Some(Followed::Done) => {}
                Some(Followed::OnTheWay) => {
                    let from = way.iter().position(|(name, _)| name == target).unwrap_or_default();
                    let circle = way[from..].iter().map(|(name, _)| *name).chain([target.as_str()]);
                    let circle = circle.collect::<Vec<_>>().join(" → ");
                    let message = format!("workflows that call each other have no end: {circle}");
                    problems.add(&workflow.place(call.at), Code::BadWorkflow, message);
                }
                None => {
                    followed.insert(target, Followed::OnTheWay);
                    way.push((target, 0));
                }
            }
        }
    }
}
