//! How arguments meet parameters, and how a function fails.

use crate::expression::{Scope, Value};

/// Why a function has no answer. `Display` is the class of Python's exception and its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct FunctionError {
    /// The class, for example `TypeError`.
    pub class: &'static str,
    /// What is wrong.
    pub message: String,
}

impl FunctionError {
    /// An error of this class.
    pub(crate) fn new(class: &'static str, message: impl Into<String>) -> Self {
        FunctionError { class, message: message.into() }
    }

    /// An argument of the wrong type.
    pub(crate) fn of_type(message: impl Into<String>) -> Self {
        FunctionError::new("TypeError", message)
    }

    /// An argument that has the right type and a wrong value.
    pub(crate) fn of_value(message: impl Into<String>) -> Self {
        FunctionError::new("ValueError", message)
    }

    /// What only a state that is missing here could answer.
    pub(crate) fn of_evaluation(message: impl Into<String>) -> Self {
        FunctionError::new("ExpressionEvaluationException", message)
    }
}

/// A function is the same as another of its name.
impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// What a function answers.
pub(super) type Answer = Result<Value, FunctionError>;

/// A function and its parameters.
#[derive(Debug)]
pub(crate) struct Function {
    /// How it is called.
    pub name: &'static str,
    parameters: &'static [&'static str],
    required: usize,
    /// Whether further arguments by place are taken, as [`Arguments::rest`].
    variadic: bool,
    call: fn(&Arguments<'_>) -> Answer,
}

/// The arguments of one call, each where its parameter stands.
#[derive(Debug)]
pub(crate) struct Arguments<'a> {
    values: Vec<Option<&'a Value>>,
    /// Further arguments by place.
    pub rest: &'a [Value],
    /// What the function may ask.
    pub scope: &'a Scope,
}

impl Function {
    /// A function with these parameters, of which so many are required.
    pub(super) const fn new(
        name: &'static str,
        parameters: &'static [&'static str],
        required: usize,
        call: fn(&Arguments<'_>) -> Answer,
    ) -> Self {
        Function { name, parameters, required, variadic: false, call }
    }

    /// A function that takes any number of arguments, and these by name.
    pub(super) const fn variadic(
        name: &'static str,
        named: &'static [&'static str],
        call: fn(&Arguments<'_>) -> Answer,
    ) -> Self {
        Function { name, parameters: named, required: 0, variadic: true, call }
    }

    /// The names of its parameters, in order; the required ones first.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.parameters.iter().copied()
    }

    /// How many of them are required.
    pub fn required(&self) -> usize {
        self.required
    }

    /// Whether it takes further arguments by place.
    pub fn is_variadic(&self) -> bool {
        self.variadic
    }

    /// Calls it.
    pub fn call(&self, positional: &[Value], named: &[(String, Value)], scope: &Scope) -> Answer {
        let by_place = if self.variadic { 0 } else { positional.len() };
        if by_place > self.parameters.len() {
            return Err(FunctionError::of_type(format!(
                "{}() takes {} positional arguments but {by_place} were given",
                self.name,
                self.parameters.len(),
            )));
        }
        let mut values: Vec<Option<&Value>> = vec![None; self.parameters.len()];
        for (value, argument) in values.iter_mut().zip(&positional[..by_place]) {
            *value = Some(argument);
        }
        for (name, argument) in named {
            let place = self.parameters.iter().position(|parameter| is_named(parameter, name));
            let Some(place) = place else {
                let message = format!("{}() got an unexpected keyword argument '{name}'", self.name);
                return Err(FunctionError::of_type(message));
            };
            if values[place].replace(argument).is_some() {
                let message = format!("{}() got multiple values for argument '{name}'", self.name);
                return Err(FunctionError::of_type(message));
            }
        }
        if let Some(missing) = (0..self.required).find(|place| values[*place].is_none()) {
            let count = values[..self.required].iter().filter(|value| value.is_none()).count();
            let plural = if count == 1 { "" } else { "s" };
            return Err(FunctionError::of_type(format!(
                "{}() missing {count} required positional argument{plural}: '{}'",
                self.name, self.parameters[missing],
            )));
        }
        (self.call)(&Arguments { values, rest: &positional[by_place..], scope })
    }
}

/// Whether an argument's name means this parameter: YAQL names `result_index` `resultIndex`.
fn is_named(parameter: &str, name: &str) -> bool {
    parameter == name
        || (parameter.contains('_') && {
            let mut upper = false;
            let camel = parameter.chars().filter_map(|c| {
                if c == '_' {
                    upper = true;
                    return None;
                }
                Some(if std::mem::take(&mut upper) { c.to_ascii_uppercase() } else { c })
            });
            camel.eq(name.chars())
        })
}

impl Arguments<'_> {
    /// The argument at a place, if it was given.
    pub fn given(&self, place: usize) -> Option<&Value> {
        self.values.get(place).copied().flatten()
    }

    /// The argument at a place; `null` if it was not given.
    pub fn value(&self, place: usize) -> &Value {
        self.given(place).unwrap_or(&Value::Null)
    }

    /// The text at a place.
    pub fn text(&self, place: usize) -> Result<&str, FunctionError> {
        let value = self.value(place);
        value.as_str().ok_or_else(|| {
            FunctionError::of_type(format!("expected string or bytes-like object, got '{}'", type_name(value)))
        })
    }

    /// Whether the argument at a place is there and true, as Python takes it.
    pub fn flag(&self, place: usize) -> bool {
        self.given(place).is_some_and(Value::is_true)
    }
}

/// What Python calls the type of a value.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::List(_) => "list",
        Value::Map(_) => "dict",
    }
}
