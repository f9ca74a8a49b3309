//! Checks names, functions and patterns, and puts our own functions in.

use cel::common::ast::{CallExpr, EntryExpr, Expr as Node, LiteralValue, SourceInfo, operators};
use cel::parser::Expression;

use super::compile::{Mistake, Names};
use super::functions::{FUNCTIONS, HAS, MACROS, MATCHES, Pattern, RANGE, TIMESTAMP, TYPES};
use super::reads::Reads;

/// Prefix of the names that stand for compiled patterns.
pub(super) const PATTERN_PREFIX: &str = "@pattern";

/// One walk over a syntax tree.
pub(super) struct Checker<'s> {
    names: Names,
    info: &'s SourceInfo,
    /// Variables of the comprehensions around, innermost last.
    locals: Vec<String>,
    /// Where the nearest node with a place stands; macros make nodes without one.
    offset: usize,
    pub mistakes: Vec<Mistake>,
    pub patterns: Vec<Pattern>,
    pub reads: Reads,
}

impl<'s> Checker<'s> {
    pub fn new(names: Names, info: &'s SourceInfo) -> Self {
        Self {
            names,
            info,
            locals: Vec::new(),
            offset: 0,
            mistakes: Vec::new(),
            patterns: Vec::new(),
            reads: Reads::default(),
        }
    }

    pub fn check(&mut self, expr: &mut Expression) {
        let outer = self.offset;
        if let Some((start, _)) = self.info.offset_for(expr.id) {
            // The parser counts bytes.
            let bytes = self.info.source.floor_char_boundary(usize::try_from(start).unwrap_or(0));
            self.offset = self.info.source[..bytes].chars().count();
        }
        if let Some(path) = self.trigger_path(expr) {
            self.reads.add(path);
        } else {
            self.check_node(&mut expr.expr);
        }
        rewrite_presence(expr);
        self.offset = outer;
    }

    fn check_node(&mut self, node: &mut Node) {
        match node {
            Node::Ident(name) => self.ident(name),
            Node::Select(select) => self.check(&mut select.operand),
            Node::Call(call) => self.call(call),
            Node::List(list) => list.elements.iter_mut().for_each(|e| self.check(e)),
            Node::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        self.check(&mut entry.key);
                        self.check(&mut entry.value);
                    }
                }
            }
            Node::Comprehension(comprehension) => {
                self.check(&mut comprehension.iter_range);
                let range = std::mem::take(&mut comprehension.iter_range);
                comprehension.iter_range = Expression { id: range.id, expr: call(RANGE, vec![range]) };
                self.check(&mut comprehension.accu_init);
                let locals = self.locals.len();
                self.locals.push(comprehension.accu_var.clone());
                self.check_in_loop(comprehension);
                self.locals.truncate(locals);
            }
            Node::Struct(_) => self.mistake("messages are not supported".into()),
            Node::Literal(_) => {}
            Node::Unspecified => self.mistake("the expression cannot be parsed".into()),
        }
    }

    fn check_in_loop(&mut self, comprehension: &mut cel::common::ast::ComprehensionExpr) {
        // The result sees the accumulator alone.
        self.check(&mut comprehension.result);
        self.locals.push(comprehension.iter_var.clone());
        self.locals.extend(comprehension.iter_var2.clone());
        self.check(&mut comprehension.loop_cond);
        self.check(&mut comprehension.loop_step);
    }

    fn ident(&mut self, name: &str) {
        let bare = name.strip_prefix('.').unwrap_or(name);
        let variables = self.names.all();
        if self.is_local(name) || variables.contains(&bare) || TYPES.contains(&bare) {
            return;
        }
        let candidates = variables.iter().copied().chain(self.locals.iter().map(String::as_str));
        let hint = match closest(bare, candidates.filter(|c| !c.starts_with('@'))) {
            Some(close) => format!("did you mean `{close}`?"),
            None => format!("there are `{}`", variables.join("`, `")),
        };
        self.mistake(format!("unknown variable `{bare}`; {hint}"));
    }

    fn is_local(&self, name: &str) -> bool {
        self.locals.iter().any(|l| l == name)
    }

    fn call(&mut self, call: &mut CallExpr) {
        for operand in call.target.as_deref_mut().into_iter().chain(&mut call.args) {
            self.check(operand);
        }
        let name = call.func_name.as_str();
        if is_operator(name) {
            return;
        }
        let Some(known) = FUNCTIONS.iter().find(|f| f.name == name) else {
            return self.unknown_function(name);
        };
        let (style, arities) = if call.target.is_some() { ("of a value", known.member) } else { ("", known.global) };
        if !arities.contains(&call.args.len()) {
            let message = match (arities, call.target.is_some()) {
                ([], true) => format!("`{name}` is not called on a value: write `{name}(x)`"),
                ([], false) => format!("`{name}` is called on a value: write `x.{name}(…)`"),
                (takes, _) => format!("`{name}` {style} takes {} arguments, not {}", numbers(takes), call.args.len()),
            };
            return self.mistake(message.replace("  ", " "));
        }
        match name {
            "matches" => self.pattern(call),
            "timestamp" => TIMESTAMP.clone_into(&mut call.func_name),
            _ => {}
        }
    }

    fn unknown_function(&mut self, name: &str) {
        let known = FUNCTIONS.iter().map(|f| f.name).chain(MACROS.iter().copied());
        let message = match (MACROS.contains(&name), closest(name, known)) {
            (true, _) => format!("`{name}` is not used like this"),
            (false, Some(close)) => format!("unknown function `{name}`; did you mean `{close}`?"),
            (false, None) => format!("unknown function `{name}`"),
        };
        self.mistake(message);
    }

    /// Compiles the literal pattern of a `matches` and calls our own function.
    fn pattern(&mut self, call: &mut CallExpr) {
        let compiled = match call.args.last().map(|a| &a.expr) {
            Some(Node::Literal(LiteralValue::String(pattern))) => Pattern::compile(pattern.inner()),
            _ => Err("a pattern that is no string literal is not supported in this version".into()),
        };
        match compiled {
            Ok(pattern) => {
                let name = format!("{PATTERN_PREFIX}{}", self.patterns.len());
                self.patterns.push(pattern);
                let text =
                    call.target.take().map(|t| *t).or_else(|| (call.args.len() == 2).then(|| call.args.remove(0)));
                if let (Some(text), Some(last)) = (text, call.args.pop()) {
                    call.func_name = MATCHES.to_owned();
                    call.args = vec![text, Expression { id: last.id, expr: Node::Ident(name) }];
                }
            }
            Err(message) => self.mistake(message),
        }
    }

    /// The path below `trigger` that this node is or tests for, if it is one.
    fn trigger_path(&self, expr: &Expression) -> Option<Vec<Box<str>>> {
        let (root, path) = path_of(expr)?;
        let trigger = self.names == Names::Rule && root.strip_prefix('.').unwrap_or(root) == "trigger";
        (trigger && !self.is_local(root)).then_some(path)
    }

    fn mistake(&mut self, message: String) {
        self.mistakes.push(Mistake { offset: self.offset, message });
    }
}

