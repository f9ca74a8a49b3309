//! From a text to its parts.

use std::sync::Arc;

use indexmap::IndexMap;

use super::native::{self, NativeSpec, NativeTaskSpec};
use super::{RetrySpec, SpecError, TaskSpec, TransitionSpec, WithSpec, WorkflowSpec, inline, python};
use crate::expression::{Dialect, Map, Value};
use crate::limits::{TASK_NAME_BYTES_MAX, TASKS_MAX};
use crate::yaml::{self, Places};

pub(super) fn read(text: &str, dialect: Dialect, versioned: bool) -> Result<WorkflowSpec, SpecError> {
    let start = Places::default().of("");
    let plain = |message: &str| SpecError { at: start, message: message.to_owned() };
    if text.trim().is_empty() {
        return Err(plain("Workflow definition is empty."));
    }
    let document = yaml::parse(text).map_err(|error| SpecError {
        at: error.at,
        message: format!("Failed to load workflow definition because {}.", error.message),
    })?;
    let reader = Reader { places: document.places, dialect };
    let Value::Map(all) = &document.value else {
        return Err(plain("Unable to convert workflow definition into dict."));
    };
    match all.get("version") {
        None if versioned => return Err(plain("Version of the workflow definition is not provided.")),
        None => {}
        Some(version) => {
            let written = match version {
                Value::String(text) => text.to_string(),
                other => python::repr(other),
            };
            if written != "1.0" {
                return Err(reader.error("version", "Workflow definition is not the supported version \"1.0\"."));
            }
        }
    }
    let raw: Map =
        all.iter().filter(|(key, _)| &***key != "version").map(|(key, value)| (key.clone(), value.clone())).collect();
    if raw.is_empty() {
        return Err(plain("Workflow definition contains no workflow."));
    }
    let (raw, native) = match dialect {
        Dialect::Orquesta => (raw, NativeSpec::default()),
        Dialect::Native => native::of_workflow(&raw),
    };
    let (raw, tasks) = reader.tasks(raw)?;
    let field = |name: &str| raw.get(name).cloned().unwrap_or_default();
    Ok(WorkflowSpec {
        input: field("input"),
        vars: field("vars"),
        output: field("output"),
        tasks,
        places: reader.places,
        dialect,
        native,
        raw: Value::Map(raw.clone()),
    })
}

struct Reader {
    places: Places,
    dialect: Dialect,
}

impl Reader {
    fn error(&self, path: &str, message: impl Into<String>) -> SpecError {
        SpecError { at: self.places.of(path), message: message.into() }
    }

