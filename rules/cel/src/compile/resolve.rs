//! The walk over the syntax tree.

use std::borrow::Cow;

use cel::common::ast::{EntryExpr, Expr as Node, ListExpr, LiteralValue, MapExpr};
use cel::parser::Expression;

use super::types::Types;
use super::{Compiled, EventTypes, Mistake, Names, Parsed};
use crate::expr::{Element, Entry, Expr, Kind};
use crate::limits::CRITERIA_ERRORS_MAX;
use crate::owned::OwnedValue;
use crate::paths::Paths;

/// One walk over a syntax tree.
pub(super) struct Compiler<'c> {
    parsed: &'c Parsed,
    pub names: Names<'c>,
    pub paths: &'c mut Paths,
    pub schema: Option<&'c dyn EventTypes>,
    /// Whether names that mean nothing are mistakes, not faults where they are evaluated.
    pub checked: bool,
    /// Variables of the macros around, innermost last.
    pub locals: Vec<Local<'c>>,
    pub mistakes: Vec<Mistake>,
    pub warnings: Vec<Mistake>,
    /// Macros that may still be folded: each may cost the whole step budget.
    pub folds_left: u32,
}

/// A variable of a macro.
pub(super) struct Local<'c> {
    pub name: Cow<'c, str>,
    pub types: Types,
}

/// An expression, and what is known of its value.
pub(super) struct Typed {
    pub expr: Expr,
    /// What the value may be, if there is one.
    pub types: Types,
    /// Whether it reads the event or another variable of the environment.
    pub open: bool,
}

impl Typed {
    pub fn constant(id: u64, value: OwnedValue) -> Self {
        let types = Types::of_value(&value);
        Self { expr: Expr { id, kind: Kind::Const(value) }, types, open: false }
    }

    pub fn bool(id: u64, value: bool) -> Self {
        Self::constant(id, OwnedValue::Bool(value))
    }

    /// What stands where a mistake was found.
    pub fn mistaken(id: u64) -> Self {
        Self { expr: Expr { id, kind: Kind::Const(OwnedValue::Null) }, types: Types::ANY, open: true }
    }

    /// What stands for a name that means nothing, where that is no mistake: a field that is not there.
    pub fn missing(id: u64, name: &str) -> Self {
        let nothing = Expr { id, kind: Kind::Const(OwnedValue::Map(Box::default())) };
        Self { expr: Expr { id, kind: Kind::Select(nothing.into(), name.into()) }, types: Types::ANY, open: true }
    }

    pub fn as_const(&self) -> Option<&OwnedValue> {
        match &self.expr.kind {
            Kind::Const(value) if !self.open => Some(value),
            _ => None,
        }
    }

    pub fn is_const(&self) -> bool {
        self.as_const().is_some()
    }
}

impl<'c> Compiler<'c> {
    pub fn new(
        parsed: &'c Parsed,
        checked: bool,
        names: Names<'c>,
        paths: &'c mut Paths,
        schema: Option<&'c dyn EventTypes>,
    ) -> Self {
        Self {
            parsed,
            names,
            paths,
            schema,
            checked,
            locals: Vec::new(),
            mistakes: Vec::new(),
            warnings: Vec::new(),
            folds_left: super::fold::LOOPS_FOLDED_MAX,
        }
    }

    /// Compiles a whole expression.
    pub fn compiled(mut self, root: &'c Expression) -> Result<Compiled, Vec<Mistake>> {
        let root = self.expr(root);
        let never_bool = self.never_bool(&root);
        if !self.mistakes.is_empty() {
            self.mistakes.truncate(CRITERIA_ERRORS_MAX);
            return Err(self.mistakes);
        }
        self.warnings.truncate(CRITERIA_ERRORS_MAX);
        Ok(Compiled { expr: root.expr, warnings: self.warnings, never_bool })
    }

