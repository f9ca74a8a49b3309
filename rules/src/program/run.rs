//! Evaluates programs over the slots of one event.

use std::cmp::Ordering;

use bumpalo::collections::Vec as BumpVec;
use petrel_cel::expr::Relation;
use petrel_cel::{Arena, Cx, Fault, List, Paths, Slot, SlotId, Type, Value, equal};

use super::code::{
    AND, BOOL_FALSE, BOOL_TRUE, DOUBLE, ELEMENT, FALSE, HAS, IF, INT, NOT, NULL, OR, PREFIX, Programs, RELATIONS,
    SHARED, SLOT, STRING, STRINGS, SUFFIX, Shared, TRUE, UINT,
};
use super::memo::Memo;

/// The outcome of a condition in one word: false, true, or a fault. Faults are kept by number, because
/// most are absorbed and few are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Out(u32);

/// In the low bits of an [`Out`]: a fault of the list.
const LISTED: u32 = 2;
/// In the low bits of an [`Out`]: a path that has no value.
const NO_VALUE: u32 = 3;

impl Out {
    pub const FALSE: Self = Self(0);
    pub const TRUE: Self = Self(1);

    fn is_fault(self) -> bool {
        self.0 > 1
    }

    fn no_value(slot: SlotId) -> Self {
        Self(NO_VALUE | slot.0 << 2)
    }
}

impl From<bool> for Out {
    fn from(bool: bool) -> Self {
        Self(u32::from(bool))
    }
}

/// The evaluation of one event.
pub(crate) struct Run<'a, 'm> {
    programs: &'a Programs,
    paths: &'a Paths,
    slots: &'a [Slot<'a>],
    vars: &'a [Value<'a>],
    arena: &'a Arena,
    memo: &'m mut Memo,
    faults: BumpVec<'a, Fault<'a>>,
}

