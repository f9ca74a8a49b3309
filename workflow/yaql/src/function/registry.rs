//! The functions that there are.

use std::collections::HashMap;
use std::sync::Arc;

use super::binding::Invocation;
use super::definition::{Definition, Payload};
use super::signature::Signature;
use crate::error::EvaluationError;
use crate::value::Value;

/// What a function of the library is.
pub(crate) type Native = fn(&mut Invocation<'_, '_>) -> Result<Value, EvaluationError>;

/// Functions by name. Layers lie over one another: the first in which a function takes the arguments decides.
#[derive(Default, Clone)]
pub(crate) struct Layer {
    functions: HashMap<Arc<str>, Group>,
}

/// The functions of one name in a layer.
#[derive(Default, Clone)]
pub(crate) struct Group {
    pub(crate) definitions: Vec<Arc<Definition>>,
    /// Whether the layers below count no longer.
    pub(crate) exclusive: bool,
}

impl Layer {
    pub(crate) fn group(&self, name: &str) -> Option<&Group> {
        self.functions.get(name)
    }

    pub(crate) fn add(&mut self, definition: Definition) {
        let group = self.functions.entry(Arc::clone(&definition.name)).or_default();
        group.definitions.push(Arc::new(definition));
    }

    /// Lets no function of this name below count.
    pub(crate) fn make_exclusive(&mut self, name: &str) {
        if let Some(group) = self.functions.get_mut(name) {
            group.exclusive = true;
        }
    }
}

/// Writes the library's functions into a layer.
pub(crate) struct Register<'l> {
    pub(crate) layer: &'l mut Layer,
}

impl Register<'_> {
    /// `f(x)`.
    pub(crate) fn function(&mut self, name: &str, signature: &str, native: Native) {
        self.add(name, signature, native, |definition| definition.is_function = true);
    }

    /// `x.f()`.
    pub(crate) fn method(&mut self, name: &str, signature: &str, native: Native) {
        self.add(name, signature, native, |definition| definition.is_method = true);
    }

    /// Both.
    pub(crate) fn extension(&mut self, name: &str, signature: &str, native: Native) {
        self.add(name, signature, native, |definition| {
            definition.is_function = true;
            definition.is_method = true;
        });
    }

    /// One with more than that to say about it.
    pub(crate) fn add(&mut self, name: &str, signature: &str, native: Native, refine: fn(&mut Definition)) {
        let Ok(signature) = Signature::parse(signature) else {
            unreachable!("the parameters of {name} are written in this crate")
        };
        let mut definition = Definition {
            name: name.into(),
            signature,
            is_function: false,
            is_method: false,
            no_names: false,
            scoped: false,
            payload: Payload::Native(native),
        };
        refine(&mut definition);
        self.layer.add(definition);
    }
}
