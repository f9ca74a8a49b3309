//! Macros: what looks like a function but has variables of its own.

use std::borrow::Cow;

use cel::common::ast::{CallExpr, Expr as Node, LiteralValue};
use cel::parser::Expression;

use super::resolve::{Compiler, Local, Typed};
use super::types::Types;
use crate::expr::{Expr, Kind, Loop, LoopKind};

/// All macros, each with how it is written.
pub(super) const MACROS: &[(&str, &str)] = &[
    ("has", "has(x.field)"),
    ("all", "list.all(x, condition)"),
    ("exists", "list.exists(x, condition)"),
    ("exists_one", "list.exists_one(x, condition)"),
    ("existsOne", "list.existsOne(x, condition)"),
    ("map", "list.map(x, value)"),
    ("filter", "list.filter(x, condition)"),
    ("sortBy", "list.sortBy(x, key)"),
    ("transformList", "list.transformList(i, x, value)"),
    ("transformMap", "map.transformMap(k, v, value)"),
    ("transformMapEntry", "map.transformMapEntry(k, v, {key: value})"),
    ("optMap", "optional.optMap(x, value)"),
    ("optFlatMap", "optional.optFlatMap(x, optional)"),
    ("cel.bind", "cel.bind(x, value, result)"),
    ("cel.block", "cel.block([values], result)"),
];

/// Most values of a `cel.block`, which nest.
const BLOCK_VALUES_MAX: usize = 32;

/// How a macro is written, for those who wrote it otherwise.
pub(super) fn usage(name: &str) -> Option<&'static str> {
    MACROS.iter().find(|(known, _)| *known == name).map(|(_, usage)| *usage)
}

/// A macro that goes through something: its variables, and where its condition and value stand.
struct Form {
    kind: LoopKind,
    variables: usize,
    filter: Option<usize>,
    value: Option<usize>,
}

fn form(name: &str, arguments: usize) -> Option<Form> {
    let form = |kind, variables, filter, value| Some(Form { kind, variables, filter, value });
    match (name, arguments) {
        ("all", 2) => form(LoopKind::All, 1, Some(1), None),
        ("all", 3) => form(LoopKind::All, 2, Some(2), None),
        ("exists", 2) => form(LoopKind::Exists, 1, Some(1), None),
        ("exists", 3) => form(LoopKind::Exists, 2, Some(2), None),
        ("exists_one" | "existsOne", 2) => form(LoopKind::ExistsOne, 1, Some(1), None),
        ("exists_one" | "existsOne", 3) => form(LoopKind::ExistsOne, 2, Some(2), None),
        ("filter", 2) => form(LoopKind::Filter, 1, Some(1), None),
        ("map", 2) => form(LoopKind::Map, 1, None, Some(1)),
        ("map", 3) => form(LoopKind::Map, 1, Some(1), Some(2)),
        ("sortBy", 2) => form(LoopKind::SortBy, 1, None, Some(1)),
        ("transformList", 3) => form(LoopKind::Map, 2, None, Some(2)),
        ("transformList", 4) => form(LoopKind::Map, 2, Some(2), Some(3)),
        ("transformMap", 3) => form(LoopKind::TransformMap, 2, None, Some(2)),
        ("transformMap", 4) => form(LoopKind::TransformMap, 2, Some(2), Some(3)),
        ("transformMapEntry", 3) => form(LoopKind::TransformMapEntry, 2, None, Some(2)),
        ("transformMapEntry", 4) => form(LoopKind::TransformMapEntry, 2, Some(2), Some(3)),
        _ => None,
    }
}

impl<'c> Compiler<'c> {
    /// Compiles a macro that is called globally; `None` if this is none.
    pub fn global_macro(&mut self, id: u64, name: &str, args: &'c [Expression]) -> Option<Typed> {
        match (name, args) {
            ("has", [Expression { id: field, expr: Node::Select(select) }]) => Some(self.has(id, *field, select)),
            ("has", [_]) => Some(self.mistake(id, "`has` takes a field: write `has(x.field)`")),
            _ => None,
        }
    }

