//! What the language itself is made of: variables, scopes, calls.

use std::sync::Arc;

use super::Outcome;
use crate::error::EvaluationError;
use crate::evaluate::{Argument, Cursor};
use crate::function::{Definition, Invocation, Payload, Register, Signature};
use crate::value::{Iterate, Value};

pub(super) fn register(library: &mut Register<'_>, delegates: bool) {
    let function = |definition: &mut Definition| definition.is_function = true;
    let scoped_function = |definition: &mut Definition| {
        definition.is_function = true;
        definition.scoped = true;
    };
    let scoped_method = |definition: &mut Definition| {
        definition.is_method = true;
        definition.scoped = true;
    };
    library.add("#get_context_data", "name: name", variable, function);
    library.add("#operator_.", "receiver: any?, expr: method", dot, function);
    library.add("#operator_?.", "receiver: any?, expr: expression", elvis, function);
    library.add("#operator_->", "left: context, right: scoped", send_context, function);
    library.add("unpack", "sequence: iterable, *args: string", unpack, scoped_method);
    library.add("with", "*args: any?", with, scoped_function);
    library.add("let", "*args: any?, **kwargs: any?", let_, scoped_function);
    library.add("def", "name: string, func: lambda", def, scoped_function);
    library.method("assert", "obj: any?, condition: lambda, message: string = 'Assertion failed'", assert);
    library.function("call", "name: string, args: sequence, kwargs: dict, receiver: any? = none", call);
    if delegates {
        library.function("#call", "callable: callable, *args: any?, **kwargs: any?", call_value);
        library.function("lambda", "func: lambda", lambda);
    }
}

pub(super) fn register_fallbacks(library: &mut Register<'_>) {
    library.function("#operator_.", "obj: any?, name: keyword", property);
}

fn variable(invocation: &mut Invocation<'_, '_>) -> Outcome {
    Ok(invocation.context.get(&invocation.text(0)))
}

fn dot(invocation: &mut Invocation<'_, '_>) -> Outcome {
    invocation.lambda(1)?.call_on(invocation.evaluator, &invocation.value(0), None)
}

fn elvis(invocation: &mut Invocation<'_, '_>) -> Outcome {
    let receiver = invocation.value(0);
    let Some(node) = invocation.node(1).filter(|_| !receiver.is_null()) else { return Ok(Value::Null) };
    let arguments = vec![Argument::Value(receiver), Argument::Node(node)];
    invocation.evaluator.call("#operator_.", &invocation.context, None, arguments, Vec::new())
}

fn send_context(invocation: &mut Invocation<'_, '_>) -> Outcome {
    let Value::Context(context) = invocation.value(0) else { return Ok(Value::Null) };
    invocation.lambda(1)?.call_in(invocation.evaluator, &context, &[])
}

/// The scope of the call, with what the function left in it.
fn own_scope(invocation: &Invocation<'_, '_>) -> Value {
    Value::Context(Arc::clone(&invocation.context))
}

fn unpack(invocation: &mut Invocation<'_, '_>) -> Outcome {
    let evaluator = invocation.evaluator;
    let names = invocation.rest_values();
    let mut cursor = invocation.cursor(0)?;
    let mut items = Vec::new();
    while items.len() <= names.len() {
        let Some(item) = cursor.next(evaluator)? else { break };
        items.push(item);
    }
    if names.is_empty() {
        // An iterator goes on behind the first element, which was read to count them.
        let mut cursor: Cursor = invocation.cursor(0)?;
        let mut number = 1_u32;
        while let Some(item) = cursor.next(evaluator)? {
            evaluator.use_memory(size_of::<Value>() as u64)?;
            invocation.context.set(&number.to_string(), item);
            number += 1;
        }
        return Ok(own_scope(invocation));
    }
    if names.len() != items.len() {
        let message = format!("Cannot unpack {} elements into {}", items.len(), names.len());
        return Err(EvaluationError::of_value(message));
    }
    for (name, item) in names.iter().zip(items) {
        invocation.context.set(name.as_str().unwrap_or_default(), item);
    }
    Ok(own_scope(invocation))
}

