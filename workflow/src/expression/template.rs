//! A value with expressions in it, compiled once.

use std::sync::Arc;

use indexmap::IndexMap;
use petrel_schemas::SecretRef;

use super::compiled::Text;
use super::python::number_text;
use super::{EvaluationError, Language, Problem, Scope, Value};

/// Which languages a text may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Orquesta's: YAQL and Jinja. A text that holds both is Jinja; `${…}` is plain text, as shells write it.
    Orquesta,
    /// Native: CEL, YAQL and Jinja, one of them in each text. `$${` stands for `${`. A text that is the name of a secret
    /// and nothing else (`${secret.web.token}`) is plain text.
    Native,
}

/// A JSON-like value that may hold expressions anywhere: in its strings, in lists, in the values and keys of maps.
/// Compiled once, evaluated often; clones share what was compiled. A mistake in an expression is kept and is the error
/// of its evaluation.
///
/// What an expression yields is data. It is never looked at for expressions, wherever it came from.
#[derive(Debug, Clone)]
pub struct Template {
    source: Value,
    root: Arc<Node>,
}

#[derive(Debug)]
enum Node {
    /// Nothing to evaluate.
    Literal(Value),
    Text(Text),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Debug)]
enum Key {
    Literal(Arc<str>),
    Text(Text),
}

/// A variable that an expression names, as inspections of contexts ask for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variable {
    /// The name, for example `foo` of `ctx().foo.bar`.
    pub name: String,
    /// The language of the expression.
    pub language: Language,
    /// The whole text that the expression stands in.
    pub text: String,
}

impl Template {
    /// Compiles a value.
    pub fn compile(source: &Value, dialect: Dialect) -> Template {
        Template { source: source.clone(), root: Arc::new(compile(source, dialect)) }
    }

    /// The value that it was compiled of.
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// Whether anything has to be evaluated.
    pub fn has_expressions(&self) -> bool {
        !matches!(*self.root, Node::Literal(_))
    }

    /// The mistakes in its expressions, as Orquesta reports them, in the order of the value.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.root.each_text(&mut |text| text.problems(&mut problems));
        problems
    }

    /// The variables that its expressions name, sorted by name, each once for each text.
    pub fn variables(&self) -> Vec<Variable> {
        let mut variables = Vec::new();
        self.root.each_text(&mut |text| {
            let named = text.variables().into_iter();
            variables.extend(named.map(|(language, name)| Variable { name, language, text: text.source().to_owned() }));
        });
        variables.sort();
        variables.dedup();
        variables
    }

    /// The value with every expression replaced by what it yields. A string that is exactly one expression becomes what
    /// that yields, whatever its type; else results become text as Python's `str()` writes them (`True`, `None`, `1.0`,
    /// `['a', None]`), those of CEL as JSON.
    ///
    /// # Errors
    /// The first expression that yields nothing: it has a mistake, names what is not there, or costs more than one of
    /// [`super::limits`].
    pub fn evaluate(&self, scope: &Scope) -> Result<Value, EvaluationError> {
        self.root.evaluate(scope)
    }

    /// As [`Template::evaluate`], for conditions: whether Python takes the result as true.
    ///
    /// # Errors
    /// As [`Template::evaluate`].
    pub fn is_true(&self, scope: &Scope) -> Result<bool, EvaluationError> {
        self.evaluate(scope).map(|value| value.is_true())
    }
}

fn compile(source: &Value, dialect: Dialect) -> Node {
    match source {
        // The name of a secret is no expression: it stands for itself until a worker opens it.
        Value::String(text) if SecretRef::of_text(text).is_some() => Node::Literal(source.clone()),
        Value::String(text) => match Text::compile(text, dialect) {
            Some(text) => Node::Text(text),
            None => Node::Literal(source.clone()),
        },
        Value::List(list) => {
            let nodes: Vec<Node> = list.items().iter().map(|item| compile(item, dialect)).collect();
            if nodes.iter().all(Node::is_literal) { Node::Literal(source.clone()) } else { Node::List(nodes) }
        }
        Value::Map(map) => {
            let entries = map.iter().map(|(key, value)| {
                let key = Text::compile(key, dialect).map_or_else(|| Key::Literal(key.clone()), Key::Text);
                (key, compile(value, dialect))
            });
            let entries: Vec<(Key, Node)> = entries.collect();
            let literal = entries.iter().all(|(key, value)| matches!(key, Key::Literal(_)) && value.is_literal());
            if literal { Node::Literal(source.clone()) } else { Node::Map(entries) }
        }
        scalar => Node::Literal(scalar.clone()),
    }
}

impl Node {
    fn is_literal(&self) -> bool {
        matches!(self, Node::Literal(_))
    }

    fn each_text(&self, on: &mut dyn FnMut(&Text)) {
        match self {
            Node::Literal(_) => {}
            Node::Text(text) => on(text),
            Node::List(nodes) => nodes.iter().for_each(|node| node.each_text(on)),
            Node::Map(entries) => {
                for (key, value) in entries {
                    if let Key::Text(text) = key {
                        on(text);
                    }
                    value.each_text(on);
                }
            }
        }
    }

    fn evaluate(&self, scope: &Scope) -> Result<Value, EvaluationError> {
        match self {
            Node::Literal(value) => Ok(value.clone()),
            Node::Text(text) => text.evaluate(scope),
            Node::List(nodes) => {
                Ok(Value::List(nodes.iter().map(|node| node.evaluate(scope)).collect::<Result<_, _>>()?))
            }
            Node::Map(entries) => {
                let mut map = IndexMap::with_capacity(entries.len());
                for (key, value) in entries {
                    map.insert(key.evaluate(scope)?, value.evaluate(scope)?);
                }
                Ok(Value::Map(map.into()))
            }
        }
    }
}

impl Key {
    /// The key as JSON has it: numbers, truths and `null` become the text that Python's JSON has for them.
    fn evaluate(&self, scope: &Scope) -> Result<Arc<str>, EvaluationError> {
        let text = match self {
            Key::Literal(key) => return Ok(key.clone()),
            Key::Text(text) => text,
        };
        Ok(match text.evaluate(scope)? {
            Value::String(key) => key,
            Value::Null => "null".into(),
            Value::Bool(value) => value.to_string().into(),
            Value::Number(number) => number_text(&number).into(),
            Value::List(_) => return Err(text.failure("TypeError: unhashable type: 'list'")),
            Value::Map(_) => return Err(text.failure("TypeError: unhashable type: 'dict'")),
        })
    }
}
