//! Variables, types and paths of the event: what `a.b["c"]` means.

use cel::common::ast::{CallExpr, Expr as Node, LiteralValue, SelectExpr, operators};
use cel::parser::Expression;

use super::Field;
use super::hint::closest;
use super::resolve::{Compiler, Typed};
use super::types::{Types, type_named, type_names};
use crate::expr::{Expr, Kind};
use crate::owned::OwnedValue;
use crate::paths::SlotId;

/// One step down from a variable: `.name`, or `["name"]`.
pub(super) struct Step<'c> {
    /// The node that the path so far is.
    pub id: u64,
    pub name: &'c str,
    /// The node in the brackets.
    index: Option<&'c Expression>,
}

impl<'c> Compiler<'c> {
    /// Compiles a variable, or steps below something.
    pub fn chain(&mut self, node: &'c Expression) -> Typed {
        let (base, steps) = steps_of(node);
        let (mut typed, used) = match &base.expr {
            Node::Ident(name) => self.root(base.id, name, &steps),
            _ => (self.expr(base), 0),
        };
        for step in &steps[used..] {
            typed = match step.index {
                Some(index) => {
                    let index = self.expr(index);
                    self.index(step.id, typed, index)
                }
                None => self.select(step.id, typed, step.name),
            };
        }
        typed
    }

    /// `has(operand.field)`; `field` is the number of the select.
    pub fn has(&mut self, id: u64, field: u64, select: &'c SelectExpr) -> Typed {
        let (base, mut steps) = steps_of(&select.operand);
        if let Node::Ident(name) = &base.expr
            && self.is_event(name, &steps)
        {
            steps.push(Step { id: field, name: &select.field, index: None });
            let slot = self.path(&steps);
            self.check_path(&steps, true);
            return Typed { expr: Expr { id, kind: Kind::HasSlot(slot) }, types: Types::BOOL, open: true };
        }
        let operand = self.expr(&select.operand);
        let (open, constant) = (operand.open, operand.is_const());
        let kind = Kind::Has(operand.expr.into(), select.field.as_str().into());
        self.folded(Typed { expr: Expr { id, kind }, types: Types::BOOL, open }, constant)
    }

    /// `operand.field`
    fn select(&mut self, id: u64, operand: Typed, field: &str) -> Typed {
        self.check_select(id, field, &operand);
        let (open, constant) = (operand.open, operand.is_const());
        let kind = Kind::Select(operand.expr.into(), field.into());
        self.folded(Typed { expr: Expr { id, kind }, types: Types::ANY, open }, constant)
    }