    /// Compiles a macro that is called on a value, or in `cel`; `None` if this is none.
    pub fn member_macro(
        &mut self,
        id: u64,
        name: &str,
        target: &'c Expression,
        args: &'c [Expression],
    ) -> Option<Typed> {
        if matches!(&target.expr, Node::Ident(of) if of == "cel") {
            return self.cel_macro(id, name, args);
        }
        if let Some(form) = form(name, args.len()) {
            return Some(self.loop_macro(id, name, form, target, args));
        }
        match (name, args) {
            ("optMap", [variable, body]) => Some(self.binding(id, name, [variable, target, body], Kind::OptMap)),
            ("optFlatMap", [variable, body]) => {
                Some(self.binding(id, name, [variable, target, body], Kind::OptFlatMap))
            }
            _ => None,
        }
    }

    fn cel_macro(&mut self, id: u64, name: &str, args: &'c [Expression]) -> Option<Typed> {
        match (name, args) {
            ("bind", [variable, value, body]) => {
                Some(self.binding(id, "cel.bind", [variable, value, body], Kind::Bind))
            }
            ("block", [Expression { expr: Node::List(values), .. }, body]) => {
                if values.elements.len() > BLOCK_VALUES_MAX {
                    return Some(self.mistake(id, format!("`cel.block` has more than {BLOCK_VALUES_MAX} values")));
                }
                Some(self.block(id, &values.elements, 0, body))
            }
            ("index" | "iterVar" | "accuVar", _) => {
                let name = pseudo_name(name, args)?;
                Some(match self.local(&name) {
                    Some(local) => {
                        let types = self.locals[local].types;
                        Typed { expr: Expr { id, kind: Kind::Local(local) }, types, open: false }
                    }
                    None => self.mistake(id, "this variable of a `cel.block` is not there"),
                })
            }
            _ => None,
        }
    }

    /// `cel.block([a, b], body)`: a variable for each value, which the next ones may use.
    fn block(&mut self, id: u64, values: &'c [Expression], at: usize, body: &'c Expression) -> Typed {
        let Some(value) = values.get(at) else { return self.expr(body) };
        let value = self.expr(value);
        let name = Cow::Owned(format!("@index{at}"));
        self.locals.push(Local { name, types: value.types });
        let rest = self.block(id, values, at + 1, body);
        self.locals.pop();
        let (types, open) = (rest.types, value.open || rest.open);
        let kind = Kind::Bind(Box::new([value.expr, rest.expr]));
        self.folded_loop(Typed { expr: Expr { id, kind }, types, open })
    }

