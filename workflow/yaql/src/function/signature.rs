//! The parameters of a function, written as a text.
//!
//! `collection: iterable, position: int, count: int = 1`. A kind takes null if a `?` follows it. `*args: any` takes
//! what is left over, `**names: any` what is left over and has a name. `= none` stands for an argument that is
//! missing, which is not null.

use std::sync::Arc;

use thiserror::Error;

use super::kind::{Kind, Type};
use crate::value::{Timespan, Value};

/// The parameters of a function.
#[derive(Clone, Default)]
pub(crate) struct Signature {
    pub(crate) parameters: Vec<Parameter>,
    /// What takes the arguments that are left over.
    pub(crate) rest: Option<Type>,
    /// What takes those that are left over and have names.
    pub(crate) names: Option<Type>,
}

/// A parameter of a function.
#[derive(Clone)]
pub(crate) struct Parameter {
    pub(crate) name: Arc<str>,
    pub(crate) accepts: Type,
    pub(crate) absent: Absent,
}

/// What stands for an argument that is not there.
#[derive(Clone)]
pub(crate) enum Absent {
    /// There must be one.
    Required,
    /// This value.
    Value(Value),
    /// Nothing: the function knows that it is missing.
    Missing,
}

/// A text that describes no parameters.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot read the parameter \"{0}\": write \"name: kind\" or \"name: kind = default\"")]
pub struct SignatureError(pub String);

impl Signature {
    /// Reads a text as the module's description has it.
    pub(crate) fn parse(text: &str) -> Result<Signature, SignatureError> {
        let mut signature = Signature::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let wrong = || SignatureError(part.to_owned());
            let (name, kind) = part.split_once(':').ok_or_else(wrong)?;
            let (kind, default) = match kind.split_once('=') {
                Some((kind, default)) => (kind.trim(), Some(default.trim())),
                None => (kind.trim(), None),
            };
            let accepts = parse_type(kind).ok_or_else(wrong)?;
            let absent = match default {
                None => Absent::Required,
                Some(default) => parse_default(default).ok_or_else(wrong)?,
            };
            match name.trim() {
                name if name.starts_with("**") => signature.names = Some(accepts),
                name if name.starts_with('*') => signature.rest = Some(accepts),
                name => signature.parameters.push(Parameter { name: name.into(), accepts, absent }),
            }
        }
        Ok(signature)
    }
}

fn parse_type(text: &str) -> Option<Type> {
    let (name, nullable) = match text.strip_suffix('?') {
        Some(name) => (name, true),
        None => (text, false),
    };
    let kind = match name {
        "any" => Kind::Any,
        "null" => return Some(Type { kind: Kind::Null, nullable: true }),
        "bool" => Kind::Bool,
        "int" => Kind::Int,
        "integer" => Kind::Integer,
        "number" => Kind::Number,
        "string" => Kind::String,
        "iterable" => Kind::Iterable,
        "noset" => Kind::NoSet,
        "sequence" => Kind::Sequence,
        "tuple" => Kind::Tuple,
        "dict" => Kind::Dict,
        "set" => Kind::Set,
        "iterator" => Kind::Iterator,
        "ordering" => Kind::Ordering,
        "regex" => Kind::Regex,
        "datetime" => Kind::DateTime,
        "timespan" => Kind::Timespan,
        "context" => Kind::Context,
        "callable" => Kind::Callable,
        "rule" => Kind::Rule,
        "lambda" => Kind::Lambda,
        "scoped" => Kind::ScopedLambda,
        "method" => Kind::Method,
        "scopedmethod" => Kind::ScopedMethod,
        "mapping" => Kind::Mapping,
        "expression" => Kind::Expression,
        "keyword" => Kind::Keyword,
        "name" => Kind::Name,
        _ => return None,
    };
    Some(Type { kind, nullable })
}

fn parse_default(text: &str) -> Option<Absent> {
    let value = match text {
        "none" => return Some(Absent::Missing),
        "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "zero" => Value::Timespan(Timespan::ZERO),
        "'Assertion failed'" => Value::string("Assertion failed"),
        number => Value::Int(number.parse().ok()?),
    };
    Some(Absent::Value(value))
}