/// Makes presence tests calls of our own function.
fn rewrite_presence(expr: &mut Expression) {
    let id = expr.id;
    match &mut expr.expr {
        Node::Select(select) if select.test => {
            let field = LiteralValue::String(std::mem::take(&mut select.field).into());
            let operand = std::mem::take(&mut *select.operand);
            expr.expr = call(HAS, vec![operand, Expression { id, expr: Node::Literal(field) }]);
        }
        _ => {}
    }
}

/// The variable and the path below it that this node is or tests for: `a.b["c"]` is `a` and `b`, `c`.
pub(super) fn path_of(expr: &Expression) -> Option<(&str, Vec<Box<str>>)> {
    let mut path: Vec<Box<str>> = Vec::new();
    let mut node = &expr.expr;
    loop {
        match node {
            Node::Ident(name) => {
                path.reverse();
                return Some((name, path));
            }
            Node::Select(select) => {
                path.push(select.field.as_str().into());
                node = &select.operand.expr;
            }
            Node::Call(CallExpr { func_name, target: None, args }) if func_name == operators::INDEX => {
                let [of, index] = args.as_slice() else { return None };
                let Node::Literal(LiteralValue::String(key)) = &index.expr else { return None };
                path.push(key.inner().into());
                node = &of.expr;
            }
            _ => return None,
        }
    }
}

/// Visits the nodes directly below this one.
pub(super) fn each_child(expr: &Expression, visit: &mut dyn FnMut(&Expression)) {
    match &expr.expr {
        Node::Select(select) => visit(&select.operand),
        Node::Call(call) => call.target.as_deref().into_iter().chain(&call.args).for_each(visit),
        Node::List(list) => list.elements.iter().for_each(visit),
        Node::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    visit(&entry.key);
                    visit(&entry.value);
                }
            }
        }
        Node::Struct(message) => {
            for entry in &message.entries {
                if let EntryExpr::StructField(field) = &entry.expr {
                    visit(&field.value);
                }
            }
        }
        Node::Comprehension(c) => {
            [&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result].into_iter().for_each(visit);
        }
        Node::Ident(_) | Node::Literal(_) | Node::Unspecified => {}
    }
}

fn call(name: &str, args: Vec<Expression>) -> Node {
    Node::Call(CallExpr { func_name: name.to_owned(), target: None, args })
}

fn is_operator(name: &str) -> bool {
    use operators as op;
    let operators = [
        op::CONDITIONAL,
        op::LOGICAL_AND,
        op::LOGICAL_OR,
        op::LOGICAL_NOT,
        op::SUBSTRACT,
        op::ADD,
        op::MULTIPLY,
        op::DIVIDE,
        op::MODULO,
        op::EQUALS,
        op::NOT_EQUALS,
        op::GREATER_EQUALS,
        op::LESS_EQUALS,
        op::GREATER,
        op::LESS,
        op::NEGATE,
        op::INDEX,
        op::NOT_STRICTLY_FALSE,
        op::IN,
    ];
    operators.contains(&name)
}

fn numbers(of: &[usize]) -> String {
    of.iter().map(usize::to_string).collect::<Vec<_>>().join(" or ")
}

/// The candidate that somebody may have meant.
fn closest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3))
        .min()
        .map(|(_, candidate)| candidate)
}
