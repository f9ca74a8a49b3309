//! Operators, which the parser makes calls of functions with names like `_+_`.

use cel::common::ast::{Expr as Node, LiteralValue, operators as op};
use cel::parser::Expression;

use super::fold::is_bool;
use super::resolve::{Compiler, Typed};
use super::types::Types;
use crate::expr::{Arith, Expr, Kind, Relation};
use crate::owned::OwnedValue;

impl<'c> Compiler<'c> {
    /// Compiles an operator; `None` if the name is none.
    pub fn operator(&mut self, node: &'c Expression, name: &str, args: &'c [Expression]) -> Option<Typed> {
        if !name.starts_with(['_', '!', '-', '@']) {
            return None;
        }
        let id = node.id;
        Some(match (name, args) {
            (op::LOGICAL_AND | op::LOGICAL_OR, _) => {
                let mut operands = Vec::new();
                self.operands(node, name, &mut operands);
                self.logic(id, operands, name == op::LOGICAL_AND)
            }
            (op::LOGICAL_NOT, [a]) => {
                let a = self.expr(a);
                self.not(id, a)
            }
            (op::NEGATE, [a]) => {
                let a = self.expr(a);
                self.negate(id, a)
            }
            (op::CONDITIONAL, [c, a, b]) => {
                let branches = [self.expr(c), self.expr(a), self.expr(b)];
                self.conditional(id, branches)
            }
            (op::INDEX, [_, Expression { expr: Node::Literal(LiteralValue::String(_)), .. }]) => self.chain(node),
            (op::INDEX, [a, b]) => {
                let (a, b) = (self.expr(a), self.expr(b));
                self.index(id, a, b)
            }
            (op::OPT_INDEX, [a, b]) => {
                let (a, b) = (self.expr(a), self.expr(b));
                self.pair(id, a, b, Types::ANY, Kind::OptIndex)
            }
            (op::OPT_SELECT, [a, Expression { expr: Node::Literal(LiteralValue::String(field)), .. }]) => {
                let a = self.expr(a);
                let (open, constant) = (a.open, a.is_const());
                let kind = Kind::OptSelect(a.expr.into(), field.inner().into());
                self.folded(Typed { expr: Expr { id, kind }, types: Types::ANY, open }, constant)
            }
            (_, [a, b]) => {
                if let Some(relation) = relation(name) {
                    let (a, b) = (self.expr(a), self.expr(b));
                    self.compare(id, relation, a, b)
                } else {
                    let arith = arith(name)?;
                    let (a, b) = (self.expr(a), self.expr(b));
                    let types = self.check_arith(id, arith, &a, &b);
                    self.pair(id, a, b, types, |operands| Kind::Arith(arith, operands))
                }
            }
            _ => return None,
        })
    }

    /// The operands of a chain of one operator, which the parser has made a balanced tree of.
    fn operands(&mut self, node: &'c Expression, name: &str, into: &mut Vec<Typed>) {
        match &node.expr {
            Node::Call(call) if call.func_name == name && call.target.is_none() => {
                for arg in &call.args {
                    self.operands(arg, name, into);
                }
            }
            _ => {
                let operand = self.expr(node);
                into.push(operand);
            }
        }
    }

    /// A chain of `&&` or `||`. A constant that decides, decides; one that does not is left out.
    fn logic(&mut self, id: u64, mut operands: Vec<Typed>, and: bool) -> Typed {
        let operator = if and { "&&" } else { "||" };
        for operand in &operands {
            self.check_bool(operand, operator);
        }
        let open = operands.iter().any(|o| o.open);
        let is = |operand: &Typed, value: bool| matches!(operand.as_const(), Some(OwnedValue::Bool(b)) if *b == value);
        if operands.iter().any(|o| is(o, !and)) {
            return Typed::bool(id, !and);
        }
        operands.retain(|o| !is(o, and));
        match operands.as_slice() {
            [] => return Typed::bool(id, and),
            [only] if is_bool(&only.expr) => return operands.remove(0),
            // The operator is an error on what is no bool: it has to stay.
            [_] => operands.push(Typed::bool(id, and)),
            _ => {}
        }
        let operands = operands.into_iter().map(|o| o.expr).collect();
        let kind = if and { Kind::And(operands) } else { Kind::Or(operands) };
        Typed { expr: Expr { id, kind }, types: Types::BOOL, open }
    }

    fn not(&mut self, id: u64, a: Typed) -> Typed {
        self.check_bool(&a, "!");
        let (open, constant) = (a.open, a.is_const());
        self.folded(Typed { expr: Expr { id, kind: Kind::Not(a.expr.into()) }, types: Types::BOOL, open }, constant)
    }

    fn negate(&mut self, id: u64, a: Typed) -> Typed {
        let types = self.check_negate(id, &a);
        let (open, constant) = (a.open, a.is_const());
        self.folded(Typed { expr: Expr { id, kind: Kind::Negate(a.expr.into()) }, types, open }, constant)
    }

    fn conditional(&mut self, id: u64, branches: [Typed; 3]) -> Typed {
        self.check_bool(&branches[0], "?:");
        let [condition, yes, no] = branches;
        match condition.as_const() {
            Some(OwnedValue::Bool(true)) => return yes,
            Some(OwnedValue::Bool(false)) => return no,
            _ => {}
        }
        let types = yes.types.or(no.types);
        let open = condition.open || yes.open || no.open;
        let kind = Kind::Cond(Box::new([condition.expr, yes.expr, no.expr]));
        Typed { expr: Expr { id, kind }, types, open }
    }

    /// `operand[index]`
    pub fn index(&mut self, id: u64, operand: Typed, index: Typed) -> Typed {
        self.check_index(id, &operand);
        self.pair(id, operand, index, Types::ANY, Kind::Index)
    }

    fn compare(&mut self, id: u64, relation: Relation, a: Typed, b: Typed) -> Typed {
        self.check_compare(id, relation, &a, &b);
        if relation == Relation::In && !a.is_const() {
            return super::fold::membership(id, a, b);
        }
        self.pair(id, a, b, Types::BOOL, |operands| Kind::Compare(relation, operands))
    }

    /// A node with two children.
    fn pair(&mut self, id: u64, a: Typed, b: Typed, types: Types, kind: impl FnOnce(Box<[Expr; 2]>) -> Kind) -> Typed {
        let (open, constant) = (a.open || b.open, a.is_const() && b.is_const());
        let kind = kind(Box::new([a.expr, b.expr]));
        self.folded(Typed { expr: Expr { id, kind }, types, open }, constant)
    }
}

fn relation(name: &str) -> Option<Relation> {
    Some(match name {
        op::EQUALS => Relation::Eq,
        op::NOT_EQUALS => Relation::Ne,
        op::LESS => Relation::Lt,
        op::LESS_EQUALS => Relation::Le,
        op::GREATER => Relation::Gt,
        op::GREATER_EQUALS => Relation::Ge,
        op::IN => Relation::In,
        _ => return None,
    })
}

fn arith(name: &str) -> Option<Arith> {
    Some(match name {
        op::ADD => Arith::Add,
        op::SUBSTRACT => Arith::Sub,
        op::MULTIPLY => Arith::Mul,
        op::DIVIDE => Arith::Div,
        op::MODULO => Arith::Rem,
        _ => return None,
    })
}
