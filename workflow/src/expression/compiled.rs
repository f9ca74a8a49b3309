//! One text with its expressions, compiled.

use std::sync::Arc;

use super::accessor::Accessor;
use super::jinja::{self, Yield};
use super::limits::{EXPRESSION_OUTPUT_BYTES_MAX, EXPRESSION_TEXT_BYTES_MAX};
use super::text::{Part, expressions, split, split_cel, stripped};
use super::{Dialect, EvaluationError, Language, Problem, Scope, Value, cel, python, variables, yaql};

/// The delimiters of a language's expressions.
pub(super) fn delimiters(language: Language) -> [&'static str; 2] {
    match language {
        Language::Cel => ["${", "}"],
        Language::Jinja => ["{{", "}}"],
        Language::Yaql => ["<%", "%>"],
    }
}

/// The delimiters of Jinja's blocks.
const BLOCK: [&str; 2] = ["{%", "%}"];

/// What an inspection says of a text in several languages.
const MIXED: &str = "Expression with multiple types is not supported.";

/// A text that holds an expression.
#[derive(Debug)]
pub(super) struct Text {
    source: Arc<str>,
    /// The languages that are in it.
    languages: Vec<Language>,
    /// The one that is evaluated.
    language: Language,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// One expression and nothing else: what it yields keeps its type.
    Whole(Box<Expression>),
    /// Text between expressions.
    Parts(Vec<Piece>),
    /// Jinja with blocks, which is rendered as a whole.
    Block(Result<jinja::Block, String>),
    /// It cannot be evaluated at all, and why.
    Refused(String),
}

#[derive(Debug)]
enum Piece {
    Plain(Box<str>),
    Expression(Box<Expression>),
}

/// One expression.
struct Expression {
    /// With its delimiters.
    source: Box<str>,
    /// Where it is only a look-up.
    accessor: Option<Accessor>,
    /// The expression, or why it is none: the class of the exception and its text.
    compiled: Result<Compiled, String>,
}

enum Compiled {
    Cel(cel::Compiled),
    Jinja(jinja::Inline),
    Yaql(yaql::Compiled),
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.source.fmt(f)
    }
}

impl Text {
    /// Compiles a text; none if it holds no expression, and is itself.
    pub fn compile(source: &Arc<str>, dialect: Dialect) -> Option<Text> {
        let has = |delimiters| expressions(source, delimiters).next().is_some();
        let mut languages = Vec::new();
        if dialect == Dialect::Native && source.contains("${") {
            languages.push(Language::Cel);
        }
        let has_blocks = has(BLOCK);
        if has_blocks || has(delimiters(Language::Jinja)) {
            languages.push(Language::Jinja);
        }
        if has(delimiters(Language::Yaql)) {
            languages.push(Language::Yaql);
        }
        // In a mix only Jinja is evaluated.
        let language = *languages.first()?;
        let body = if source.len() > EXPRESSION_TEXT_BYTES_MAX {
            Body::Refused(format!("ValueError: the text is longer than {EXPRESSION_TEXT_BYTES_MAX} bytes"))
        } else if dialect == Dialect::Native && languages.len() > 1 {
            Body::Refused(format!("ValueError: {MIXED}"))
        } else if language == Language::Jinja && has_blocks {
            Body::Block(jinja::Block::compile(source).map_err(|e| e.to_string()))
        } else {
            Body::of_parts(source, language)
        };
        Some(Text { source: source.clone(), languages, language, body })
    }

    /// The text as it is written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What is wrong with it, as Orquesta's inspections say.
    pub fn problems(&self, problems: &mut Vec<Problem>) {
        let mut add = |language, expression: &str, message: &str| {
            problems.push(Problem { language, expression: expression.to_owned(), message: message.to_owned() });
        };
        if self.languages.len() > 1 {
            return add(None, &self.source, MIXED);
        }
        let language = Some(self.language);
        if let Body::Refused(message) = &self.body {
            return add(language, &self.source, message);
        }
        if self.language != Language::Jinja {
            for (expression, message) in self.mistakes() {
                add(language, expression, message);
            }
            return;
        }
        let whole = jinja::text_mistake(&self.source);
        if let Some(message) = &whole {
            add(language, &self.source, message);
        }
        let mut refused = false;
        for expression in expressions(&self.source, delimiters(Language::Jinja)) {
            // One that is the whole text was looked at, and one that was reported is reported once.
            if whole.is_some() && expression == &*self.source {
                continue;
            }
            if let Some(message) = jinja::expression_mistake(stripped(expression, delimiters(Language::Jinja))) {
                add(language, expression, &message);
                refused = true;
            }
        }
        if whole.is_none() && !refused {
            // What Jinja takes and the engine does not.
            for (expression, message) in self.mistakes().into_iter().filter(|(_, message)| *message != jinja::CHUNK) {
                add(language, expression, message);
            }
        }
    }

