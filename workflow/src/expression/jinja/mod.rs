//! `{{ Jinja }}`: compiled by minijinja, which is a sandbox: it reaches what a scope holds and nothing else.
//!
//! Reading order: `syntax` (what Jinja's own parser says of a text), `environment` (what expressions may name),
//! `convert` (values there and back), `python` (how a result becomes text), `failure` (errors in Jinja's words).

mod convert;
mod environment;
mod failure;
mod python;
mod syntax;

use std::sync::Arc;

use minijinja::{Environment, Expression};

use environment::{ENVIRONMENT, ScopeObject};
pub(super) use failure::Failure;
pub(super) use syntax::CHUNK;

use super::{Scope, Value};

/// The name that the engine has for a text with blocks.
const TEXT_NAME: &str = "text";

/// A single expression, without its delimiters.
#[derive(Debug)]
pub(super) struct Inline(Expression<'static, 'static>);

/// A whole text with blocks. It has an environment of its own, which shares everything with the others but the text.
#[derive(Debug)]
pub(super) struct Block(Arc<Environment<'static>>);

/// What an expression yields.
pub(super) enum Yield {
    /// A value.
    Value(Value),
    /// Nothing: it names what is not there, and does nothing with it.
    Undefined,
}

/// What is wrong with a whole text, in Jinja's words.
pub(super) fn text_mistake(text: &str) -> Option<String> {
    syntax::template_mistake(text)
}

/// What is wrong with one of its expressions.
pub(super) fn expression_mistake(source: &str) -> Option<String> {
    syntax::expression_mistake(source)
}

impl Inline {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn compile(source: &str) -> Result<Self, Failure> {
        if let Some(mistake) = syntax::whole_expression_mistake(source) {
            return Err(Failure::syntax(mistake));
        }
        ENVIRONMENT.compile_expression_owned(source.to_owned()).map(Inline).map_err(|e| Failure::of(&e))
    }

    /// What it yields.
    pub fn evaluate(&self, scope: &Scope) -> Result<Yield, Failure> {
        let value = self.0.eval(ScopeObject::value(scope)).map_err(|e| Failure::of(&e))?;
        if value.is_undefined() {
            return Ok(Yield::Undefined);
        }
        convert::from_jinja(&value).map(Yield::Value)
    }

    /// Appends what it yields as text. False where it yields nothing.
    pub fn write(&self, scope: &Scope, out: &mut String) -> Result<bool, Failure> {
        let value = self.0.eval(ScopeObject::value(scope)).map_err(|e| Failure::of(&e))?;
        if value.is_undefined() {
            return Ok(false);
        }
        python::write_str(out, &value)?;
        Ok(true)
    }
}

impl Block {
    /// Compiles a whole text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn compile(text: &str) -> Result<Self, Failure> {
        if let Some(mistake) = syntax::template_mistake(text) {
            return Err(Failure::syntax(mistake));
        }
        let mut environment = ENVIRONMENT.clone();
        environment.add_template_owned(TEXT_NAME, text.to_owned()).map_err(|e| Failure::of(&e))?;
        Ok(Block(Arc::new(environment)))
    }

    /// The text that it yields.
    pub fn render(&self, scope: &Scope) -> Result<String, Failure> {
        let template = self.0.get_template(TEXT_NAME).map_err(|e| Failure::of(&e))?;
        let text = template.render(ScopeObject::value(scope)).map_err(|e| Failure::of(&e))?;
        if text.len() > super::limits::EXPRESSION_OUTPUT_BYTES_MAX { Err(Failure::too_long()) } else { Ok(text) }
    }
}
