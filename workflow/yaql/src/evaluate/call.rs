//! Which function a call means, and calling it.

use std::sync::Arc;

use super::{Argument, Context, Evaluator};
use crate::error::EvaluationError;
use crate::function::{Definition, Invocation, Mapping, Payload, Slots, bind, map_arguments};
use crate::syntax::Node;
use crate::value::{Value, str_text};

type Named = Vec<(Arc<str>, Argument)>;

/// The functions of one layer that a call could mean, and what its arguments would be for.
type Candidates = Vec<Vec<(Arc<Definition>, Mapping)>>;

impl Evaluator<'_> {
    /// Calls the function of this name that takes these arguments.
    pub(crate) fn call(
        &self,
        name: &str,
        context: &Arc<Context>,
        receiver: Option<Value>,
        positional: Vec<Argument>,
        named: Named,
    ) -> Result<Value, EvaluationError> {
        self.step(1)?;
        let result = self.nested(|evaluator| evaluator.dispatch(name, context, receiver, positional, named))?;
        self.admit(&result)?;
        Ok(result)
    }

    /// Calls a function with values, in a scope within this one.
    pub(crate) fn delegate(
        &self,
        name: &str,
        context: &Arc<Context>,
        arguments: Vec<Value>,
    ) -> Result<Value, EvaluationError> {
        self.call(name, context, None, arguments.into_iter().map(Argument::Value).collect(), Vec::new())
    }

    fn dispatch(
        &self,
        name: &str,
        context: &Arc<Context>,
        receiver: Option<Value>,
        mut positional: Vec<Argument>,
        mut named: Named,
    ) -> Result<Value, EvaluationError> {
        let layers = self.layers(name, context, receiver.is_some());
        if layers.is_empty() {
            return Err(unknown(name, receiver.as_ref()));
        }
        if let Some(receiver) = &receiver {
            positional.insert(0, Argument::Value(receiver.clone()));
        }
        let no_names = layers[0][0].no_names;
        (positional, named) = translate(no_names, positional, named)?;
        let candidates = self.candidates(name, &layers, receiver.as_ref(), &positional, &named)?;
        let Some((_, first)) = candidates.first().and_then(|layer| layer.first()) else {
            return Err(no_match(name, receiver.as_ref()));
        };
        let (lazy, lazy_names) = first.lazy();
        for (argument, lazy) in positional.iter_mut().zip(lazy) {
            self.evaluate_argument(argument, lazy, context)?;
        }
        for (name, argument) in &mut named {
            self.evaluate_argument(argument, lazy_names.contains(name), context)?;
        }
        let Some((definition, slots)) = self.winner(name, &candidates, receiver.as_ref(), &positional, &named)? else {
            return Err(no_match(name, receiver.as_ref()));
        };
        let scope = if definition.scoped { self.scope(context)? } else { Arc::clone(context) };
        let mut invocation = slots.convert(definition, receiver.as_ref(), scope, self)?;
        invoke(&mut invocation)
    }

    /// The functions of this name, those of inner scopes first.
    fn layers(&self, name: &str, context: &Arc<Context>, method: bool) -> Vec<Vec<Arc<Definition>>> {
        let name = name.trim_end_matches('_');
        let wanted = |definition: &Arc<Definition>| if method { definition.is_method } else { definition.is_function };
        let mut layers = Vec::new();
        let mut scope = Some(context);
        while let Some(context) = scope {
            let own: Vec<_> = context.functions(name).into_iter().filter(wanted).collect();
            if !own.is_empty() {
                layers.push(own);
            }
            scope = context.parent();
        }
        for layer in &self.setup.layers {
            let Some(group) = layer.group(name) else { continue };
            let matching: Vec<_> = group.definitions.iter().filter(|definition| wanted(definition)).cloned().collect();
            if !matching.is_empty() {
                layers.push(matching);
            }
            if group.exclusive {
                break;
            }
        }
        layers
    }

    fn candidates(
        &self,
        name: &str,
        layers: &[Vec<Arc<Definition>>],
        receiver: Option<&Value>,
        positional: &[Argument],
        named: &Named,
    ) -> Result<Candidates, EvaluationError> {
        let no_names = layers[0][0].no_names;
        let mut lazy = None;
        let mut candidates = Vec::new();
        for layer in layers {
            let mut matching = Vec::new();
            for definition in layer {
                if definition.no_names != no_names {
                    return Err(ambiguous(name, receiver));
                }
                let Some(mapping) = map_arguments(definition, positional, named, self) else { continue };
                let own = mapping.lazy();
                if lazy.get_or_insert_with(|| own.clone()) != &own {
                    return Err(ambiguous(name, receiver));
                }
                matching.push((Arc::clone(definition), mapping));
            }
            if !matching.is_empty() {
                candidates.push(matching);
            }
        }
        Ok(candidates)
    }

    fn evaluate_argument(
        &self,
        argument: &mut Argument,
        lazy: bool,
        context: &Arc<Context>,
    ) -> Result<(), EvaluationError> {
        if let Argument::Node(node) = argument
            && !lazy
            && node.constant().is_none()
        {
            let value = self.evaluate(node, None, context)?;
            *argument = Argument::Value(value);
        }
        Ok(())
    }

    /// The narrowest function that takes the arguments, of the first layer that has one.
    fn winner<'c>(
        &self,
        name: &str,
        candidates: &'c Candidates,
        receiver: Option<&Value>,
        positional: &[Argument],
        named: &Named,
    ) -> Result<Option<(&'c Arc<Definition>, Slots)>, EvaluationError> {
        for layer in candidates {
            let mut winner: Option<(&Arc<Definition>, &Mapping, Slots)> = None;
            for (definition, mapping) in layer {
                let Some(slots) = bind(definition, positional, named, self) else { continue };
                if let Some((_, best, _)) = &winner {
                    if best.specializes(mapping) {
                        continue;
                    }
                    if !mapping.specializes(best) {
                        return Err(ambiguous(name, receiver));
                    }
                }
                winner = Some((definition, mapping, slots));
            }
            if let Some((definition, _, slots)) = winner {
                return Ok(Some((definition, slots)));
            }
        }
        Ok(None)
    }
}