    /// The expressions that could not be compiled, with the reason, without the class of an exception.
    fn mistakes(&self) -> Vec<(&str, &str)> {
        let reason = |message: &'_ String| message.find(": ").map_or(0, |at| at + 2);
        if let Body::Block(Err(message)) = &self.body {
            return vec![(&self.source, &message[reason(message)..])];
        }
        let refused = |expression: &'_ &Expression| expression.compiled.is_err();
        let told = self.expressions().filter(refused).filter_map(|expression| {
            let message = expression.compiled.as_ref().err()?;
            Some((&*expression.source, &message[reason(message)..]))
        });
        told.collect()
    }

    /// Its expressions, where it is not rendered as a whole.
    fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let (whole, pieces) = match &self.body {
            Body::Whole(expression) => (Some(&**expression), &[][..]),
            Body::Parts(pieces) => (None, &pieces[..]),
            _ => (None, &[][..]),
        };
        whole.into_iter().chain(pieces.iter().filter_map(|piece| match piece {
            Piece::Expression(expression) => Some(&**expression),
            Piece::Plain(_) => None,
        }))
    }

    /// The variables that it names.
    pub fn variables(&self) -> Vec<(Language, String)> {
        let mut found = Vec::new();
        for language in [Language::Jinja, Language::Yaql] {
            for expression in expressions(&self.source, delimiters(language)) {
                for reference in variables::references(stripped(expression, delimiters(language))) {
                    found.extend(variables::names(&reference).into_iter().map(|name| (language, name.to_owned())));
                }
            }
        }
        for expression in self.expressions() {
            if let Ok(Compiled::Cel(compiled)) = &expression.compiled {
                found.extend(compiled.variables().map(|name| (Language::Cel, name.to_owned())));
            }
        }
        found
    }

    /// What it yields.
    pub fn evaluate(&self, scope: &Scope) -> Result<Value, EvaluationError> {
        match &self.body {
            Body::Whole(expression) => match expression.evaluate(scope) {
                Ok(Some(value)) => Ok(value),
                Ok(None) => Err(self.unresolved(&[expression])),
                Err(message) => Err(self.error(&expression.source, message)),
            },
            Body::Parts(pieces) => self.joined(pieces, scope),
            Body::Block(Ok(block)) => match block.render(scope) {
                Ok(text) => Ok(Value::text(text)),
                Err(failure) => Err(self.failure(&failure.to_string())),
            },
            Body::Block(Err(message)) | Body::Refused(message) => Err(self.failure(message)),
        }
    }

    fn joined(&self, pieces: &[Piece], scope: &Scope) -> Result<Value, EvaluationError> {
        let mut out = String::with_capacity(self.source.len());
        let mut undefined = Vec::new();
        for piece in pieces {
            let written = match piece {
                Piece::Plain(text) => python::push(&mut out, text).map(|()| true).map_err(|_| too_long()),
                Piece::Expression(expression) => {
                    let written = expression.write(scope, &mut out);
                    if written == Ok(false) {
                        undefined.push(&**expression);
                    }
                    written
                }
            };
            if let (Err(message), Piece::Expression(expression)) = (&written, piece) {
                return Err(self.error(&expression.source, message.clone()));
            }
            written.map_err(|message| self.failure(&message))?;
        }
        if undefined.is_empty() { Ok(Value::text(out)) } else { Err(self.unresolved(&undefined)) }
    }

    /// Why the whole text yields nothing.
    pub fn failure(&self, message: &str) -> EvaluationError {
        self.error(&self.source, message.to_owned())
    }

    fn error(&self, expression: &str, message: String) -> EvaluationError {
        let key = message.strip_prefix("KeyError: ").filter(|_| self.language == Language::Yaql);
        let message = match key {
            Some(key) => {
                let key = key.trim_matches('\'');
                format!("Unable to resolve key '{key}' in expression '{expression}' from context.")
            }
            None => format!("Unable to evaluate expression '{expression}'. {message}"),
        };
        EvaluationError { language: self.language, expression: expression.to_owned(), message }
    }

    /// Jinja's expressions that name nothing, which is told when all are evaluated.
    fn unresolved(&self, undefined: &[&Expression]) -> EvaluationError {
        let names = undefined.iter().map(|expression| stripped(&expression.source, delimiters(Language::Jinja)));
        let message = format!("There are unresolved variables: {}", names.collect::<Vec<_>>().join(", "));
        EvaluationError { language: self.language, expression: self.source.to_string(), message }
    }
}