    /// What a name means, and how many of the steps below it that takes.
    fn root(&mut self, id: u64, name: &'c str, steps: &[Step<'c>]) -> (Typed, usize) {
        if let Some(local) = self.local(name) {
            let types = self.locals[local].types;
            return (Typed { expr: Expr { id, kind: Kind::Local(local) }, types, open: false }, 0);
        }
        if self.is_event(name, steps) {
            return (self.slot(id, steps), steps.len());
        }
        let bare = name.strip_prefix('.').unwrap_or(name);
        if let Some((var, used)) = self.variable(bare, steps) {
            let id = if used == 0 { id } else { steps[used - 1].id };
            return (Typed { expr: Expr { id, kind: Kind::Var(var) }, types: Types::ANY, open: true }, used);
        }
        let of_type = type_names().filter_map(|of| dotted(of, bare, steps).map(|used| (of, used))).next();
        if let Some((of, used)) = of_type.and_then(|(of, used)| Some((type_named(of)?, used))) {
            let id = if used == 0 { id } else { steps[used - 1].id };
            return (Typed::constant(id, OwnedValue::Type(of)), used);
        }
        (self.unknown(id, bare), steps.len())
    }

    /// The innermost local of that name; a leading dot looks past them.
    pub fn local(&self, name: &str) -> Option<usize> {
        self.locals.iter().rposition(|l| l.name == name)
    }

    /// The variable that stands for the longest beginning of a path: variables may have dots in their names.
    fn variable(&self, name: &str, steps: &[Step<'_>]) -> Option<(usize, usize)> {
        let found = self.names.vars.iter().enumerate();
        let found = found.filter_map(|(var, full)| dotted(full, name, steps).map(|used| (var, used)));
        found.max_by_key(|(_, used)| *used)
    }

    /// Whether this is the event, or something below it.
    fn is_event(&self, name: &str, steps: &[Step<'_>]) -> bool {
        let bare = name.strip_prefix('.').unwrap_or(name);
        self.names.event == Some(bare) && self.local(name).is_none() && self.variable(bare, steps).is_none()
    }

    /// Whether a name is a variable, local or not.
    pub fn is_variable(&self, name: &str, steps: &[Step<'_>]) -> bool {
        let bare = name.strip_prefix('.').unwrap_or(name);
        self.local(name).is_some() || self.names.event == Some(bare) || self.variable(bare, steps).is_some()
    }

    /// The value at a path of the event.
    fn slot(&mut self, id: u64, steps: &[Step<'c>]) -> Typed {
        let slot = self.path(steps);
        self.paths.read_whole(slot);
        let types = self.check_path(steps, false);
        let id = steps.last().map_or(id, |s| s.id);
        Typed { expr: Expr { id, kind: Kind::Slot(slot) }, types, open: true }
    }

    fn path(&mut self, steps: &[Step<'_>]) -> SlotId {
        steps.iter().fold(SlotId::ROOT, |at, step| self.paths.child(at, step.name))
    }

    /// What the schema says of a path. A step that it does not know is warned of; a test for presence is
    /// there for fields that may not be, and is warned of only where a name looks misspelt.
    fn check_path(&mut self, steps: &[Step<'_>], presence: bool) -> Types {
        let Some(schema) = self.schema else { return Types::ANY };
        let names: Vec<&str> = steps.iter().map(|s| s.name).collect();
        for (at, step) in steps.iter().enumerate() {
            let field = schema.field(&names[..=at]);
            let (never, unlisted) = (field == Field::Never, field == Field::Unlisted);
            if never || unlisted {
                let siblings = schema.names(&names[..at]);
                let near = closest(step.name, siblings.iter().map(String::as_str));
                let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                if never {
                    self.warn_behind(step.id, format!("no event has a field `{}`{hint}", names[..=at].join(".")));
                } else if near.is_some() || !presence {
                    self.warn_behind(step.id, format!("unknown field `{}`{hint}", names[..=at].join(".")));
                }
                return Types::ANY;
            }
        }
        match schema.field(&names) {
            Field::Of(types) if !types.is_empty() => types.into_iter().collect(),
            _ => Types::ANY,
        }
    }

    fn unknown(&mut self, id: u64, name: &str) -> Typed {
        let environment = || self.names.event.into_iter().chain(self.names.vars.iter().copied());
        let locals = self.locals.iter().map(|l| &*l.name).filter(|l| !l.starts_with('@'));
        let hint = match closest(name, environment().chain(locals)) {
            Some(close) => format!("; did you mean `{close}`?"),
            None => match environment().collect::<Vec<_>>() {
                none if none.is_empty() => String::new(),
                all => format!("; there are `{}`", all.join("`, `")),
            },
        };
        self.mistake(id, format!("unknown variable `{name}`{hint}"))
    }
}

/// What a path begins with, and the steps below it: `a.b["c"]` is `a` and `b`, `c`.
pub(super) fn steps_of(node: &Expression) -> (&Expression, Vec<Step<'_>>) {
    let mut steps = Vec::new();
    let mut at = node;
    loop {
        match &at.expr {
            Node::Select(select) if !select.test => {
                steps.push(Step { id: at.id, name: &select.field, index: None });
                at = &select.operand;
            }
            Node::Call(CallExpr { func_name, target: None, args }) if func_name == operators::INDEX => {
                let [of, index] = args.as_slice() else { break };
                let Node::Literal(LiteralValue::String(key)) = &index.expr else { break };
                steps.push(Step { id: at.id, name: key.inner(), index: Some(index) });
                at = of;
            }
            _ => break,
        }
    }
    steps.reverse();
    (at, steps)
}

/// The name that an expression spells, if it is a variable with fields below: `math`, `a.b`.
pub(super) fn spelled(base: &Expression, steps: &[Step<'_>]) -> Option<String> {
    let Node::Ident(name) = &base.expr else { return None };
    let mut spelled = name.strip_prefix('.').unwrap_or(name).to_owned();
    for step in steps {
        if step.index.is_some() {
            return None;
        }
        spelled.push('.');
        spelled.push_str(step.name);
    }
    Some(spelled)
}

/// How many steps below a name spell a full name: of `a.b.c` under `a`, two.
fn dotted(full: &str, name: &str, steps: &[Step<'_>]) -> Option<usize> {
    let mut rest = full.strip_prefix(name)?;
    for (used, step) in steps.iter().enumerate() {
        if rest.is_empty() {
            return Some(used);
        }
        if step.index.is_some() {
            return None;
        }
        rest = rest.strip_prefix('.')?.strip_prefix(step.name)?;
    }
    rest.is_empty().then_some(steps.len())
}