fn invoke(invocation: &mut Invocation<'_, '_>) -> Result<Value, EvaluationError> {
    match invocation.definition.payload.clone() {
        Payload::Native(native) => native(invocation),
        Payload::Host => invocation.evaluator.host().call(invocation.definition.name(), &invocation.arguments()),
        Payload::Defined(lambda) => {
            let named = invocation.named_values();
            lambda.call_named(invocation.evaluator, &invocation.rest_values(), &named)
        }
    }
}

/// Tells arguments with names from others. A function that has no names for them gets `a => b` as it is.
fn translate(
    no_names: bool,
    positional: Vec<Argument>,
    named: Named,
) -> Result<(Vec<Argument>, Named), EvaluationError> {
    if no_names {
        return match named.first() {
            Some((name, _)) => Err(EvaluationError::new("ArgumentException", format!("Invalid argument {name}"))),
            None => Ok((positional, named)),
        };
    }
    let wrong = || EvaluationError::new("MappingTranslationException", "Cannot convert mapping to keyword argument");
    let mut plain = Vec::with_capacity(positional.len());
    let mut translated: Named = Vec::new();
    for argument in positional {
        match &argument {
            Argument::Node(node) => match &**node {
                Node::Mapping(source, destination) => {
                    let Node::Keyword(name) = &**source else { return Err(wrong()) };
                    let argument = Argument::Node(Arc::clone(destination));
                    match translated.iter_mut().find(|(known, _)| known == name) {
                        Some((_, old)) => *old = argument,
                        None => translated.push((Arc::clone(name), argument)),
                    }
                }
                _ => plain.push(argument),
            },
            Argument::Value(_) | Argument::Missing => plain.push(argument),
        }
    }
    for (name, argument) in named {
        if translated.iter().any(|(known, _)| *known == name) {
            return Err(wrong());
        }
        translated.push((name, argument));
    }
    Ok((plain, translated))
}

fn unknown(name: &str, receiver: Option<&Value>) -> EvaluationError {
    match receiver {
        None => EvaluationError::new("NoFunctionRegisteredException", format!("Unknown function \"{name}\"")),
        Some(receiver) => {
            let message = format!("Unknown method \"{name}\" for receiver {}", str_text(receiver));
            EvaluationError::new("NoMethodRegisteredException", message)
        }
    }
}

fn no_match(name: &str, receiver: Option<&Value>) -> EvaluationError {
    match receiver {
        None => {
            let message = format!("No function \"{name}\" matches supplied arguments");
            EvaluationError::new("NoMatchingFunctionException", message)
        }
        Some(receiver) => {
            let receiver = str_text(receiver);
            let message = format!("No method \"{name}\" for receiver {receiver} matches supplied arguments");
            EvaluationError::new("NoMatchingMethodException", message)
        }
    }
}

fn ambiguous(name: &str, receiver: Option<&Value>) -> EvaluationError {
    match receiver {
        None => EvaluationError::new("AmbiguousFunctionException", format!("Ambiguous function \"{name}\"")),
        Some(receiver) => {
            let message = format!("Ambiguous method \"{name}\" for receiver {}", str_text(receiver));
            EvaluationError::new("AmbiguousMethodException", message)
        }
    }
}
