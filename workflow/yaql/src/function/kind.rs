//! What a parameter takes.

use crate::evaluate::{Argument, Evaluator};
use crate::syntax::{Call, Node};
use crate::value::{ListKind, Value};

/// What a parameter takes, and whether it takes null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Type {
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
}

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Any,
    Null,
    Bool,
    /// A whole number, or a truth as 1 or 0.
    Int,
    /// A whole number.
    Integer,
    Number,
    String,
    /// Whatever can be read element by element, but no text and no dictionary.
    Iterable,
    /// The same, but no set.
    NoSet,
    Sequence,
    Tuple,
    Dict,
    Set,
    Iterator,
    Ordering,
    Regex,
    DateTime,
    Timespan,
    Context,
    Callable,
    Rule,
    /// An expression that the function evaluates.
    Lambda,
    /// The same, in a scope that the function gives.
    ScopedLambda,
    /// A call that becomes a method of a receiver that the function gives.
    Method,
    /// The same, in a scope that the function gives.
    ScopedMethod,
    /// `a => b`, of which the function evaluates both.
    Mapping,
    /// Any expression, as it is.
    Expression,
    /// A bare word.
    Keyword,
    /// A text that stands in the expression.
    Name,
}

impl Kind {
    /// Whether the argument is not evaluated before the function is called.
    pub(crate) fn lazy(self) -> bool {
        matches!(
            self,
            Kind::Lambda | Kind::ScopedLambda | Kind::Method | Kind::ScopedMethod | Kind::Mapping | Kind::Expression
        )
    }

    /// The kinds that it is one of, in Python's classes.
    fn wider(self) -> &'static [Kind] {
        match self {
            Kind::Any
            | Kind::Lambda
            | Kind::ScopedLambda
            | Kind::Method
            | Kind::ScopedMethod
            | Kind::Mapping
            | Kind::Expression
            | Kind::Keyword
            | Kind::Name
            // Python gives both together as a pair of classes, which it cannot compare.
            | Kind::Number => &[],
            Kind::Bool => &[Kind::Any, Kind::Int, Kind::Integer],
            Kind::String => &[Kind::Any, Kind::Iterable, Kind::NoSet, Kind::Sequence],
            Kind::Tuple => &[Kind::Any, Kind::Iterable, Kind::NoSet, Kind::Sequence],
            Kind::Sequence | Kind::Dict | Kind::Set | Kind::Iterator | Kind::Ordering => {
                &[Kind::Any, Kind::Iterable, Kind::NoSet]
            }
            Kind::Null
            | Kind::Int
            | Kind::Integer
            | Kind::Iterable
            | Kind::NoSet
            | Kind::Regex
            | Kind::DateTime
            | Kind::Timespan
            | Kind::Context
            | Kind::Callable
            | Kind::Rule => &[Kind::Any],
        }
    }

    /// Whether whatever this takes, `other` takes too, but not the other way round.
    pub(crate) fn specializes(self, other: Kind) -> bool {
        // What must be callable is any object to Python.
        let plain = |kind| if kind == Kind::Callable { Kind::Any } else { kind };
        plain(self).wider().contains(&plain(other))
    }
}

impl Type {
    /// Whether it takes this argument, as far as is known: what is not evaluated yet could be anything.
    pub(crate) fn takes(self, argument: &Argument, evaluator: &Evaluator<'_>) -> bool {
        match self.kind {
            Kind::Lambda | Kind::ScopedLambda => true,
            Kind::Method | Kind::ScopedMethod => match argument {
                Argument::Node(node) => matches!(&**node, Node::Call(Call { uses_receiver: true, .. })),
                Argument::Value(_) | Argument::Missing => true,
            },
            Kind::Mapping => matches!(argument, Argument::Node(node) if matches!(&**node, Node::Mapping(..))),
            Kind::Expression => matches!(argument, Argument::Node(_)),
            Kind::Keyword => matches!(argument, Argument::Node(node) if matches!(&**node, Node::Keyword(_))),
            Kind::Name => match argument {
                Argument::Node(node) => matches!(node.constant(), Some(Value::String(_))),
                Argument::Value(_) | Argument::Missing => false,
            },
            _ => match argument {
                Argument::Value(value) => self.takes_value(value, evaluator),
                Argument::Missing => self.kind == Kind::Any,
                Argument::Node(node) => node.constant().is_none_or(|value| self.takes_value(&value, evaluator)),
            },
        }
    }

    fn takes_value(self, value: &Value, evaluator: &Evaluator<'_>) -> bool {
        if value.is_null() {
            return self.nullable;
        }
        match self.kind {
            Kind::Any => true,
            Kind::Bool => matches!(value, Value::Bool(_)),
            Kind::Int => matches!(value, Value::Bool(_) | Value::Int(_)),
            Kind::Integer => matches!(value, Value::Int(_)),
            Kind::Number => matches!(value, Value::Int(_) | Value::Float(_)),
            Kind::String => matches!(value, Value::String(_)),
            Kind::Iterable => {
                is_iterable(value) || (matches!(value, Value::Dict(_)) && evaluator.options().iterable_dicts)
            }
            Kind::NoSet => {
                (is_iterable(value) && !matches!(value, Value::Set(_)))
                    || (matches!(value, Value::Dict(_)) && evaluator.options().iterable_dicts)
            }
            Kind::Sequence => matches!(value, Value::List(_)),
            Kind::Tuple => matches!(value, Value::List(list) if list.kind() == ListKind::Tuple),
            Kind::Dict => matches!(value, Value::Dict(_)),
            Kind::Set => matches!(value, Value::Set(_)),
            Kind::Iterator => matches!(value, Value::Iterator(_)),
            Kind::Ordering => matches!(value, Value::Ordering(_)),
            Kind::Regex => matches!(value, Value::Regex(_)),
            Kind::DateTime => matches!(value, Value::DateTime(_)),
            Kind::Timespan => matches!(value, Value::Timespan(_)),
            Kind::Context => matches!(value, Value::Context(_)),
            Kind::Callable => matches!(value, Value::Function(_)),
            Kind::Rule => matches!(value, Value::Rule(_)),
            _ => false,
        }
    }
}

/// Whether a value can be read element by element; texts and dictionaries cannot.
pub(crate) fn is_iterable(value: &Value) -> bool {
    matches!(value, Value::List(_) | Value::Set(_) | Value::Values(_) | Value::Iterator(_) | Value::Ordering(_))
}
