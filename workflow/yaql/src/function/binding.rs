//! What a function gets: arguments in the places of its parameters.

use std::sync::Arc;

use super::definition::Definition;
use super::kind::{Kind, Type};
use super::signature::Absent;
use crate::error::EvaluationError;
use crate::evaluate::{Argument, Context, Cursor, Evaluator, Lambda};
use crate::syntax::Node;
use crate::value::{Value, repr};

/// An argument as its function gets it.
pub(crate) enum Bound {
    Value(Value),
    Missing,
    Lambda(Lambda),
    Rule(RuleArgument),
    Node(Arc<Node>),
}

/// `a => b`, of which the function evaluates both.
pub(crate) struct RuleArgument {
    source: Arc<Node>,
    destination: Arc<Node>,
    context: Arc<Context>,
    receiver: Option<Value>,
}

impl RuleArgument {
    pub(crate) fn source(&self, evaluator: &Evaluator<'_>) -> Result<Value, EvaluationError> {
        evaluator.evaluate(&self.source, self.receiver.as_ref(), &self.context)
    }

    pub(crate) fn destination(&self, evaluator: &Evaluator<'_>) -> Result<Value, EvaluationError> {
        evaluator.evaluate(&self.destination, self.receiver.as_ref(), &self.context)
    }
}

/// Arguments in the places of parameters, which take them.
pub(crate) struct Slots {
    positional: Vec<(Argument, Type)>,
    rest: Vec<(Argument, Type)>,
    names: Vec<(Arc<str>, Argument, Type)>,
}

/// Puts arguments that are evaluated in the places of parameters; `None` if one does not fit.
pub(crate) fn bind(
    definition: &Definition,
    positional: &[Argument],
    named: &[(Arc<str>, Argument)],
    evaluator: &Evaluator<'_>,
) -> Option<Slots> {
    let signature = &definition.signature;
    let mut slots = Slots { positional: Vec::new(), rest: Vec::new(), names: Vec::new() };
    let mut used: Vec<&Arc<str>> = Vec::new();
    for (index, parameter) in signature.parameters.iter().enumerate() {
        let by_name = named.iter().find(|(name, _)| *name == parameter.name);
        let argument = match (positional.get(index), by_name) {
            (Some(Argument::Value(_) | Argument::Node(_)), Some(_)) => return None,
            (Some(argument @ (Argument::Value(_) | Argument::Node(_))), None) => argument.clone(),
            (_, Some((name, argument))) => {
                used.push(name);
                argument.clone()
            }
            (_, None) => match &parameter.absent {
                Absent::Required => return None,
                Absent::Value(value) => Argument::Value(value.clone()),
                Absent::Missing => Argument::Missing,
            },
        };
        slots.positional.push((argument, parameter.accepts));
    }
    for argument in positional.iter().skip(signature.parameters.len()) {
        slots.rest.push((argument.clone(), signature.rest?));
    }
    for (name, argument) in named.iter().filter(|(name, _)| !used.contains(&name)) {
        slots.names.push((Arc::clone(name), argument.clone(), signature.names?));
    }
    slots.fit(evaluator).then_some(slots)
}

impl Slots {
    fn fit(&self, evaluator: &Evaluator<'_>) -> bool {
        let named = self.names.iter().map(|(_, argument, accepts)| (argument, accepts));
        let plain = self.positional.iter().chain(&self.rest).map(|(argument, accepts)| (argument, accepts));
        let mut all = plain.chain(named);
        // A default that a lambda has is null, and a missing value fits what it is the default of.
        all.all(|(argument, accepts)| matches!(argument, Argument::Missing) || accepts.takes(argument, evaluator))
    }