impl Body {
    fn of_parts(source: &str, language: Language) -> Body {
        let parts = match language {
            Language::Cel => match split_cel(source) {
                Ok(parts) => parts,
                Err(open) => return Body::Refused(format!("SyntaxError: `{open}` has no `}}` that ends it")),
            },
            language => split(source, delimiters(language)),
        };
        if let [Part::Expression(expression)] = parts[..] {
            return Body::Whole(Box::new(Expression::compile(expression, language)));
        }
        let pieces = parts.into_iter().map(|part| match part {
            Part::Plain(text) => Piece::Plain(text.into()),
            Part::Expression(expression) => Piece::Expression(Box::new(Expression::compile(expression, language))),
        });
        Body::Parts(pieces.collect())
    }
}

impl Expression {
    fn compile(source: &str, language: Language) -> Expression {
        let (accessor, compiled) = match language {
            Language::Cel => {
                let inside = &source[2..source.len() - 1];
                (None, cel::Compiled::compile(inside).map(Compiled::Cel).map_err(|e| format!("SyntaxError: {e}")))
            }
            Language::Jinja => {
                let inside = stripped(source, delimiters(language));
                let compiled = jinja::Inline::compile(inside).map(Compiled::Jinja);
                (Accessor::parse(inside, language), compiled.map_err(|e| e.to_string()))
            }
            Language::Yaql => {
                let inside = stripped(source, delimiters(language));
                let compiled = yaql::Compiled::compile(inside).map(Compiled::Yaql);
                (Accessor::parse(inside, language), compiled.map_err(|e| format!("{}: {}", e.class, e.message)))
            }
        };
        let accessor = accessor.filter(|_| compiled.is_ok());
        Expression { source: source.into(), accessor, compiled }
    }

    /// What it yields; none where Jinja names what is not there.
    fn evaluate(&self, scope: &Scope) -> Result<Option<Value>, String> {
        if let Some(value) = self.accessor.as_ref().and_then(|accessor| accessor.find(scope)) {
            return Ok(Some(value));
        }
        match self.compiled.as_ref().map_err(Clone::clone)? {
            Compiled::Cel(compiled) => compiled.evaluate(scope).map(Some).map_err(|e| format!("{}: {e}", e.code)),
            Compiled::Jinja(compiled) => match compiled.evaluate(scope).map_err(|e| e.to_string())? {
                Yield::Value(value) => Ok(Some(value)),
                Yield::Undefined => Ok(None),
            },
            Compiled::Yaql(compiled) => match compiled.evaluate(scope) {
                Ok(value) => Ok(Some(value)),
                Err(failure) => Err(format!("{}: {}", failure.class, failure.message.trim_matches('\''))),
            },
        }
    }

    /// Appends what it yields as text. False where it yields nothing.
    fn write(&self, scope: &Scope, out: &mut String) -> Result<bool, String> {
        if let Some(value) = self.accessor.as_ref().and_then(|accessor| accessor.find(scope)) {
            return python::write_str(out, &value).map(|()| true).map_err(|_| too_long());
        }
        match &self.compiled {
            Ok(Compiled::Jinja(compiled)) => compiled.write(scope, out).map_err(|e| e.to_string()),
            Ok(Compiled::Cel(_)) => {
                let text = cel::text_of(&self.evaluate(scope)?.unwrap_or_default());
                python::push(out, &text).map(|()| true).map_err(|_| too_long())
            }
            _ => {
                let value = self.evaluate(scope)?.unwrap_or_default();
                python::write_str(out, &value).map(|()| true).map_err(|_| too_long())
            }
        }
    }
}

fn too_long() -> String {
    format!("MemoryError: the text would be longer than {EXPRESSION_OUTPUT_BYTES_MAX} bytes")
}
