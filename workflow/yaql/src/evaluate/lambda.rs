//! Expressions that functions evaluate, as often as they like.

use std::sync::Arc;

use super::{Context, Evaluator};
use crate::error::EvaluationError;
use crate::syntax::Node;
use crate::value::Value;

/// An expression, and the scope in which it stands.
#[derive(Clone)]
pub struct Lambda {
    body: Body,
    context: Arc<Context>,
}

#[derive(Clone)]
enum Body {
    Node(Arc<Node>),
    Value(Value),
}

impl Lambda {
    pub(crate) fn of_node(node: Arc<Node>, context: Arc<Context>) -> Lambda {
        Lambda { body: Body::Node(node), context }
    }

    /// What gives this value; of a function, its expression, in another scope.
    pub(crate) fn of_value(value: Value, context: Arc<Context>) -> Lambda {
        match value {
            Value::Function(lambda) => Lambda { body: lambda.body.clone(), context },
            value => Lambda { body: Body::Value(value), context },
        }
    }

    pub(crate) fn depth(&self) -> u32 {
        let body = match &self.body {
            Body::Node(_) => 0,
            Body::Value(value) => value.extent().depth,
        };
        self.context.depth().max(body).saturating_add(1)
    }

    /// Its value with these arguments, as `$1` (which is `$`), `$2` …
    pub(crate) fn call(&self, evaluator: &Evaluator<'_>, arguments: &[Value]) -> Result<Value, EvaluationError> {
        self.call_in(evaluator, &self.context.child(), arguments)
    }

    /// Its value with arguments that have names as well.
    pub(crate) fn call_named(
        &self,
        evaluator: &Evaluator<'_>,
        arguments: &[Value],
        named: &[(Arc<str>, Value)],
    ) -> Result<Value, EvaluationError> {
        let context = self.context.child();
        publish(&context, arguments);
        for (name, value) in named {
            context.set(name, value.clone());
        }
        self.run(evaluator, None, &context)
    }

    /// Its value in another scope.
    pub(crate) fn call_in(
        &self,
        evaluator: &Evaluator<'_>,
        context: &Arc<Context>,
        arguments: &[Value],
    ) -> Result<Value, EvaluationError> {
        publish(context, arguments);
        self.run(evaluator, None, context)
    }

    /// Its value as a method of `receiver`, in its own scope or another.
    pub(crate) fn call_on(
        &self,
        evaluator: &Evaluator<'_>,
        receiver: &Value,
        context: Option<&Arc<Context>>,
    ) -> Result<Value, EvaluationError> {
        match context {
            Some(context) => self.run(evaluator, Some(receiver), context),
            None => self.run(evaluator, Some(receiver), &self.context.child()),
        }
    }

    fn run(
        &self,
        evaluator: &Evaluator<'_>,
        receiver: Option<&Value>,
        context: &Arc<Context>,
    ) -> Result<Value, EvaluationError> {
        match &self.body {
            Body::Node(node) => evaluator.evaluate(node, receiver, context),
            Body::Value(value) => Ok(value.clone()),
        }
    }
}

fn publish(context: &Context, arguments: &[Value]) {
    for (index, argument) in arguments.iter().enumerate() {
        context.set(&(index + 1).to_string(), argument.clone());
    }
}