impl<'a, 'm> Run<'a, 'm> {
    /// An evaluation over these slots, which are numbered as in `paths`, and the variables of rules.
    pub fn new(
        programs: &'a Programs,
        paths: &'a Paths,
        slots: &'a [Slot<'a>],
        vars: &'a [Value<'a>],
        arena: &'a Arena,
        memo: &'m mut Memo,
    ) -> Self {
        memo.begin(programs.shared_leaves());
        Self { programs, paths, slots, vars, arena, memo, faults: BumpVec::new_in(arena.bump()) }
    }

    /// What a rule's program says of the event.
    pub fn rule(&mut self, rule: usize) -> Result<bool, Fault<'a>> {
        let (out, _) = self.cond(self.programs.starts[rule] as usize);
        match out {
            Out::FALSE => Ok(false),
            Out::TRUE => Ok(true),
            Out(fault) if fault & 3 == LISTED => Err(self.faults[(fault >> 2) as usize]),
            Out(slot) => Err(no_value(self.paths, self.slots, SlotId(slot >> 2))),
        }
    }

    /// The outcome of the condition at this word, and the word behind it.
    fn cond(&mut self, at: usize) -> (Out, usize) {
        let word = self.programs.words[at];
        let argument = word >> 8;
        match word & 0xff {
            FALSE => (Out::FALSE, at + 1),
            TRUE => (Out::TRUE, at + 1),
            NOT => {
                let (out, next) = self.cond(at + 1);
                (if out.is_fault() { self.operand("!", out) } else { Out(out.0 ^ 1) }, next)
            }
            AND => self.all_of(at, argument, Out::FALSE),
            OR => self.all_of(at, argument, Out::TRUE),
            IF => self.branch(at),
            SHARED => (self.shared(argument as usize), at + 1),
            leaf => self.leaf(leaf, SlotId(argument), at),
        }
    }

    /// `&&` is decided by a false, `||` by a true; what else there is comes second, faults first.
    fn all_of(&mut self, at: usize, count: u32, decisive: Out) -> (Out, usize) {
        let mut next = at + 2;
        let end = next + self.programs.words[at + 1] as usize;
        let mut outcome = Out(decisive.0 ^ 1);
        for _ in 0..count {
            let (out, behind) = self.cond(next);
            if out == decisive || self.is_final(out) {
                return (out, end);
            }
            if out.is_fault() && !outcome.is_fault() {
                outcome = out;
            }
            next = behind;
        }
        if outcome.is_fault() {
            outcome = self.operand(if decisive == Out::FALSE { "&&" } else { "||" }, outcome);
        }
        (outcome, end)
    }

    fn branch(&mut self, at: usize) -> (Out, usize) {
        let words = &self.programs.words;
        let [condition, yes, no] = [1, 2, 3].map(|part| words[at + part] as usize);
        let first = at + 4;
        let end = first + condition + yes + no;
        let (out, _) = self.cond(first);
        let (out, _) = match out {
            Out::TRUE => self.cond(first + condition),
            Out::FALSE => self.cond(first + condition + yes),
            fault => (self.operand("?:", fault), end),
        };
        (out, end)
    }

    #[inline]
    fn leaf(&mut self, leaf: u32, slot: SlotId, at: usize) -> (Out, usize) {
        let here = self.slots[slot.index()];
        if leaf == HAS {
            return (self.has(slot, here), at + 1);
        }
        let found = match here {
            Slot::Value(value) => Some(value),
            Slot::Object => None,
            // The length of a leaf is only needed where it is followed by another.
            Slot::Absent => return (Out::no_value(slot), at + self.length(leaf, at)),
        };
        let string = if let Some(Value::String(text)) = found { Some(text) } else { None };
        match leaf {
            SLOT => match found {
                Some(Value::Bool(bool)) => (bool.into(), at + 1),
                other => (self.fault(Fault::NotBool(type_of(other))), at + 1),
            },
            NULL => (matches!(found, Some(Value::Null)).into(), at + 1),
            BOOL_FALSE => (matches!(found, Some(Value::Bool(false))).into(), at + 1),
            BOOL_TRUE => (matches!(found, Some(Value::Bool(true))).into(), at + 1),
            STRING => (string.is_some_and(|s| s == self.text(at + 1)).into(), at + 3),
            STRINGS => {
                let end = at + 2 + 2 * self.programs.words[at + 1] as usize;
                let is_one = |s: &str| (at + 2..end).step_by(2).any(|text| s == self.text(text));
                (string.is_some_and(is_one).into(), end)
            }
            PREFIX => {
                let prefix = self.text(at + 1);
                (self.on_string("startsWith", found, |s| s.starts_with(prefix)), at + 3)
            }
            SUFFIX => {
                let suffix = self.text(at + 1);
                (self.on_string("endsWith", found, |s| s.ends_with(suffix)), at + 3)
            }
            ELEMENT => (self.has_element(found, at + 1), at + 3),
            _ => (self.number(leaf, found, at), at + 4),
        }
    }

    /// Words of a leaf that is about a slot.
    fn length(&self, leaf: u32, at: usize) -> usize {
        match leaf {
            STRING | PREFIX | SUFFIX | ELEMENT => 3,
            STRINGS => 2 + 2 * self.programs.words[at + 1] as usize,
            INT | UINT | DOUBLE => 4,
            _ => 1,
        }
    }

    /// The text that two words point to.
    fn text(&self, at: usize) -> &'a str {
        let (start, length) = (self.programs.words[at] as usize, self.programs.words[at + 1] as usize);
        &self.programs.texts[start..start + length]
    }

    fn has(&mut self, slot: SlotId, here: Slot<'a>) -> Out {
        if !matches!(here, Slot::Absent) {
            return Out::TRUE;
        }
        let parent = self.paths.get(slot).parent;
        match self.slots[parent.index()] {
            Slot::Absent if parent != SlotId::ROOT => Out::no_value(parent),
            Slot::Value(Value::List(_)) => self.fault(Fault::unary("has", Type::List)),
            _ => Out::FALSE,
        }
    }

    fn on_string(&mut self, function: &'static str, found: Option<Value<'a>>, of: impl Fn(&str) -> bool) -> Out {
        match found {
            Some(Value::String(text)) => of(text).into(),
            other => {
                let fault = Fault::binary(function, type_of(other), Type::String);
                self.fault(fault)
            }
        }
    }

    fn has_element(&mut self, found: Option<Value<'a>>, at: usize) -> Out {
        let text = self.text(at);
        match found {
            Some(Value::List(List::Values(elements))) => {
                elements.iter().any(|e| if let Value::String(s) = e { *s == text } else { false }).into()
            }
            Some(Value::List(list)) => list.iter().any(|e| equal(&e, &Value::String(text))).into(),
            Some(Value::Map(map)) => map.get(&Value::String(text)).is_some().into(),
            other => self.fault(Fault::binary("in", Type::String, type_of(other))),
        }
    }

    fn number(&mut self, leaf: u32, found: Option<Value<'a>>, at: usize) -> Out {
        let words = &self.programs.words;
        let relation = RELATIONS[words[at + 1] as usize];
        let bits = u64::from(words[at + 2]) | u64::from(words[at + 3]) << 32;
        let order = match (leaf, found) {
            (INT, Some(value)) => against_int(value, bits.cast_signed()),
            (UINT, Some(value)) => against_uint(value, bits),
            (_, Some(value)) => against_double(value, f64::from_bits(bits)),
            (_, None) => None,
        };
        match (relation, order) {
            (_, Some(Some(order))) => holds(relation, order).into(),
            (Relation::Eq, _) => Out::FALSE,
            (Relation::Ne, _) => Out::TRUE,
            // Neither has NaN an order.
            (relation, _) => {
                let constant = [(INT, Type::Int), (UINT, Type::Uint), (DOUBLE, Type::Double)];
                let constant = constant.iter().find(|(of, _)| *of == leaf).map_or(Type::Double, |(_, t)| *t);
                self.fault(Fault::binary(symbol(relation), type_of(found), constant))
            }
        }
    }

    fn shared(&mut self, leaf: usize) -> Out {
        if let Some(out) = self.memo.get(leaf) {
            return out;
        }
        let programs = self.programs;
        let out = match &programs.shared[leaf] {
            Shared::Contains(slot, part) => self.on_slot("contains", *slot, |text| text.contains(&**part)),
            Shared::Matches(slot, pattern) => self.on_slot("matches", *slot, |text| pattern.is_match(text)),
            Shared::General(expr) => match Cx::new(self.arena, self.paths, self.slots, self.vars).eval(expr) {
                Ok(Value::Bool(bool)) => bool.into(),
                Ok(other) => self.fault(Fault::NotBool(other.type_of())),
                Err(fault) => self.fault(fault),
            },
        };
        self.memo.set(leaf, out);
        out
    }

    fn on_slot(&mut self, function: &'static str, slot: SlotId, of: impl Fn(&str) -> bool) -> Out {
        match self.slots[slot.index()] {
            Slot::Absent => Out::no_value(slot),
            Slot::Object => self.on_string(function, None, of),
            Slot::Value(value) => self.on_string(function, Some(value), of),
        }
    }

    #[cold]
    fn fault(&mut self, fault: Fault<'a>) -> Out {
        self.faults.push(fault);
        // Fewer than one per leaf of the rules that are evaluated.
        Out(LISTED | (u32::try_from(self.faults.len() - 1).unwrap_or(u32::MAX) << 2))
    }

    /// The fault of an operator whose operand failed: one that is no bool is the operator's to refuse.
    fn operand(&mut self, operator: &'static str, fault: Out) -> Out {
        match fault {
            Out(listed) if listed & 3 == LISTED => match self.faults[(listed >> 2) as usize] {
                Fault::NotBool(of) => self.fault(Fault::unary(operator, of)),
                _ => fault,
            },
            _ => fault,
        }
    }

    fn is_final(&self, out: Out) -> bool {
        out.0 > 1 && out.0 & 3 == LISTED && self.faults[(out.0 >> 2) as usize].is_final()
    }
}