    /// Converts the arguments, in the scope of the call.
    pub(crate) fn convert<'e, 'h>(
        self,
        definition: &'e Arc<Definition>,
        receiver: Option<&Value>,
        context: Arc<Context>,
        evaluator: &'e Evaluator<'h>,
    ) -> Result<Invocation<'e, 'h>, EvaluationError> {
        let convert = |(argument, accepts): (Argument, Type)| convert(argument, accepts, receiver, &context, evaluator);
        let positional = self.positional.into_iter().map(convert).collect::<Result<_, _>>()?;
        let rest = self.rest.into_iter().map(convert).collect::<Result<_, _>>()?;
        let names = self.names.into_iter().map(|(name, argument, accepts)| Ok((name, convert((argument, accepts))?)));
        let names = names.collect::<Result<_, EvaluationError>>()?;
        Ok(Invocation { evaluator, definition, context, positional, rest, names })
    }
}

fn convert(
    argument: Argument,
    accepts: Type,
    receiver: Option<&Value>,
    context: &Arc<Context>,
    evaluator: &Evaluator<'_>,
) -> Result<Bound, EvaluationError> {
    match accepts.kind {
        Kind::Lambda | Kind::ScopedLambda | Kind::Method | Kind::ScopedMethod => Ok(match argument {
            Argument::Missing => Bound::Missing,
            Argument::Value(Value::Null) => Bound::Value(Value::Null),
            Argument::Value(value) => Bound::Lambda(Lambda::of_value(value, Arc::clone(context))),
            Argument::Node(node) => Bound::Lambda(Lambda::of_node(node, Arc::clone(context))),
        }),
        Kind::Mapping => match argument {
            Argument::Node(node) => match &*node {
                Node::Mapping(source, destination) => Ok(Bound::Rule(RuleArgument {
                    source: Arc::clone(source),
                    destination: Arc::clone(destination),
                    context: Arc::clone(context),
                    receiver: receiver.cloned(),
                })),
                _ => Ok(Bound::Missing),
            },
            Argument::Value(_) | Argument::Missing => Ok(Bound::Missing),
        },
        Kind::Expression => match argument {
            Argument::Node(node) => Ok(Bound::Node(node)),
            Argument::Value(_) | Argument::Missing => Ok(Bound::Missing),
        },
        kind => {
            let value = match argument {
                Argument::Missing => return Ok(Bound::Missing),
                Argument::Value(value) => value,
                Argument::Node(node) => node.constant().unwrap_or_default(),
            };
            evaluator.check_quota(1, &value)?;
            match kind {
                Kind::Iterable | Kind::NoSet | Kind::Iterator => Ok(Bound::Value(evaluator.limited(value)?)),
                Kind::DateTime => Ok(Bound::Value(with_offset(value))),
                _ => Ok(Bound::Value(value)),
            }
        }
    }
}

/// A time without an offset counts as one of UTC.
fn with_offset(value: Value) -> Value {
    match value {
        Value::DateTime(time) if time.offset().is_none() => {
            crate::value::DateTime::new(time.local(), Some(0)).map_or(Value::DateTime(time), Value::DateTime)
        }
        value => value,
    }
}

/// A call of a function, with its arguments in the places of its parameters.
pub(crate) struct Invocation<'e, 'h> {
    pub(crate) evaluator: &'e Evaluator<'h>,
    pub(crate) definition: &'e Arc<Definition>,
    pub(crate) context: Arc<Context>,
    positional: Vec<Bound>,
    rest: Vec<Bound>,
    names: Vec<(Arc<str>, Bound)>,
}

impl Invocation<'_, '_> {
    /// The argument at a place; null if it is missing.
    pub(crate) fn value(&self, index: usize) -> Value {
        self.given(index).unwrap_or_default()
    }

    /// The argument at a place, unless it is missing.
    pub(crate) fn given(&self, index: usize) -> Option<Value> {
        match self.positional.get(index) {
            Some(Bound::Value(value)) => Some(value.clone()),
            _ => None,
        }
    }

    /// The whole number at a place; a truth counts as 1 or 0.
    pub(crate) fn int(&self, index: usize) -> i128 {
        match self.positional.get(index) {
            Some(Bound::Value(Value::Int(value))) => *value,
            Some(Bound::Value(Value::Bool(value))) => i128::from(*value),
            _ => 0,
        }
    }

