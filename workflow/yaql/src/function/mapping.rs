//! Which parameters the arguments of a call belong to, before they are evaluated.

use std::sync::Arc;

use super::definition::Definition;
use super::kind::Type;
use super::signature::Absent;
use crate::evaluate::{Argument, Evaluator};

/// What each argument of a call is for.
pub(crate) struct Mapping {
    pub(crate) positional: Vec<Type>,
    pub(crate) named: Vec<(Arc<str>, Type)>,
}

/// What each argument would be for if the call meant this function; `None` if it cannot mean it.
pub(crate) fn map_arguments(
    definition: &Definition,
    positional: &[Argument],
    named: &[(Arc<str>, Argument)],
    evaluator: &Evaluator<'_>,
) -> Option<Mapping> {
    let signature = &definition.signature;
    let mut types: Vec<(Option<Type>, Option<&Absent>)> = vec![(signature.rest, None); positional.len()];
    let mut names: Vec<(Arc<str>, Type)> = Vec::new();
    for (index, parameter) in signature.parameters.iter().enumerate() {
        let by_name = named.iter().any(|(name, _)| *name == parameter.name);
        match positional.get(index) {
            Some(argument) if !matches!(argument, Argument::Missing) => {
                if by_name {
                    return None;
                }
                types[index] = (Some(parameter.accepts), Some(&parameter.absent));
            }
            _ if by_name => names.push((Arc::clone(&parameter.name), parameter.accepts)),
            _ if matches!(parameter.absent, Absent::Required) => return None,
            Some(_) => types[index] = (Some(parameter.accepts), Some(&parameter.absent)),
            None => {}
        }
    }
    for (name, argument) in named {
        if names.iter().any(|(known, _)| known == name) {
            continue;
        }
        let accepts = signature.names?;
        if !accepts.takes(argument, evaluator) {
            return None;
        }
        names.push((Arc::clone(name), accepts));
    }
    let mut mapped = Vec::with_capacity(types.len());
    for ((accepts, absent), argument) in types.into_iter().zip(positional) {
        let accepts = accepts?;
        let default = match (argument, absent) {
            (Argument::Missing, Some(Absent::Value(value))) => Some(Argument::Value(value.clone())),
            _ => None,
        };
        if !accepts.takes(default.as_ref().unwrap_or(argument), evaluator) {
            return None;
        }
        mapped.push(accepts);
    }
    Some(Mapping { positional: mapped, named: names })
}

impl Mapping {
    /// Which arguments are not evaluated, as bits of their positions, and the names of those that have one.
    pub(crate) fn lazy(&self) -> (Vec<bool>, Vec<Arc<str>>) {
        let positional = self.positional.iter().map(|accepts| accepts.kind.lazy()).collect();
        let mut named: Vec<Arc<str>> =
            self.named.iter().filter(|(_, accepts)| accepts.kind.lazy()).map(|(name, _)| Arc::clone(name)).collect();
        named.sort();
        (positional, named)
    }

    /// Whether this takes less than `other`, which takes the same arguments.
    pub(crate) fn specializes(&self, other: &Mapping) -> bool {
        let positional = self.positional.iter().zip(&other.positional);
        let named = self.named.iter().filter_map(|(name, accepts)| {
            other.named.iter().find(|(other, _)| other == name).map(|(_, other)| (accepts, other))
        });
        let mut narrower = false;
        for (own, other) in positional.chain(named) {
            if other.kind.specializes(own.kind) {
                return false;
            }
            narrower |= own.kind.specializes(other.kind);
        }
        narrower
    }
}