    fn map<'value>(&self, value: &'value Value, path: &str) -> Result<&'value Map, SpecError> {
        match value {
            Value::Map(map) if !map.is_empty() => Ok(map),
            other => {
                Err(self
                    .error(path, format!("{path} must be a mapping that is not empty, found {}", python::repr(other))))
            }
        }
    }

    /// The tasks, and the whole with the short form of items written out.
    fn tasks(&self, raw: Map) -> Result<(Map, IndexMap<Arc<str>, TaskSpec>), SpecError> {
        let Some(written) = raw.get("tasks").filter(|tasks| tasks.is_true()) else {
            return Ok((raw, IndexMap::new()));
        };
        let written = self.map(written, "tasks")?;
        if written.len() > TASKS_MAX {
            return Err(self.error("tasks", format!("{} tasks, the limit TASKS_MAX is {TASKS_MAX}", written.len())));
        }
        let mut tasks = IndexMap::new();
        let mut full = Vec::new();
        for (name, task) in written.iter() {
            let path = format!("tasks.{name}");
            if name.is_empty() || !name.chars().all(|one| one.is_alphanumeric() || one == '_') {
                return Err(
                    self.error(&path, format!("the name of the task \"{name}\" must be made of letters, digits and _"))
                );
            }
            if name.len() > TASK_NAME_BYTES_MAX {
                let bytes = name.len();
                let message = format!(
                    "the name of a task has {bytes} bytes, the limit TASK_NAME_BYTES_MAX is {TASK_NAME_BYTES_MAX}"
                );
                return Err(self.error(&path, message));
            }
            let task = with_items_written_out(self.map(task, &path)?);
            let (task, native) = match self.dialect {
                Dialect::Orquesta => (task, NativeTaskSpec::default()),
                Dialect::Native => native::of_task(&task),
            };
            tasks.insert(name.clone(), TaskSpec { native, ..self.task(&task, &path)? });
            full.push((name.clone(), Value::Map(task)));
        }
        let full = Value::Map(full.into_iter().collect());
        let replaced = |(key, value): (&Arc<str>, &Value)| {
            (key.clone(), if &**key == "tasks" { full.clone() } else { value.clone() })
        };
        Ok((raw.iter().map(replaced).collect(), tasks))
    }

    fn task(&self, written: &Map, path: &str) -> Result<TaskSpec, SpecError> {
        let field = |name: &str| written.get(name).cloned().unwrap_or_default();
        let mut task = TaskSpec {
            delay: field("delay"),
            join: field("join"),
            with: self.with(written.get("with"), path)?,
            action: field("action"),
            input: field("input"),
            retry: self.retry(written.get("retry"), path)?,
            next: self.next(written.get("next"), path)?,
            native: NativeTaskSpec::default(),
        };
        let action = task.action.as_str().unwrap_or_default();
        let parameters = inline::parameters(action);
        if !parameters.is_empty() {
            let Some((name, _)) = action.split_once(' ') else {
                return Err(self.error(&format!("{path}.action"), "the action's name is missing before its parameters"));
            };
            task.action = Value::text(name);
            task.input = Value::Map(parameters.into_iter().collect());
        }
        Ok(task)
    }

    fn with(&self, written: Option<&Value>, path: &str) -> Result<Option<WithSpec>, SpecError> {
        let Some(written) = written.filter(|written| !written.is_null()) else { return Ok(None) };
        if !written.is_true() {
            return Ok(Some(WithSpec::default()));
        }
        let map = self.map(written, &format!("{path}.with"))?;
        let field = |name: &str| map.get(name).cloned().unwrap_or_default();
        Ok(Some(WithSpec { items: field("items"), concurrency: field("concurrency") }))
    }

    fn retry(&self, written: Option<&Value>, path: &str) -> Result<Option<RetrySpec>, SpecError> {
        let Some(written) = written.filter(|written| written.is_true()) else { return Ok(None) };
        let map = self.map(written, &format!("{path}.retry"))?;
        let field = |name: &str| map.get(name).cloned().unwrap_or_default();
        Ok(Some(RetrySpec { when: field("when"), count: field("count"), delay: field("delay") }))
    }

    fn next(&self, written: Option<&Value>, path: &str) -> Result<Vec<TransitionSpec>, SpecError> {
        let Some(written) = written.filter(|written| written.is_true()) else { return Ok(Vec::new()) };
        let Value::List(entries) = written else {
            return Err(self.error(
                &format!("{path}.next"),
                format!("{path}.next must be a list, found {}", python::repr(written)),
            ));
        };
        let entry = |(number, entry): (usize, &Value)| self.transition(entry, &format!("{path}.next[{number}]"));
        entries.items().iter().enumerate().map(entry).collect()
    }

    fn transition(&self, written: &Value, path: &str) -> Result<TransitionSpec, SpecError> {
        let map = self.map(written, path)?;
        let mut publish = map.get("publish").cloned().unwrap_or_default();
        if let Some(text) = publish.as_str().filter(|text| !text.is_empty()) {
            let one = |parameter: (Arc<str>, Value)| Value::Map([parameter].into_iter().collect());
            publish = Value::List(inline::parameters(text).into_iter().map(one).collect());
        }
        let to_raw = map.get("do").filter(|to| to.is_true()).cloned().unwrap_or_else(|| Value::text("continue"));
        let to = match &to_raw {
            Value::String(names) => names.split(',').map(|name| Arc::from(name.trim())).collect(),
            Value::List(names) => names.items().iter().map(name_of).collect(),
            Value::Map(names) => names.iter().map(|(name, _)| name.clone()).collect(),
            other => {
                let message = format!("{path}.do must name tasks, found {}", python::repr(other));
                return Err(self.error(&format!("{path}.do"), message));
            }
        };
        Ok(TransitionSpec { when: map.get("when").cloned().unwrap_or_default(), publish, to, to_raw })
    }
}

fn name_of(value: &Value) -> Arc<str> {
    match value {
        Value::String(text) => text.clone(),
        other => python::repr(other).into(),
    }
}

/// `with: x in <% … %>` is short for `with: { items: x in <% … %> }`.
fn with_items_written_out(task: &Map) -> Map {
    let full = |(key, value): (&Arc<str>, &Value)| match value {
        Value::String(_) if &**key == "with" => {
            (key.clone(), Value::Map([(Arc::from("items"), value.clone())].into_iter().collect()))
        }
        _ => (key.clone(), value.clone()),
    };
    task.iter().map(full).collect()
}
