//! Warnings of what is allowed but cannot be meant, as far as types tell. When in doubt, silent.

use super::Mistake;
use super::resolve::{Compiler, Typed};
use super::types::Types;
use crate::expr::{Arith, LoopKind, Relation};
use crate::value::Type;

/// Types of which `<` knows no order.
const UNORDERED: Types = Types::these(&[Type::Null, Type::List, Type::Map, Type::Type, Type::Optional]);

/// What arithmetic takes and makes.
const ARITHMETIC: &[(&[Arith], Type, Type, Type)] = &[
    (&[Arith::Add, Arith::Sub, Arith::Mul, Arith::Div, Arith::Rem], Type::Int, Type::Int, Type::Int),
    (&[Arith::Add, Arith::Sub, Arith::Mul, Arith::Div, Arith::Rem], Type::Uint, Type::Uint, Type::Uint),
    (&[Arith::Add, Arith::Sub, Arith::Mul, Arith::Div], Type::Double, Type::Double, Type::Double),
    (&[Arith::Add], Type::String, Type::String, Type::String),
    (&[Arith::Add], Type::Bytes, Type::Bytes, Type::Bytes),
    (&[Arith::Add], Type::List, Type::List, Type::List),
    (&[Arith::Add, Arith::Sub], Type::Timestamp, Type::Duration, Type::Timestamp),
    (&[Arith::Add], Type::Duration, Type::Timestamp, Type::Timestamp),
    (&[Arith::Add, Arith::Sub], Type::Duration, Type::Duration, Type::Duration),
    (&[Arith::Sub], Type::Timestamp, Type::Timestamp, Type::Duration),
];

impl Compiler<'_> {
    /// The warning for a criterion that is no bool.
    pub fn never_bool(&self, root: &Typed) -> Option<Mistake> {
        if root.types.is_none() || root.types.has(Type::Bool) {
            return None;
        }
        let message = format!("the criterion is {}, not a bool: it never matches", root.types);
        Some(Mistake { offset: self.offset(root.expr.id), message })
    }

    /// An operand of `&&`, the condition of a macro.
    pub fn check_bool(&mut self, operand: &Typed, of: &str) {
        if !operand.types.has(Type::Bool) {
            self.warn(operand.expr.id, format!("`{of}` takes a bool, and this is {}", operand.types));
        }
    }

    pub fn check_compare(&mut self, id: u64, relation: Relation, a: &Typed, b: &Typed) {
        match relation {
            Relation::Eq | Relation::Ne => {
                if !a.types.equals().overlaps(b.types) {
                    let never = if relation == Relation::Eq { "never" } else { "always" };
                    let message = format!("this is {never} true: one side is {}, the other {}", a.types, b.types);
                    self.warn(id, message);
                }
            }
            Relation::In => self.check_in(id, a, b),
            _ => {
                let ordered = |types: Types| types.minus(UNORDERED);
                if !ordered(a.types).equals().overlaps(ordered(b.types)) {
                    self.warn(id, format!("there is no order between {} and {}: always an error", a.types, b.types));
                }
            }
        }
    }

    fn check_in(&mut self, id: u64, a: &Typed, b: &Typed) {
        if !b.types.overlaps(Types::LIST.or(Types::MAP)) {
            self.warn(id, format!("`in` takes a list or a map, and this is {}: always an error", b.types));
            return;
        }
        let Some(constant) = b.as_const() else { return };
        let inside = Types::inside(constant);
        if inside.is_none() {
            self.warn(id, "this is never true: nothing is in there");
        } else if !a.types.equals().overlaps(inside) {
            self.warn(id, format!("this is never true: this is {}, in there is {inside}", a.types));
        }
    }

    /// What an operation makes of its operands.
    pub fn check_arith(&mut self, id: u64, arith: Arith, a: &Typed, b: &Typed) -> Types {
        let fits = ARITHMETIC
            .iter()
            .filter(|(of, left, right, _)| of.contains(&arith) && a.types.has(*left) && b.types.has(*right));
        let results: Types = fits.map(|(_, _, _, result)| *result).collect();
        if !results.is_none() {
            return results;
        }
        let operator = match arith {
            Arith::Add => "+",
            Arith::Sub => "-",
            Arith::Mul => "*",
            Arith::Div => "/",
            Arith::Rem => "%",
        };
        self.warn(id, format!("`{operator}` does not take {} and {}: always an error", a.types, b.types));
        Types::ANY
    }

    pub fn check_negate(&mut self, id: u64, a: &Typed) -> Types {
        let result = a.types.and(Types::these(&[Type::Int, Type::Double]));
        if result.is_none() {
            self.warn(id, format!("`-` does not take {}: always an error", a.types));
            return Types::ANY;
        }
        result
    }

    /// `operand.field`
    pub fn check_select(&mut self, id: u64, field: &str, operand: &Typed) {
        if !operand.types.overlaps(Types::MAP.or(Types::of(Type::Optional))) {
            self.warn(id, format!("{} has no field `{field}`: always an error", operand.types));
        }
    }

    /// `operand[index]`
    pub fn check_index(&mut self, id: u64, operand: &Typed) {
        if !operand.types.overlaps(Types::these(&[Type::Map, Type::List, Type::Optional])) {
            self.warn(id, format!("{} has no elements: always an error", operand.types));
        }
    }

    /// A key of a map literal.
    pub fn check_key(&mut self, key: &Typed) {
        if !key.types.overlaps(Types::these(&[Type::Bool, Type::Int, Type::Uint, Type::String, Type::Double])) {
            self.warn(key.expr.id, format!("{} is no map key: always an error", key.types));
        }
    }

    /// What a macro goes through.
    pub fn check_range(&mut self, id: u64, name: &str, kind: &LoopKind, range: &Typed) {
        let takes = if *kind == LoopKind::SortBy { Types::LIST } else { Types::LIST.or(Types::MAP) };
        if !range.types.overlaps(takes) {
            self.warn(id, format!("`{name}` goes through {takes}, and this is {}: always an error", range.types));
        }
    }

    /// What `optMap` is called on.
    pub fn check_optional(&mut self, id: u64, name: &str, value: &Typed) {
        if !value.types.has(Type::Optional) {
            self.warn(id, format!("`{name}` takes an optional, and this is {}: always an error", value.types));
        }
    }

    /// The arguments of a function, a receiver first; what it makes of them.
    pub fn check_function(&mut self, id: u64, name: &str, operands: &[Typed]) -> Types {
        let Some((_, takes, result)) = FUNCTIONS.iter().find(|(known, _, _)| *known == name) else {
            return Types::ANY;
        };
        for (operand, takes) in operands.iter().zip(*takes) {
            if !operand.types.overlaps(*takes) {
                self.warn(id, format!("`{name}` does not take {}: always an error", operand.types));
                break;
            }
        }
        *result
    }
}