fn with(invocation: &mut Invocation<'_, '_>) -> Outcome {
    for (index, value) in invocation.rest_values().into_iter().enumerate() {
        invocation.context.set(&(index + 1).to_string(), value);
    }
    Ok(own_scope(invocation))
}

fn let_(invocation: &mut Invocation<'_, '_>) -> Outcome {
    with(invocation)?;
    for (name, value) in invocation.named_values() {
        invocation.context.set(&name, value);
    }
    Ok(own_scope(invocation))
}

fn def(invocation: &mut Invocation<'_, '_>) -> Outcome {
    let parameters = Signature::parse("*args: any?, **kwargs: any?");
    let signature = parameters.map_err(|error| EvaluationError::of_value(error.to_string()))?;
    let function = Arc::new(invocation.lambda(1)?);
    invocation.context.define(Arc::new(Definition {
        name: camel_case(&invocation.text(0)).into(),
        signature,
        is_function: true,
        is_method: false,
        no_names: false,
        scoped: false,
        payload: Payload::Defined(function),
    }));
    Ok(own_scope(invocation))
}

/// The name as YAQL registers it: `some_name` is `someName`, and underscores at the end do not count.
fn camel_case(name: &str) -> String {
    let name = name.trim_end_matches('_');
    let mut converted = String::new();
    let mut characters = name.chars().peekable();
    while let Some(character) = characters.next() {
        let joins = character == '_' && !converted.is_empty();
        match characters.peek() {
            Some(next) if joins && (next.is_alphanumeric() || *next == '_') => {
                converted.extend(next.to_uppercase());
                characters.next();
            }
            _ => converted.push(character),
        }
    }
    converted
}

fn assert(invocation: &mut Invocation<'_, '_>) -> Outcome {
    let object = memorized(invocation.value(0));
    let holds = invocation.lambda(1)?.call(invocation.evaluator, std::slice::from_ref(&object))?;
    if !holds.is_true() {
        return Err(EvaluationError::new("AssertionError", invocation.text(2).as_ref()));
    }
    Ok(object)
}

/// An iterator that can be read again and again; whatever else it is, as it is.
pub(super) fn memorized(value: Value) -> Value {
    match value {
        Value::Iterator(iterator) => Value::Iterator(Arc::new(Iterate::kept(iterator))),
        value => value,
    }
}

fn call(invocation: &mut Invocation<'_, '_>) -> Outcome {
    let evaluator = invocation.evaluator;
    let positional = evaluator.collect(&invocation.value(1))?.into_iter().map(Argument::Value).collect();
    let mut named = Vec::new();
    if let Value::Dict(names) = invocation.value(2) {
        for (key, value) in names.entries() {
            let Some(name) = key.value().as_str() else {
                let message = format!("expected string or bytes-like object, got '{}'", key.value().type_name());
                return Err(EvaluationError::of_type(message));
            };
            if !is_keyword(name) {
                let message = "dictionary changed size during iteration";
                return Err(EvaluationError::new("RuntimeError", message));
            }
            named.push((name.into(), Argument::Value(value.clone())));
        }
    }
    evaluator.call(&invocation.text(0), &invocation.context, invocation.given(3), positional, named)
}

/// Whether a text begins like a bare word.
fn is_keyword(text: &str) -> bool {
    let first = |character: char| character == '_' || character.is_alphabetic();
    text.starts_with(first) && !text.starts_with("__")
}

fn call_value(invocation: &mut Invocation<'_, '_>) -> Outcome {
    let Value::Function(function) = invocation.value(0) else { return Ok(Value::Null) };
    function.call_named(invocation.evaluator, &invocation.rest_values(), &invocation.named_values())
}

fn lambda(invocation: &mut Invocation<'_, '_>) -> Outcome {
    match invocation.optional_lambda(0) {
        Some(lambda) => Ok(Value::Function(Arc::new(lambda))),
        None => Ok(Value::Null),
    }
}

fn property(invocation: &mut Invocation<'_, '_>) -> Outcome {
    let name = format!("#property#{}", invocation.text(1));
    invocation.delegate(&name, vec![invocation.value(0)])
}
