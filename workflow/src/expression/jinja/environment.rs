//! What Jinja expressions may name: the shared functions, as functions and as filters, and Jinja's own filters.

use std::sync::{Arc, LazyLock};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Object, Rest, ValueOrKwargs};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, Value as Jinja};
use minijinja_contrib::filters::{filesizeformat, striptags, truncate};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::convert::{from_jinja, to_jinja};
use super::failure::Failure;
use super::python;
use crate::expression::functions::{self, Function};
use crate::expression::limits::{EXPRESSION_STEPS_MAX, JINJA_RECURSION_MAX};
use crate::expression::{Scope, Value};

/// How functions find the scope among the variables of a text. It is no name that an expression can be written with.
const SCOPE_NAME: &str = "scope of this evaluation";

/// The environment of all expressions.
pub(super) static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(environment);

/// The variables of a text: none but the scope, for functions.
#[derive(Debug)]
pub(super) struct ScopeObject(Scope);

impl ScopeObject {
    /// The variables that a text with this scope is evaluated with.
    pub fn value(scope: &Scope) -> Jinja {
        Jinja::from_object(ScopeObject(scope.clone()))
    }
}

impl Object for ScopeObject {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Jinja> {
        (key == SCOPE_NAME).then(|| Jinja::from_dyn_object(self.clone()))
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_formatter(python::format);
    // The delimiters are Jinja's own, which cannot be wrong.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_unknown_method_callback(unknown_method_callback);
    environment.set_fuel(Some(EXPRESSION_STEPS_MAX));
    environment.set_recursion_limit(JINJA_RECURSION_MAX);
    // Errors name what was undefined.
    environment.set_debug(true);
    // It would show what is internal.
    environment.remove_global("debug");
    environment.add_filter("filesizeformat", filesizeformat);
    environment.add_filter("striptags", striptags);
    environment.add_filter("truncate", truncate);
    environment.add_filter("tojson", to_json);
    for function in functions::all() {
        let call = move |state: &mut State<'_, '_>, args: Rest<ValueOrKwargs>| call(function, state, args.0);
        environment.add_function(function.name, call);
        environment.add_filter(function.name, call);
    }
    environment
}

/// Jinja's `tojson`: keys sorted, and nothing in it that HTML would read.
fn to_json(value: &Jinja, indent: Option<i64>) -> Result<Jinja, Error> {
    let value = from_jinja(value).map_err(Failure::into_error)?;
    let text = functions::sorted_json(&value, indent).map_err(|e| Failure::new(e.class, e.message).into_error())?;
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\'' => safe.push_str("\\u0027"),
            c => safe.push(c),
        }
    }
    Ok(Jinja::from(safe))
}

/// Calls a shared function.
fn call(function: &Function, state: &State<'_, '_>, args: Vec<ValueOrKwargs>) -> Result<Jinja, Error> {
    let mut positional: Vec<Jinja> = args.into_iter().map(Jinja::from).collect();
    let named = match positional.pop_if(|last| last.is_kwargs()) {
        Some(named) => Kwargs::try_from(named)?,
        None => Kwargs::from_iter(std::iter::empty::<(&str, Jinja)>()),
    };
    let scope = state.lookup(SCOPE_NAME).and_then(|scope| scope.downcast_object::<ScopeObject>());
    let scope = scope.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "there is no scope here"))?;
    let convert = |value: &Jinja| from_jinja(value).map_err(|failure| failure.into_error());
    let positional: Vec<Value> = positional.iter().map(convert).collect::<Result<_, _>>()?;
    let mut with_names = Vec::new();
    for name in named.args() {
        with_names.push((name.to_owned(), convert(&named.get::<Jinja>(name)?)?));
    }
    let answer = function.call(&positional, &with_names, &scope.0);
    answer
        .map(|value| to_jinja(&value))
        .map_err(|e| Error::new(ErrorKind::InvalidOperation, e.message.clone()).with_source(e))
}