    pub fn expr(&mut self, node: &'c Expression) -> Typed {
        let id = node.id;
        match &node.expr {
            Node::Literal(literal) => Typed::constant(id, value_of(literal)),
            // A `has` that the quick parser expanded; both nodes are one.
            Node::Select(select) if select.test => self.has(id, id, select),
            Node::Ident(_) | Node::Select(_) => self.chain(node),
            Node::Call(call) => self.call(node, call),
            Node::List(list) => self.list(id, list),
            Node::Map(map) => self.map(id, map),
            Node::Struct(_) => self.mistake(id, "messages are not supported"),
            Node::Comprehension(_) | Node::Unspecified => self.mistake(id, "the expression cannot be parsed"),
        }
    }

    fn list(&mut self, id: u64, list: &'c ListExpr) -> Typed {
        let elements: Vec<Typed> = list.elements.iter().map(|e| self.expr(e)).collect();
        let open = elements.iter().any(|e| e.open);
        if list.optional_indices.is_empty() && elements.iter().all(Typed::is_const) {
            let constants = elements.into_iter().filter_map(|e| into_const(e.expr)).collect();
            return Typed::constant(id, OwnedValue::List(constants));
        }
        let elements = elements.into_iter().enumerate();
        let elements = elements.map(|(at, e)| Element { value: e.expr, optional: list.optional_indices.contains(&at) });
        let kind = Kind::List(elements.collect());
        Typed { expr: Expr { id, kind }, types: Types::LIST, open }
    }

    fn map(&mut self, id: u64, map: &'c MapExpr) -> Typed {
        let mut entries = Vec::with_capacity(map.entries.len());
        let (mut open, mut constant) = (false, true);
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else { continue };
            let (key, value) = (self.expr(&entry.key), self.expr(&entry.value));
            self.check_key(&key);
            open |= key.open || value.open;
            constant &= key.is_const() && value.is_const();
            entries.push(Entry { key: key.expr, value: value.expr, optional: entry.optional });
        }
        let kind = Kind::Map(entries.into());
        self.folded(Typed { expr: Expr { id, kind }, types: Types::MAP, open }, constant)
    }

    /// Notes a mistake.
    pub fn mistake(&mut self, id: u64, message: impl Into<String>) -> Typed {
        let offset = self.offset(id);
        self.mistakes.push(Mistake { offset, message: message.into() });
        Typed::mistaken(id)
    }

    /// Notes a warning.
    pub fn warn(&mut self, id: u64, message: impl Into<String>) {
        self.warn_at(self.offset(id), message.into());
    }

    /// Notes a warning of a field: what stands behind the `.` or `[`.
    pub fn warn_behind(&mut self, id: u64, message: impl Into<String>) {
        self.warn_at(self.offset(id) + 1, message.into());
    }

    fn warn_at(&mut self, offset: usize, message: String) {
        let warning = Mistake { offset, message };
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    pub fn offset(&self, id: u64) -> usize {
        self.parsed.place(id).map_or(0, |(start, _)| start)
    }
}

fn value_of(literal: &LiteralValue) -> OwnedValue {
    match literal {
        LiteralValue::Boolean(bool) => OwnedValue::Bool(*bool.inner()),
        LiteralValue::Bytes(bytes) => OwnedValue::Bytes(bytes.inner().into()),
        LiteralValue::Double(double) => OwnedValue::Double(*double.inner()),
        LiteralValue::Int(int) => OwnedValue::Int(*int.inner()),
        LiteralValue::Null => OwnedValue::Null,
        LiteralValue::String(text) => OwnedValue::String(text.inner().into()),
        LiteralValue::UInt(uint) => OwnedValue::Uint(*uint.inner()),
    }
}

/// The value of a node that is a constant.
pub(super) fn into_const(expr: Expr) -> Option<OwnedValue> {
    match expr.kind {
        Kind::Const(value) => Some(value),
        _ => None,
    }
}
