//! From an expression to its value.

mod budget;
mod call;
mod context;
mod cursor;
mod finalize;
mod lambda;
mod order;
mod size;

use std::cell::RefCell;
use std::sync::Arc;

use budget::Budget;
pub use context::{Context, Variables};
pub(crate) use cursor::Cursor;
pub use lambda::Lambda;

use crate::engine::Setup;
use crate::error::EvaluationError;
use crate::host::Host;
use crate::options::Options;
use crate::syntax::Node;
use crate::value::{Iterate, Ordering, Value};

/// An argument of a call: evaluated already, or still as it is written.
#[derive(Clone)]
pub(crate) enum Argument {
    Value(Value),
    Node(Arc<Node>),
    /// Left out, as in `f(1,,2)`.
    Missing,
}

/// One evaluation.
pub struct Evaluator<'h> {
    setup: Arc<Setup>,
    host: &'h dyn Host,
    budget: Budget,
    /// A scope without variables, for operators that are called outside of any.
    outside: Arc<Context>,
    /// Scopes that can come to hold themselves through what they hold.
    scopes: RefCell<Vec<Arc<Context>>>,
    /// The same with what `orderBy()` made.
    orderings: RefCell<Vec<Arc<Ordering>>>,
}

/// What can hold itself is emptied, for nothing else ends it.
impl Drop for Evaluator<'_> {
    fn drop(&mut self) {
        for scope in self.scopes.borrow_mut().drain(..) {
            scope.clear();
        }
        for ordering in self.orderings.borrow_mut().drain(..) {
            ordering.clear();
        }
    }
}

impl<'h> Evaluator<'h> {
    pub(crate) fn new(setup: Arc<Setup>, host: &'h dyn Host) -> Evaluator<'h> {
        let budget = Budget::new(setup.options.limits);
        let outside = Context::root(&Variables::default(), Value::Null);
        Evaluator { setup, host, budget, outside, scopes: RefCell::default(), orderings: RefCell::default() }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.setup.options
    }

    pub(crate) fn host(&self) -> &'h dyn Host {
        self.host
    }

    /// The value of a part of an expression; `receiver` is what stands before its dot.
    pub(crate) fn evaluate(
        &self,
        node: &Node,
        receiver: Option<&Value>,
        context: &Arc<Context>,
    ) -> Result<Value, EvaluationError> {
        match node {
            Node::Constant(value) => Ok(value.clone()),
            Node::Keyword(word) => Ok(Value::String(Arc::clone(word))),
            Node::Wrap(inner) => self.nested(|evaluator| evaluator.evaluate(inner, receiver, context)),
            Node::Mapping(source, destination) => self.nested(|evaluator| {
                let source = evaluator.evaluate(source, receiver, context)?;
                let destination = evaluator.evaluate(destination, receiver, context)?;
                Ok(Value::Rule(Arc::new((source, destination))))
            }),
            Node::Call(call) => {
                let argument = |argument: &Option<Arc<Node>>| match argument {
                    Some(node) => Argument::Node(Arc::clone(node)),
                    None => Argument::Missing,
                };
                let arguments = call.arguments.iter().map(argument).collect();
                self.call(&call.name, context, receiver.cloned(), arguments, Vec::new())
            }
        }
    }

    /// Calls an operator outside of any scope.
    pub(crate) fn operator(&self, name: &str, arguments: Vec<Value>) -> Result<Value, EvaluationError> {
        self.delegate(name, &self.outside, arguments)
    }

    /// A scope in which a function leaves variables.
    fn scope(&self, around: &Arc<Context>) -> Result<Arc<Context>, EvaluationError> {
        let scope = around.child();
        self.use_memory(size_of::<Context>() as u64)?;
        self.scopes.borrow_mut().push(Arc::clone(&scope));
        Ok(scope)
    }

    /// What orders a collection.
    pub(crate) fn ordering(&self, ordering: Ordering) -> Value {
        let ordering = Arc::new(ordering);
        self.orderings.borrow_mut().push(Arc::clone(&ordering));
        Value::Ordering(ordering)
    }

    /// Reads a collection to its end.
    pub(crate) fn collect(&self, collection: &Value) -> Result<Vec<Value>, EvaluationError> {
        let mut cursor = Cursor::over(collection, self)?;
        let mut items = Vec::new();
        while let Some(item) = cursor.next(self)? {
            self.use_memory(size_of::<Value>() as u64)?;
            items.push(item);
        }
        Ok(items)
    }

    /// A collection that gives an error where it has more elements than may be.
    pub(crate) fn limited(&self, value: Value) -> Result<Value, EvaluationError> {
        let limit = self.options().iterator_items_max;
        let too_large = |limit: usize| {
            let message = format!("Collection length exceeds {limit} elements");
            EvaluationError::new("CollectionTooLargeException", message)
        };
        let length = match &value {
            Value::Null => return Ok(value),
            Value::List(list) => list.items().len(),
            Value::Dict(dict) => dict.len(),
            Value::Set(set) => set.len(),
            Value::Iterator(_) if limit.is_none() => return Ok(value),
            _ => {
                let depth = value.extent().depth;
                let mut cursor = None;
                let mut count = 0;
                let advance = move |evaluator: &Evaluator<'_>| {
                    let cursor = match &mut cursor {
                        Some(cursor) => cursor,
                        None => cursor.insert(Cursor::over(&value, evaluator)?),
                    };
                    let Some(item) = cursor.next(evaluator)? else { return Ok(None) };
                    if let Some(limit) = limit.filter(|limit| count >= *limit) {
                        return Err(too_large(limit));
                    }
                    count += 1;
                    Ok(Some(item))
                };
                return Ok(iterator("generator", depth, advance));
            }
        };
        match limit.filter(|limit| length > *limit) {
            Some(limit) => Err(too_large(limit)),
            None => Ok(value),
        }
    }

    /// Runs what nests one level deeper than what runs it.
    pub(crate) fn nested<T>(
        &self,
        run: impl FnOnce(&Evaluator<'h>) -> Result<T, EvaluationError>,
    ) -> Result<T, EvaluationError> {
        self.budget.enter()?;
        let result = run(self);
        self.budget.leave();
        result
    }

    /// Counts steps.
    pub(crate) fn step(&self, steps: u64) -> Result<(), EvaluationError> {
        self.budget.step(steps)
    }

    /// Counts bytes.
    pub(crate) fn use_memory(&self, bytes: u64) -> Result<(), EvaluationError> {
        self.budget.use_memory(bytes)
    }

    /// Whether `left = right`; counts the steps of the comparison.
    pub(crate) fn equal(&self, left: &Value, right: &Value) -> Result<bool, EvaluationError> {
        self.step(left.extent().weight.min(right.extent().weight))?;
        Ok(left == right)
    }

    /// A value as a key; counts the steps of its hash.
    pub(crate) fn key(&self, value: &Value) -> Result<crate::value::Key, EvaluationError> {
        self.step(value.extent().weight)?;
        Ok(crate::value::Key::new(value.clone())?)
    }
}

/// A sequence by what computes it; `depth` is that of the deepest value that `advance` holds.
pub(crate) fn iterator(
    type_name: &'static str,
    depth: u32,
    advance: impl for<'a, 'b> FnMut(&'a Evaluator<'b>) -> Result<Option<Value>, EvaluationError> + Send + 'static,
) -> Value {
    Value::Iterator(Arc::new(Iterate::new(type_name, depth, Box::new(advance))))
}
