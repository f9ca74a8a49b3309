//! JSON with `${CEL}` in its strings: the parameters of a rule's action, the arguments of a command.

use serde_json::{Map, Value as Json};

use crate::arena::Arena;
use crate::compile::{Mistake, Names, on_parser_thread, outside_strings, parse};
use crate::constants::{Constants, put_in};
use crate::error::{CompileError, EvalError};
use crate::eval::Cx;
use crate::expr::Expr;
use crate::names;
use crate::paths::Paths;
use crate::render::{to_json, to_text};
use crate::scope::{Scope, Sees};
use crate::secret_names::{self, Named};
use crate::slot::Slot;
use crate::value::Value;

/// A compiled template.
///
/// A string that is exactly one `${…}` becomes the value with its type; any other string with `${…}` in
/// it becomes text. `$${` stands for `${`. Keys of objects are taken as they are.
#[derive(Debug)]
pub struct Template {
    /// What it sees.
    sees: Sees,
    root: Node,
    /// What its expressions read of the event.
    paths: Paths,
    secrets: Vec<String>,
}

#[derive(Debug)]
enum Node {
    Literal(Json),
    Value(Expr),
    Text(Vec<Part>),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

#[derive(Debug)]
enum Part {
    Text(String),
    Expr(Expr),
}

impl Template {
    /// Compiles the parameters of a rule's action, which see `trigger`, `now` and `kv`.
    ///
    /// # Errors
    /// Every mistake in it; [`CompileError::at`] is a JSON pointer into `json`, line and column count
    /// inside that string.
    pub fn rule(json: &Json) -> Result<Self, Vec<CompileError>> {
        Self::compile(json, Sees::Rule, None)
    }

    /// The same, with constants (`config.<name>`) put in.
    ///
    /// # Errors
    /// As [`Template::rule`].
    pub fn rule_with(json: &Json, constants: &dyn Constants) -> Result<Self, Vec<CompileError>> {
        Self::compile(json, Sees::Rule, Some(constants))
    }

    /// Compiles what an action says, which sees `parameters`, `execution` (`id`, `attempt`) and `secret`, of which it
    /// names single ones: `secret.<space>.<name>`.
    ///
    /// # Errors
    /// As [`Template::rule`].
    pub fn action(json: &Json) -> Result<Self, Vec<CompileError>> {
        Self::compile(json, Sees::Action, None)
    }

    /// The same, with constants (`config.<name>`) put in.
    ///
    /// # Errors
    /// As [`Template::rule`].
    pub fn action_with(json: &Json, constants: &dyn Constants) -> Result<Self, Vec<CompileError>> {
        Self::compile(json, Sees::Action, Some(constants))
    }

    /// Compiles one expression over the result of an action, which sees `result` alone. It is written without `${…}`.
    ///
    /// # Errors
    /// As [`Template::rule`].
    pub fn result(source: &str) -> Result<Self, Vec<CompileError>> {
        Self::single(source, Sees::Result)
    }

    /// Compiles one expression over how an attempt ended, which sees `result`, `attempt` and `extracted`
    /// ([`Scope::attempt`]). It is written without `${…}`.
    ///
    /// # Errors
    /// As [`Template::rule`].
    pub fn attempt(source: &str) -> Result<Self, Vec<CompileError>> {
        Self::single(source, Sees::Attempt)
    }

    fn single(source: &str, sees: Sees) -> Result<Self, Vec<CompileError>> {
        let mut compiler = Compiler::new(sees, None);
        let expr = on_parser_thread(|| compiler.expression(source, "", source, 0));
        compiler.compiled(sees, expr.map_or(Node::Literal(Json::Null), Node::Value))
    }

    fn compile(json: &Json, sees: Sees, constants: Option<&dyn Constants>) -> Result<Self, Vec<CompileError>> {
        let mut compiler = Compiler::new(sees, constants);
        let build = |compiler: &mut Compiler<'_>| compiler.node(json, &mut String::new());
        // Most templates hold no expression, and need no thread to parse one.
        let root = if mentions(json, "${") { on_parser_thread(|| build(&mut compiler)) } else { build(&mut compiler) };
        compiler.compiled(sees, root)
    }

