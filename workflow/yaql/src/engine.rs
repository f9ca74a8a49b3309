//! Reads expressions and evaluates them.

use std::sync::{Arc, OnceLock};

use crate::error::{EvaluationError, ParseError};
use crate::evaluate::{Context, Evaluator, Variables};
use crate::function::{Definition, Layer, Payload, Signature, SignatureError};
use crate::host::Host;
use crate::library;
use crate::options::{Dialect, Options};
use crate::syntax::{Node, parse};
use crate::value::Value;

/// Reads expressions: a language, a library and the functions that its host declared. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    setup: Arc<Setup>,
}

/// What every evaluation of an engine shares.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) options: Options,
    /// The functions, innermost layer first.
    pub(crate) layers: Vec<Arc<Layer>>,
}

/// An expression that was read. Cheap to clone.
#[derive(Clone)]
pub struct Expression {
    root: Arc<Node>,
    setup: Arc<Setup>,
    text: Arc<str>,
}

impl Engine {
    /// An engine with these settings and the whole library.
    #[must_use]
    pub fn new(options: Options) -> Engine {
        let mut layers = vec![Arc::new(Layer::default())];
        if options.dialect != Dialect::Standard {
            layers.push(legacy_layer(options.dialect));
        }
        layers.push(standard_layer(options.delegates && options.dialect == Dialect::Standard));
        layers.push(fallback_layer());
        Engine { setup: Arc::new(Setup { options, layers }) }
    }

    /// Declares a function that the host has: `name(…)` in an expression calls [`Host::call`] with that name.
    ///
    /// `parameters` lists them as `key: any? = null, index: int`. The kinds are `any`, `bool`, `int`, `number`,
    /// `string`, `iterable`, `sequence`, `dict`, `set`, `datetime`, `timespan`, `regex`; one with a `?` takes null.
    /// `*more: any` takes what is left over. Arguments can be given by name.
    ///
    /// # Errors
    ///
    /// If `parameters` cannot be read.
    pub fn declare(&mut self, name: &str, parameters: &str) -> Result<(), SignatureError> {
        let signature = Signature::parse(parameters)?;
        let setup = Arc::make_mut(&mut self.setup);
        Arc::make_mut(&mut setup.layers[0]).add(Definition {
            name: name.into(),
            signature,
            is_function: true,
            is_method: false,
            no_names: false,
            scoped: false,
            payload: Payload::Host,
        });
        Ok(())
    }

    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// If the text is none, or is longer or nests deeper than the limits allow.
    pub fn parse(&self, text: &str) -> Result<Expression, ParseError> {
        let root = parse(text, &self.setup.options)?;
        Ok(Expression { root, setup: Arc::clone(&self.setup), text: text.into() })
    }

    /// The settings.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.setup.options
    }
}

impl Expression {
    /// The value of the expression. `data` is what `$` is, `variables` what `$name` is; one that there is not is null.
    ///
    /// # Errors
    ///
    /// Where YAQL would raise an exception, and if the evaluation takes more than the limits allow.
    pub fn evaluate(&self, data: Value, variables: &Variables, host: &dyn Host) -> Result<Value, EvaluationError> {
        let evaluator = Evaluator::new(Arc::clone(&self.setup), host);
        evaluator.admit(&data)?;
        let context = Context::root(variables, data);
        let value = evaluator.evaluate(&self.root, None, &context)?;
        evaluator.finalize(value)
    }

    /// The names of the variables that the expression names, without `$`, in the order in which they stand. `$` itself
    /// is none, and neither are `$1`, `$2` …, but those that the expression gives a value itself are.
    #[must_use]
    pub fn variables(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.root.visit(&mut |node| {
            if let Node::Call(call) = node
                && &*call.name == "#get_context_data"
                && let [Some(argument)] = call.arguments.as_slice()
                && let Node::Constant(Value::String(name)) = &**argument
            {
                let name = name.trim_start_matches('$');
                if !name.is_empty() && !name.bytes().all(|byte| byte.is_ascii_digit()) && !names.contains(&name) {
                    names.push(name);
                }
            }
        });
        names
    }

    /// The names of the functions and methods that the expression calls by name, in the order in which they stand.
    #[must_use]
    pub fn functions(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.root.visit(&mut |node| {
            if let Node::Call(call) = node
                && call.uses_receiver
                && &*call.name != "#call"
                && !names.contains(&&*call.name)
            {
                names.push(&*call.name);
            }
        });
        names
    }

    /// The text that was read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn standard_layer(delegates: bool) -> Arc<Layer> {
    static PLAIN: OnceLock<Arc<Layer>> = OnceLock::new();
    static WITH_DELEGATES: OnceLock<Arc<Layer>> = OnceLock::new();
    let layer = if delegates { &WITH_DELEGATES } else { &PLAIN };
    Arc::clone(layer.get_or_init(|| Arc::new(library::standard(delegates))))
}

fn fallback_layer() -> Arc<Layer> {
    static LAYER: OnceLock<Arc<Layer>> = OnceLock::new();
    Arc::clone(LAYER.get_or_init(|| Arc::new(library::fallbacks())))
}

fn legacy_layer(dialect: Dialect) -> Arc<Layer> {
    static PLAIN: OnceLock<Arc<Layer>> = OnceLock::new();
    static WITH_TUPLES: OnceLock<Arc<Layer>> = OnceLock::new();
    let tuples = dialect == Dialect::Legacy;
    let layer = if tuples { &WITH_TUPLES } else { &PLAIN };
    Arc::clone(layer.get_or_init(|| Arc::new(library::legacy(&library::standard(false), tuples))))
}