    /// A macro that gives a value a name.
    fn binding(
        &mut self,
        id: u64,
        name: &str,
        [variable, value, body]: [&'c Expression; 3],
        kind: fn(Box<[Expr; 2]>) -> Kind,
    ) -> Typed {
        let value = self.expr(value);
        let bind = name == "cel.bind";
        if !bind {
            self.check_optional(id, name, &value);
        }
        let Some(variable) = self.loop_variable(variable, name) else { return Typed::mistaken(id) };
        self.locals.push(Local { name: variable, types: if bind { value.types } else { Types::ANY } });
        let body = self.expr(body);
        self.locals.pop();
        let types = if bind { body.types } else { Types::ANY };
        let open = value.open || body.open;
        let kind = kind(Box::new([value.expr, body.expr]));
        self.folded_loop(Typed { expr: Expr { id, kind }, types, open })
    }

    fn loop_macro(&mut self, id: u64, name: &str, form: Form, target: &'c Expression, args: &'c [Expression]) -> Typed {
        let range = self.expr(target);
        self.check_range(id, name, &form.kind, &range);
        let two = form.variables == 2;
        let mut types = elements_of(&range.expr, two);
        let outside = self.locals.len();
        for arg in &args[..form.variables] {
            let Some(variable) = self.loop_variable(arg, name) else {
                self.locals.truncate(outside);
                return Typed::mistaken(id);
            };
            if self.locals[outside..].iter().any(|l| l.name == variable) {
                self.locals.truncate(outside);
                return self.mistake(arg.id, format!("both variables are called `{variable}`"));
            }
            let of = types.remove(0);
            self.locals.push(Local { name: variable, types: of });
        }
        let filter = form.filter.map(|at| self.expr(&args[at]));
        let value = form.value.map(|at| self.expr(&args[at]));
        self.locals.truncate(outside);
        if let Some(filter) = &filter {
            self.check_bool(filter, name);
        }
        let open = range.open || filter.as_ref().is_some_and(|f| f.open) || value.as_ref().is_some_and(|v| v.open);
        let types = match form.kind {
            LoopKind::All | LoopKind::Exists | LoopKind::ExistsOne => Types::BOOL,
            LoopKind::Map | LoopKind::Filter | LoopKind::SortBy => Types::LIST,
            LoopKind::TransformMap | LoopKind::TransformMapEntry => Types::MAP,
        };
        let parts = Loop {
            kind: form.kind,
            range: range.expr,
            two,
            filter: filter.map(|f| f.expr),
            value: value.map(|v| v.expr),
        };
        self.folded_loop(Typed { expr: Expr { id, kind: Kind::Loop(Box::new(parts)) }, types, open })
    }

    /// The name of a macro's variable.
    fn loop_variable(&mut self, node: &'c Expression, name: &str) -> Option<Cow<'c, str>> {
        match &node.expr {
            Node::Ident(variable) if !variable.starts_with('.') => Some(variable.as_str().into()),
            Node::Call(CallExpr { func_name, target: Some(target), args })
                if matches!(&target.expr, Node::Ident(of) if of == "cel") && pseudo_name(func_name, args).is_some() =>
            {
                pseudo_name(func_name, args).map(Cow::Owned)
            }
            _ => {
                let hint = usage(name).map_or_else(String::new, |usage| format!(": write `{usage}`"));
                self.mistake(node.id, format!("`{name}` takes the name of a variable here{hint}"));
                None
            }
        }
    }
}

/// What optimisers write instead of names: `cel.index(0)`, `cel.iterVar(0, 0)`.
fn pseudo_name(name: &str, args: &[Expression]) -> Option<String> {
    let int = |e: &Expression| match &e.expr {
        Node::Literal(LiteralValue::Int(int)) => Some(*int.inner()),
        _ => None,
    };
    match (name, args) {
        ("index", [at]) => Some(format!("@index{}", int(at)?)),
        ("iterVar", [depth, at]) => Some(format!("@it:{}:{}", int(depth)?, int(at)?)),
        ("accuVar", [depth, at]) => Some(format!("@ac:{}:{}", int(depth)?, int(at)?)),
        _ => None,
    }
}

/// What the variables of a macro may be, as far as its range tells.
fn elements_of(range: &Expr, two: bool) -> Vec<Types> {
    let (keys, elements) = match &range.kind {
        Kind::Const(value @ crate::owned::OwnedValue::List(_)) => (Types::INT, Types::inside(value)),
        Kind::Const(value @ crate::owned::OwnedValue::Map(_)) => (Types::inside(value), Types::ANY),
        _ => (Types::ANY, Types::ANY),
    };
    // Of nothing there is nothing to be said.
    let known = |types: Types| if types.is_none() { Types::ANY } else { types };
    let (keys, elements) = (known(keys), known(elements));
    match (two, &range.kind) {
        (true, _) => vec![keys, elements],
        (false, Kind::Const(crate::owned::OwnedValue::Map(_))) => vec![keys],
        (false, _) => vec![elements],
    }
}