    /// The secrets that it names, each as `space.name`.
    pub fn secrets(&self) -> &[String] {
        &self.secrets
    }

    /// Fills in the values.
    ///
    /// # Errors
    /// The first expression without a value; a missing field is one, with the code `missing_field`.
    ///
    /// # Panics
    /// If the scope is not of the kind that the template was compiled for.
    pub fn render(&self, scope: &Scope<'_>) -> Result<Json, EvalError> {
        self.evaluate(scope, |values| self.root.render(values))
    }

    /// Fills in the values and gives text: what a string template gives, and for any other value what
    /// it would be inside a longer string. For the arguments of a command.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_text(&self, scope: &Scope<'_>) -> Result<String, EvalError> {
        self.evaluate(scope, |values| match &self.root {
            Node::Value(expr) => values.with(expr, to_text),
            node => match node.render(values)? {
                Json::String(text) => Ok(text),
                json => Ok(json.to_string()),
            },
        })
    }

    fn evaluate<T>(
        &self,
        scope: &Scope<'_>,
        take: impl FnOnce(&Values<'_>) -> Result<T, EvalError>,
    ) -> Result<T, EvalError> {
        assert!(scope.sees() == self.sees, "a template is rendered in the scope that it was compiled for");
        let arena = Arena::new();
        let vars = scope.vars();
        take(&Values { paths: &self.paths, slots: scope.slots(&self.paths, &arena), vars: &vars })
    }
}

/// What the expressions of one rendering see.
struct Values<'v> {
    paths: &'v Paths,
    slots: &'v [Slot<'v>],
    vars: &'v [Value<'v>],
}

impl Values<'_> {
    /// Hands the value of an expression on.
    fn with<T>(&self, expr: &Expr, take: impl FnOnce(Value<'_>) -> Result<T, EvalError>) -> Result<T, EvalError> {
        let arena = Arena::new();
        take(Cx::new(&arena, self.paths, self.slots, self.vars).eval(expr)?)
    }
}

impl Node {
    fn render(&self, scope: &Values<'_>) -> Result<Json, EvalError> {
        match self {
            Self::Literal(json) => Ok(json.clone()),
            Self::Value(expr) => scope.with(expr, to_json),
            Self::Text(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Text(plain) => text.push_str(plain),
                        Part::Expr(expr) => text.push_str(&scope.with(expr, to_text)?),
                    }
                }
                Ok(Json::String(text))
            }
            Self::Array(nodes) => nodes.iter().map(|n| n.render(scope)).collect::<Result<_, _>>().map(Json::Array),
            Self::Object(members) => {
                let members = members.iter().map(|(key, node)| Ok((key.clone(), node.render(scope)?)));
                members.collect::<Result<Map<_, _>, EvalError>>().map(Json::Object)
            }
        }
    }
}

struct Compiler<'c> {
    names: Names<'static>,
    constants: Option<&'c dyn Constants>,
    errors: Vec<CompileError>,
    paths: Paths,
    secrets: Vec<String>,
}

impl<'c> Compiler<'c> {
    fn new(sees: Sees, constants: Option<&'c dyn Constants>) -> Self {
        Self { names: sees.names(), constants, errors: Vec::new(), paths: Paths::new(), secrets: Vec::new() }
    }

    fn compiled(self, sees: Sees, root: Node) -> Result<Template, Vec<CompileError>> {
        let Self { errors, paths, secrets, .. } = self;
        if errors.is_empty() { Ok(Template { sees, root, paths, secrets }) } else { Err(errors) }
    }