const TIME: Types = Types::these(&[Type::Timestamp, Type::Duration]);
const SIZED: Types = Types::these(&[Type::String, Type::Bytes, Type::List, Type::Map]);

/// What functions take, a receiver first, and make. Only those of which all overloads are known here.
const FUNCTIONS: &[(&str, &[Types], Types)] = &[
    ("bool", &[Types::these(&[Type::Bool, Type::String])], Types::BOOL),
    ("contains", &[Types::STRING, Types::STRING], Types::BOOL),
    ("endsWith", &[Types::STRING, Types::STRING], Types::BOOL),
    ("getDate", &[Types::of(Type::Timestamp), Types::STRING], Types::INT),
    ("getDayOfMonth", &[Types::of(Type::Timestamp), Types::STRING], Types::INT),
    ("getDayOfWeek", &[Types::of(Type::Timestamp), Types::STRING], Types::INT),
    ("getDayOfYear", &[Types::of(Type::Timestamp), Types::STRING], Types::INT),
    ("getFullYear", &[Types::of(Type::Timestamp), Types::STRING], Types::INT),
    ("getHours", &[TIME, Types::STRING], Types::INT),
    ("getMilliseconds", &[TIME, Types::STRING], Types::INT),
    ("getMinutes", &[TIME, Types::STRING], Types::INT),
    ("getMonth", &[Types::of(Type::Timestamp), Types::STRING], Types::INT),
    ("getSeconds", &[TIME, Types::STRING], Types::INT),
    ("matches", &[Types::STRING, Types::STRING], Types::BOOL),
    ("size", &[SIZED], Types::INT),
    ("startsWith", &[Types::STRING, Types::STRING], Types::BOOL),
    ("duration", &[Types::these(&[Type::String, Type::Duration, Type::Int])], Types::of(Type::Duration)),
    ("timestamp", &[Types::these(&[Type::String, Type::Timestamp, Type::Int])], Types::of(Type::Timestamp)),
    ("double", &[Types::ANY], Types::of(Type::Double)),
    ("int", &[Types::ANY], Types::INT),
    ("string", &[Types::ANY], Types::STRING),
    ("type", &[Types::ANY], Types::of(Type::Type)),
    ("uint", &[Types::ANY], Types::of(Type::Uint)),
];