    /// The text at a place; empty if there is none.
    pub(crate) fn text(&self, index: usize) -> Arc<str> {
        self.optional_text(index).unwrap_or_default()
    }

    /// The text at a place, unless it is null.
    pub(crate) fn optional_text(&self, index: usize) -> Option<Arc<str>> {
        match self.positional.get(index) {
            Some(Bound::Value(Value::String(text))) => Some(Arc::clone(text)),
            _ => None,
        }
    }

    /// Whether the truth at a place is true.
    pub(crate) fn flag(&self, index: usize) -> bool {
        self.value(index).is_true()
    }

    /// The expression at a place.
    pub(crate) fn lambda(&self, index: usize) -> Result<Lambda, EvaluationError> {
        self.optional_lambda(index).ok_or_else(|| EvaluationError::of_type("'NoneType' object is not callable"))
    }

    /// The expression at a place, if there is one.
    pub(crate) fn optional_lambda(&self, index: usize) -> Option<Lambda> {
        match self.positional.get(index) {
            Some(Bound::Lambda(lambda)) => Some(lambda.clone()),
            _ => None,
        }
    }

    /// The part of the expression at a place.
    pub(crate) fn node(&self, index: usize) -> Option<Arc<Node>> {
        match self.positional.get(index) {
            Some(Bound::Node(node)) => Some(Arc::clone(node)),
            _ => None,
        }
    }

    /// What reads the collection at a place.
    pub(crate) fn cursor(&self, index: usize) -> Result<Cursor, EvaluationError> {
        Cursor::over(&self.value(index), self.evaluator)
    }

    /// All elements of the collection at a place.
    pub(crate) fn collected(&self, index: usize) -> Result<Vec<Value>, EvaluationError> {
        self.evaluator.collect(&self.value(index))
    }

    /// The arguments that are left over, as they are.
    pub(crate) fn rest(&self) -> &[Bound] {
        &self.rest
    }

    /// The values among the arguments that are left over. One that is missing is what YAQL calls `<NoValue>`.
    pub(crate) fn rest_values(&self) -> Vec<Value> {
        self.rest.iter().map(Bound::plain).collect()
    }

    /// The expressions among the arguments that are left over.
    pub(crate) fn rest_lambdas(&self) -> Vec<Lambda> {
        let lambda = |bound: &Bound| match bound {
            Bound::Lambda(lambda) => Some(lambda.clone()),
            _ => None,
        };
        self.rest.iter().filter_map(lambda).collect()
    }

    /// The arguments that are left over and have names.
    pub(crate) fn named_values(&self) -> Vec<(Arc<str>, Value)> {
        self.names.iter().map(|(name, bound)| (Arc::clone(name), bound.plain())).collect()
    }

    /// The arguments as a function of the host gets them.
    pub(crate) fn arguments(&self) -> crate::host::Arguments {
        crate::host::Arguments {
            positional: self.positional.iter().map(Bound::plain).collect(),
            rest: self.rest_values(),
        }
    }

    /// Calls another function with values, as operators and helpers are called by others.
    pub(crate) fn delegate(&self, name: &str, arguments: Vec<Value>) -> Result<Value, EvaluationError> {
        self.evaluator.delegate(name, &self.context, arguments)
    }

    /// An `AttributeError`, as Python has it for what a kind of value does not have.
    pub(crate) fn no_attribute(value: &Value, attribute: &str) -> EvaluationError {
        let message = format!("'{}' object has no attribute '{attribute}'", value.type_name());
        EvaluationError::new("AttributeError", message)
    }

    /// A `KeyError` of a key.
    pub(crate) fn no_key(key: &Value) -> EvaluationError {
        EvaluationError::new("KeyError", repr(key))
    }
}

impl Bound {
    fn plain(&self) -> Value {
        match self {
            Bound::Value(value) => value.clone(),
            Bound::Lambda(lambda) => Value::Function(Arc::new(lambda.clone())),
            Bound::Missing | Bound::Rule(_) | Bound::Node(_) => Value::Null,
        }
    }
}