    fn node(&mut self, json: &Json, pointer: &mut String) -> Node {
        match json {
            Json::String(text) => self.string(text, pointer),
            Json::Array(elements) => {
                let elements = elements.iter().enumerate();
                Node::Array(elements.map(|(i, e)| self.below(e, pointer, &i.to_string())).collect())
            }
            Json::Object(members) => {
                let mut nodes = Vec::with_capacity(members.len());
                for (key, member) in members {
                    if key.contains("${") || key.contains("{{") {
                        let message = "expressions in keys are not supported in this version";
                        self.error(pointer, key, Mistake { offset: 0, message: message.into() });
                    }
                    let step = key.replace('~', "~0").replace('/', "~1");
                    nodes.push((key.clone(), self.below(member, pointer, &step)));
                }
                Node::Object(nodes)
            }
            scalar => Node::Literal(scalar.clone()),
        }
    }

    fn below(&mut self, json: &Json, pointer: &mut String, step: &str) -> Node {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(step);
        let node = self.node(json, pointer);
        pointer.truncate(length);
        node
    }

    fn string(&mut self, text: &str, pointer: &str) -> Node {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            if rest.starts_with("$${") {
                plain.push_str("${");
                at += 3;
            } else if let Some(inside) = rest.strip_prefix("${") {
                let Some(length) = expression_bytes(inside) else {
                    let offset = text[..at].chars().count();
                    self.error(pointer, text, Mistake { offset, message: "`${` without its `}`".into() });
                    return Node::Literal(Json::Null);
                };
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                let source = &inside[..length];
                parts.extend(self.expression(source, pointer, text, at + 2).map(Part::Expr));
                at += 2 + length + 1;
            } else {
                if rest.starts_with("{{") || rest.starts_with("{%") {
                    let message = "Jinja (`{{ … }}`) is not supported in this version; use `${…}`".into();
                    self.error(pointer, text, Mistake { offset: text[..at].chars().count(), message });
                    return Node::Literal(Json::Null);
                }
                let c = rest.chars().next().unwrap_or_default();
                plain.push(c);
                at += c.len_utf8();
            }
        }
        if parts.is_empty() {
            return Node::Literal(Json::String(plain));
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        match parts.pop() {
            Some(Part::Expr(expr)) if parts.is_empty() => Node::Value(expr),
            last => {
                parts.extend(last);
                Node::Text(parts)
            }
        }
    }

    fn expression(&mut self, source: &str, pointer: &str, text: &str, at: usize) -> Option<Expr> {
        let before = text[..at].chars().count();
        let put_in = match self.constants.map(|constants| put_in(source, constants)).transpose() {
            Ok(put_in) => put_in,
            Err(mistake) => {
                self.error(pointer, text, Mistake { offset: before + mistake.offset, ..mistake });
                return None;
            }
        };
        let source = put_in.as_ref().map_or(source, |put_in| &*put_in.source);
        // Places are told as they are written, not as they are compiled.
        let written_at = |offset| before + put_in.as_ref().map_or(offset, |put_in| put_in.written_at(offset));
        let named = secret_names::of(source, self.names.vars.contains(&names::SECRET));
        for named in named {
            match named {
                Named::Secret(name) => self.secrets.push(name),
                Named::Mistake(mistake) => {
                    self.error(pointer, text, Mistake { offset: written_at(mistake.offset), ..mistake });
                    return None;
                }
            }
        }
        // Warnings are for criteria: a template's paths may well be absent from a schema.
        let compiled = parse(source).and_then(|parsed| parsed.compile(self.names, &mut self.paths, None));
        match compiled {
            Ok(compiled) => Some(compiled.expr),
            Err(mistakes) => {
                for mistake in mistakes {
                    self.error(pointer, text, Mistake { offset: written_at(mistake.offset), ..mistake });
                }
                None
            }
        }
    }

    fn error(&mut self, pointer: &str, text: &str, mistake: Mistake) {
        self.errors.push(CompileError::new(pointer, text, mistake));
    }
}

/// Bytes of an expression up to the `}` that ends it; braces inside it and its strings do not.
fn expression_bytes(rest: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in outside_strings(rest) {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn mentions(json: &Json, what: &str) -> bool {
    match json {
        Json::String(text) => text.contains(what),
        Json::Array(elements) => elements.iter().any(|e| mentions(e, what)),
        Json::Object(members) => members.values().any(|m| mentions(m, what)),
        _ => false,
    }
}
