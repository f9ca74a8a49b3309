//! Expressions that only look something up: `ctx().name.field`, `result()`, `succeeded()`.
//!
//! Most expressions of workflows are such, and need no engine. Where a look-up finds nothing the engine of the language
//! is asked all the same: it knows what that means in its language, and what its error says.

use std::sync::Arc;

use super::scope::INTERNAL;
use super::{Language, Scope, Value, functions};

/// A look-up.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Accessor {
    root: Root,
    fields: Vec<Arc<str>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Root {
    /// A variable: `ctx().name`, `ctx(name)`.
    Variable(Arc<str>),
    /// A function without arguments.
    Call(&'static functions::Function),
}

/// Functions without arguments that may stand at the beginning.
const CALLS: [&str; 6] = ["result", "item", "succeeded", "failed", "timed_out", "completed"];

/// Names that are methods of Python's dictionaries, which Jinja takes before entries.
const METHODS: [&str; 11] =
    ["clear", "copy", "fromkeys", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"];

impl Accessor {
    /// The look-up that an expression is, if it is one.
    pub fn parse(source: &str, language: Language) -> Option<Self> {
        let mut parts = Parts(source);
        let name = parts.name()?;
        let argument = parts.argument(language)?;
        let mut fields = parts.fields(language)?;
        if name == "ctx" {
            let variable = match argument {
                Some(name) => name,
                None if fields.is_empty() => return None,
                None => fields.remove(0),
            };
            // Internal variables have an error of their own.
            return (!variable.starts_with(INTERNAL)).then_some(Accessor { root: Root::Variable(variable), fields });
        }
        let function = CALLS.contains(&name).then(|| functions::all().find(|function| function.name == name)).flatten();
        function.filter(|_| argument.is_none()).map(|function| Accessor { root: Root::Call(function), fields })
    }

    /// What is there; none if something is not.
    pub fn find(&self, scope: &Scope) -> Option<Value> {
        let root = match &self.root {
            Root::Variable(name) => scope.variables.get(name)?,
            Root::Call(function) => function.call(&[], &[], scope).ok()?,
        };
        let mut value = &root;
        for field in &self.fields {
            value = value.get(field)?;
        }
        Some(value.clone())
    }
}

/// What is left of an expression.
struct Parts<'t>(&'t str);

impl<'t> Parts<'t> {
    fn name(&mut self) -> Option<&'t str> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = self.0.find(|c| !is_part(c)).unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at(end);
        self.0 = rest;
        (!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())).then_some(name)
    }

    /// `()`, or one name in brackets: in quotes, or in YAQL without them.
    fn argument(&mut self, language: Language) -> Option<Option<Arc<str>>> {
        self.0 = self.0.strip_prefix('(')?;
        if let Some(rest) = self.0.strip_prefix(')') {
            self.0 = rest;
            return Some(None);
        }
        let quote = self.0.chars().next().filter(|c| matches!(c, '\'' | '"'));
        if let Some(quote) = quote {
            self.0 = &self.0[1..];
            let name = self.name()?;
            self.0 = self.0.strip_prefix(quote)?.strip_prefix(')')?;
            return Some(Some(name.into()));
        }
        let name = self.name().filter(|name| !matches!(*name, "true" | "false" | "null"))?;
        self.0 = self.0.strip_prefix(')')?;
        (language == Language::Yaql).then_some(Some(name.into()))
    }

    fn fields(&mut self, language: Language) -> Option<Vec<Arc<str>>> {
        let mut fields = Vec::new();
        while let Some(rest) = self.0.strip_prefix('.') {
            self.0 = rest;
            let name = self.name()?;
            let is_method = language == Language::Jinja && (METHODS.contains(&name) || name.starts_with("__"));
            if is_method || matches!(name, "true" | "false" | "null" | "and" | "or" | "not" | "in" | "is") {
                return None;
            }
            fields.push(name.into());
        }
        self.0.is_empty().then_some(fields)
    }
}