/// Why there is no value at a path: what is missing first, or what is no object above it.
pub(crate) fn no_value<'a>(paths: &'a Paths, slots: &[Slot<'_>], slot: SlotId) -> Fault<'a> {
    let mut missing = slot;
    while missing != SlotId::ROOT {
        let path = paths.get(missing);
        match slots[path.parent.index()] {
            Slot::Absent if path.parent != SlotId::ROOT => missing = path.parent,
            Slot::Value(value) if !matches!(value, Value::Map(_)) => return Fault::unary("select", value.type_of()),
            _ => break,
        }
    }
    Fault::Missing(&paths.get(missing).name)
}

fn type_of(found: Option<Value<'_>>) -> Type {
    found.map_or(Type::Map, |value| value.type_of())
}

fn holds(relation: Relation, order: Ordering) -> bool {
    match relation {
        Relation::Eq => order.is_eq(),
        Relation::Ne => order.is_ne(),
        Relation::Lt => order.is_lt(),
        Relation::Le => order.is_le(),
        Relation::Gt => order.is_gt(),
        Relation::Ge => order.is_ge(),
        Relation::In => false,
    }
}

fn symbol(relation: Relation) -> &'static str {
    match relation {
        Relation::Eq => "==",
        Relation::Ne => "!=",
        Relation::Lt => "<",
        Relation::Le => "<=",
        Relation::Gt => ">",
        Relation::Ge => ">=",
        Relation::In => "in",
    }
}

// The order of a value and a constant: nothing if the value is no number, `Some(None)` if one is NaN.
// Ints and uints compare exactly, either with a double by rounding.

fn against_int(value: Value<'_>, constant: i64) -> Option<Option<Ordering>> {
    match value {
        Value::Int(int) => Some(Some(int.cmp(&constant))),
        Value::Uint(uint) => Some(Some(i128::from(uint).cmp(&i128::from(constant)))),
        Value::Double(double) => Some(double.partial_cmp(&(constant as f64))),
        _ => None,
    }
}

fn against_uint(value: Value<'_>, constant: u64) -> Option<Option<Ordering>> {
    match value {
        Value::Int(int) => Some(Some(i128::from(int).cmp(&i128::from(constant)))),
        Value::Uint(uint) => Some(Some(uint.cmp(&constant))),
        Value::Double(double) => Some(double.partial_cmp(&(constant as f64))),
        _ => None,
    }
}

fn against_double(value: Value<'_>, constant: f64) -> Option<Option<Ordering>> {
    match value {
        Value::Int(int) => Some((int as f64).partial_cmp(&constant)),
        Value::Uint(uint) => Some((uint as f64).partial_cmp(&constant)),
        Value::Double(double) => Some(double.partial_cmp(&constant)),
        _ => None,
    }
}
