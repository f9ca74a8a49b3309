//! The variables that an expression sees.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;

use crate::function::Definition;
use crate::value::Value;

/// Variables by name, without the `$`. Clones share them.
#[derive(Clone, Default, Debug)]
pub struct Variables(Arc<IndexMap<Arc<str>, Value>>);

impl Variables {
    /// The variable of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

impl<N: Into<Arc<str>>> FromIterator<(N, Value)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, Value)>>(variables: I) -> Variables {
        Variables(Arc::new(variables.into_iter().map(|(name, value)| (name.into(), value)).collect()))
    }
}

/// Variables and functions in scope; what a scope does not have, the one around it may have.
pub struct Context {
    parent: Option<Arc<Context>>,
    given: Option<Variables>,
    own: Mutex<Own>,
    depth: AtomicU32,
}

#[derive(Default)]
struct Own {
    variables: Vec<(Arc<str>, Value)>,
    functions: Vec<Arc<Definition>>,
}

impl Context {
    /// The outermost scope.
    pub(crate) fn root(variables: &Variables, data: Value) -> Arc<Context> {
        let own = Own { variables: vec![("1".into(), data)], functions: Vec::new() };
        Arc::new(Context {
            parent: None,
            given: Some(variables.clone()),
            own: Mutex::new(own),
            depth: AtomicU32::new(0),
        })
    }

    /// A scope within this one.
    pub(crate) fn child(self: &Arc<Context>) -> Arc<Context> {
        let depth = AtomicU32::new(self.depth().saturating_add(1));
        Arc::new(Context { parent: Some(Arc::clone(self)), given: None, own: Mutex::default(), depth })
    }

    pub(crate) fn parent(&self) -> Option<&Arc<Context>> {
        self.parent.as_ref()
    }

    /// How deep the scope lies, and what it holds.
    pub(crate) fn depth(&self) -> u32 {
        self.depth.load(Ordering::Relaxed)
    }

    /// The variable of this name, with or without its `$`.
    pub(crate) fn get(&self, name: &str) -> Value {
        let name = plain(name);
        let mut scope = Some(self);
        while let Some(context) = scope {
            let own = context.own.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, value)) = own.variables.iter().find(|(own, _)| **own == *name) {
                return value.clone();
            }
            if let Some(value) = context.given.as_ref().and_then(|given| given.get(name)) {
                return value.clone();
            }
            drop(own);
            scope = context.parent.as_deref();
        }
        Value::Null
    }

    /// Gives a variable a value in this scope.
    pub(crate) fn set(&self, name: &str, value: Value) {
        let name = plain(name);
        self.depth.fetch_max(value.extent().depth.saturating_add(1), Ordering::Relaxed);
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        match own.variables.iter_mut().find(|(own, _)| **own == *name) {
            Some((_, old)) => *old = value,
            None => own.variables.push((name.into(), value)),
        }
    }

    /// Takes out all that it holds.
    pub(crate) fn clear(&self) {
        let own = std::mem::take(&mut *self.own.lock().unwrap_or_else(PoisonError::into_inner));
        drop(own);
    }

    /// Adds a function to this scope.
    pub(crate) fn define(&self, function: Arc<Definition>) {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).functions.push(function);
    }

    /// The functions of this name that this scope itself has.
    pub(crate) fn functions(&self, name: &str) -> Vec<Arc<Definition>> {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.functions.iter().filter(|function| function.name() == name).cloned().collect()
    }
}

/// A variable's name as it is kept: `$` alone is the first argument.
fn plain(name: &str) -> &str {
    match name.strip_prefix('$').unwrap_or(name) {
        "" => "1",
        plain => plain,
    }
}
