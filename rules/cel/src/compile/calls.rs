//! Functions, called on a value, globally, or in a namespace.

use std::collections::HashMap;
use std::sync::LazyLock;

use cel::common::ast::CallExpr;
use cel::parser::Expression;

use super::hint::{closest, numbers, shown};
use super::macros::{MACROS, usage};
use super::names::{spelled, steps_of};
use super::pattern::compile_pattern;
use super::resolve::{Compiler, Typed};
use super::types::Types;
use crate::expr::{Expr, Kind};
use crate::functions::{self, Function};
use crate::owned::OwnedValue;

/// The functions by name; libraries may share one.
static BY_NAME: LazyLock<HashMap<&'static str, Vec<&'static Function>>> = LazyLock::new(|| {
    let mut by_name: HashMap<_, Vec<_>> = HashMap::new();
    for function in functions::all() {
        by_name.entry(function.name).or_default().push(function);
    }
    by_name
});

impl<'c> Compiler<'c> {
    pub fn call(&mut self, node: &'c Expression, call: &'c CallExpr) -> Typed {
        let name = call.func_name.strip_prefix('.').unwrap_or(&call.func_name);
        match &call.target {
            None => {
                if let Some(typed) = self.operator(node, name, &call.args) {
                    return typed;
                }
                if let Some(typed) = self.global_macro(node.id, name, &call.args) {
                    return typed;
                }
                self.function(node.id, name, None, &call.args)
            }
            Some(target) => {
                if let Some(typed) = self.member_macro(node.id, name, target, &call.args) {
                    return typed;
                }
                if let Some(full) = self.namespaced(target, name) {
                    return self.function(node.id, &full, None, &call.args);
                }
                self.function(node.id, name, Some(target), &call.args)
            }
        }
    }

    /// The whole name of a function in a namespace: one that is known, or one that must be meant.
    fn namespaced(&self, target: &Expression, name: &str) -> Option<String> {
        let (base, steps) = steps_of(target);
        let cel::common::ast::Expr::Ident(root) = &base.expr else { return None };
        if self.is_variable(root, &steps) {
            return None;
        }
        let namespace = spelled(base, &steps)?;
        let full = format!("{namespace}.{name}");
        let inside = |f: &str| f.strip_prefix(&*namespace).is_some_and(|rest| rest.starts_with('.'));
        (BY_NAME.contains_key(&*full) || BY_NAME.keys().any(|f| inside(f)) || MACROS.iter().any(|(m, _)| inside(m)))
            .then_some(full)
    }

    fn function(&mut self, id: u64, name: &str, target: Option<&'c Expression>, args: &'c [Expression]) -> Typed {
        if target.is_none()
            && args.is_empty()
            && let Some(var) = self.called_variable(name)
        {
            return Typed { expr: Expr { id, kind: Kind::Var(var) }, types: Types::ANY, open: true };
        }
        let known = overloads(name);
        let matches = name == "matches" && args.len() + usize::from(target.is_some()) == 2;
        if known.is_empty() && !matches {
            if let Some(target) = target {
                self.expr(target);
            }
            if !self.checked {
                return Typed::missing(id, name);
            }
            // The arguments may be meant for a macro, whose variables are not there.
            return self.mistake(id, unknown(name));
        }
        let mut operands: Vec<Typed> = target.into_iter().chain(args).map(|a| self.expr(a)).collect();
        let types = self.check_function(id, name, &operands);
        if matches && let Some(OwnedValue::String(pattern)) = operands[1].as_const() {
            return match compile_pattern(pattern) {
                Ok(regex) => self.matches(id, operands.swap_remove(0), regex),
                Err(message) => self.mistake(id, message),
            };
        }
        let member = target.is_some();
        let takes = |f: &&&Function| if member { f.member } else { f.global }.contains(&args.len());
        let Some(function) = known.iter().find(takes) else {
            return self.mistake(id, misused(name, member, args.len(), known));
        };
        let open = operands.iter().any(|o| o.open);
        let constant = operands.iter().all(Typed::is_const);
        let kind = Kind::Call(function, operands.into_iter().map(|o| o.expr).collect());
        let folded = self.folded(Typed { expr: Expr { id, kind }, types, open }, constant);
        // `dyn` says that anything may be meant, also where it is a constant.
        if name == "dyn" { Typed { types: Types::ANY, ..folded } } else { folded }
    }

    /// The variable that is written as a call without arguments.
    fn called_variable(&self, name: &str) -> Option<usize> {
        self.names.vars.iter().position(|var| var.strip_suffix("()") == Some(name))
    }

    /// `text.matches("constant")`
    fn matches(&mut self, id: u64, text: Typed, regex: regex::Regex) -> Typed {
        let (open, constant) = (text.open, text.is_const());
        let kind = Kind::Matches(text.expr.into(), regex);
        self.folded(Typed { expr: Expr { id, kind }, types: Types::BOOL, open }, constant)
    }
}

/// What is wrong with a call of a function that is not called like this.
fn misused(name: &str, member: bool, arguments: usize, known: &[&Function]) -> String {
    let mut takes: Vec<usize> = known.iter().flat_map(|f| if member { f.member } else { f.global }).copied().collect();
    takes.sort_unstable();
    takes.dedup();
    match (takes.as_slice(), member) {
        ([], true) => format!("`{name}` is not called on a value: write `{name}(x)`"),
        ([], false) => format!("`{name}` is called on a value: write `x.{name}(…)`"),
        (takes, true) => format!("`{name}` of a value takes {}, not {arguments}", counted(takes)),
        (takes, false) => format!("`{name}` takes {}, not {arguments}", counted(takes)),
    }
}

/// `1 argument`, `0 or 1 arguments`
fn counted(takes: &[usize]) -> String {
    let plural = if takes == [1] { "" } else { "s" };
    format!("{} argument{plural}", numbers(takes))
}

/// The functions of that name.
pub(super) fn overloads(name: &str) -> &'static [&'static Function] {
    BY_NAME.get(name).map(Vec::as_slice).unwrap_or_default()
}

/// Whether there is a function or a macro of that name.
pub(super) fn is_function(name: &str) -> bool {
    BY_NAME.contains_key(name) || usage(name).is_some()
}

fn unknown(name: &str) -> String {
    if let Some(usage) = usage(name) {
        return format!("`{name}` is not used like this: write `{usage}`");
    }
    match closest(name, BY_NAME.keys().copied().chain(MACROS.iter().map(|(name, _)| *name))) {
        Some(close) => format!("unknown function `{}`; did you mean `{close}`?", shown(name)),
        None => format!("unknown function `{}`", shown(name)),
    }
}
