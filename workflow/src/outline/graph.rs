//! A workflow drawn: as text, for Graphviz, for Mermaid, as JSON. The same workflow is always the same text.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Outline, Task, Transition};
use crate::spec::COMMANDS;

/// For people: each task with what it does, and below it what comes behind it in which case.
pub fn text(outline: &Outline) -> String {
    let mut written = String::new();
    for task in &outline.tasks {
        let action = task.action.as_ref().map(|action| format!(": {action}")).unwrap_or_default();
        let remarks = remarks(task);
        let remarks = if remarks.is_empty() { String::new() } else { format!("  ({})", remarks.join("; ")) };
        push(&mut written, format_args!("{}{action}{remarks}\n", task.name));
        for transition in &task.next {
            let when = transition.when.as_deref().unwrap_or("always");
            push(&mut written, format_args!("  {when} → {}{}\n", transition.to.join(", "), published(transition)));
        }
    }
    written
}

/// A digraph of Graphviz.
pub fn dot(outline: &Outline) -> String {
    let mut written = String::from("digraph workflow {\n  node [shape=box];\n");
    for task in &outline.tasks {
        push(&mut written, format_args!("  {} [label={}];\n", quoted(&task.name), quoted(&label(task).join("\n"))));
    }
    for command in commands(outline) {
        push(&mut written, format_args!("  {} [shape=ellipse];\n", quoted(&command)));
    }
    for (from, transition, to) in edges(outline) {
        let label = edge_label(transition).map(|label| format!(" [label={}]", quoted(&label))).unwrap_or_default();
        push(&mut written, format_args!("  {} -> {}{label};\n", quoted(from), quoted(to)));
    }
    written.push_str("}\n");
    written
}

/// A flowchart of Mermaid. Tasks have numbers in it, for their names may be words of its language.
pub fn mermaid(outline: &Outline) -> String {
    let commands = commands(outline);
    let names = outline.tasks.iter().map(|task| &task.name).chain(&commands);
    let names: Vec<&Arc<str>> = names.collect();
    let id = |name: &str| names.iter().position(|known| &***known == name);
    let mut written = String::from("flowchart TD\n");
    for (number, task) in outline.tasks.iter().enumerate() {
        push(&mut written, format_args!("  t{number}[\"{}\"]\n", escaped(&label(task)).join("<br>")));
    }
    for (number, command) in commands.iter().enumerate() {
        push(&mut written, format_args!("  t{}([\"{command}\"])\n", outline.tasks.len() + number));
    }
    for (from, transition, to) in edges(outline) {
        // A task that is not there is for an inspection to tell.
        let (Some(from), Some(to)) = (id(from), id(to)) else { continue };
        let label = edge_label(transition).map(|label| format!("|\"{}\"|", escaped(&[label]).concat()));
        push(&mut written, format_args!("  t{from} -->{} t{to}\n", label.unwrap_or_default()));
    }
    written
}

/// For programs: `inputs`, `tasks` with their `next`, `output` and `cycles`.
pub fn json(outline: &Outline) -> Value {
    let transition = |transition: &Transition| {
        let publish: Vec<&str> = transition.publish.iter().map(|name| &**name).collect();
        let to: Vec<&str> = transition.to.iter().map(|name| &**name).collect();
        json!({"when": transition.when.as_deref(), "publish": publish, "do": to})
    };
    let task = |task: &Task| {
        json!({
            "name": *task.name,
            "line": task.at.line,
            "action": task.action.as_deref(),
            "items": task.items.as_deref(),
            "join": task.join,
            "start": task.is_start,
            "split": task.is_split,
            "cycle": task.is_cyclic,
            "retry": task.is_retried,
            "next": task.next.iter().map(transition).collect::<Vec<_>>(),
        })
    };
    let input = |input: &super::Parameter| {
        json!({"name": *input.name, "required": input.default.is_none(),
               "default": input.default.as_ref().map(crate::expression::Value::to_json)})
    };
    let cycle = |cycle: &Vec<Arc<str>>| cycle.iter().map(|name| (**name).to_owned()).collect::<Vec<_>>();
    json!({
        "inputs": outline.inputs.iter().map(input).collect::<Vec<_>>(),
        "tasks": outline.tasks.iter().map(task).collect::<Vec<_>>(),
        "output": outline.output.iter().map(|name| (**name).to_owned()).collect::<Vec<_>>(),
        "cycles": outline.cycles.iter().map(cycle).collect::<Vec<_>>(),
    })
}

/// Writing to a text cannot fail.
fn push(written: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = written.write_fmt(arguments);
}

fn remarks(task: &Task) -> Vec<String> {
    let mut remarks = Vec::new();
    if task.is_start {
        remarks.push("start".to_owned());
    }
    if let Some(items) = &task.items {
        remarks.push(format!("for each of {items}"));
    }
    if let Some(join) = &task.join {
        remarks.push(format!("join {join}"));
    }
    let flags = [(task.is_split, "split"), (task.is_cyclic, "cycle"), (task.is_retried, "retry")];
    remarks.extend(flags.into_iter().filter(|(is, _)| *is).map(|(_, word)| word.to_owned()));
    remarks
}

fn published(transition: &Transition) -> String {
    if transition.publish.is_empty() {
        return String::new();
    }
    format!("  (publishes {})", transition.publish.join(", "))
}

/// The lines of a task's box.
fn label(task: &Task) -> Vec<String> {
    let mut lines = vec![task.name.to_string()];
    lines.extend(task.action.as_ref().map(ToString::to_string));
    lines.extend(remarks(task).into_iter().filter(|remark| remark != "start"));
    lines
}

fn edge_label(transition: &Transition) -> Option<String> {
    transition.when.as_ref().map(ToString::to_string)
}

fn edges(outline: &Outline) -> impl Iterator<Item = (&str, &Transition, &str)> {
    outline.tasks.iter().flat_map(|task| {
        task.next
            .iter()
            .flat_map(move |transition| transition.to.iter().map(move |to| (&*task.name, transition, &**to)))
    })
}

/// The commands that something leads to, by name; a task that has the name of one is one.
fn commands(outline: &Outline) -> Vec<Arc<str>> {
    let is_command = |to: &&Arc<str>| COMMANDS.contains(&&***to) && !outline.tasks.iter().any(|task| task.name == **to);
    let all = outline.tasks.iter().flat_map(|task| &task.next).flat_map(|transition| &transition.to);
    let found: BTreeSet<Arc<str>> = all.filter(is_command).cloned().collect();
    found.into_iter().collect()
}

/// A text as Graphviz takes it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// Texts as Mermaid takes them in quotes.
fn escaped(lines: &[String]) -> Vec<String> {
    let escape = |line: &String| line.replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;");
    lines.iter().map(escape).collect()
}
