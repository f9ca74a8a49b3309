//! Evaluates programs over the slots of one event.

use bumpalo::collections::Vec as BumpVec;
use petrel_cel::{Arena, Cx, Fault, List, Paths, Slot, SlotId, Type, Value, equal};

use super::code::{
    AND, BOOL_FALSE, BOOL_TRUE, DOUBLE, ELEMENT, FALSE, HAS, IF, INT, NOT, NULL, OR, PREFIX, Programs, SHARED, SLOT,
    STRING, STRINGS, SUFFIX, Shared, Start, TRUE,
};
use super::compare::{against_double, against_int, against_uint, constant_type, holds, same, symbol, without_order};
use super::jump::Jump;
use super::memo::Memo;
use crate::kv::Kv;
use petrel_cel::instant;

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
    /// A leaf that needs a second look; never an outcome.
    const NONE: Self = Self(u32::MAX);

    fn is_fault(self) -> bool {
        self.0 > 1
    }

    /// The number of its fault in the list, if it stands there.
    fn listed(self) -> Option<usize> {
        (self.0 & 3 == LISTED).then_some((self.0 >> 2) as usize)
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

/// The evaluation of one event by the programs of a rule set's parts, one part after the other.
pub(crate) struct Run<'a, 'm> {
    // The programs of the part that is asked, and the number of its first shared leaf.
    starts: &'a [Start],
    words: &'a [u32],
    texts: &'a str,
    shared: &'a [Shared],
    first_shared: usize,
    paths: &'a Paths,
    slots: &'a [Slot<'a>],
    scope: Scope<'a>,
    arena: &'a Arena,
    memo: &'m mut Memo,
    faults: BumpVec<'a, Fault<'a>>,
}

/// What criteria see beside the event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// Milliseconds since the epoch.
    pub now_ms: i64,
    pub kv: &'a Kv,
}

impl<'a, 'm> Run<'a, 'm> {
    /// An evaluation over these slots, which are numbered as in `paths`; it has to turn to a part before it is
    /// asked. `memo` has begun with the event.
    #[inline]
    pub fn new(
        paths: &'a Paths,
        slots: &'a [Slot<'a>],
        scope: Scope<'a>,
        arena: &'a Arena,
        memo: &'m mut Memo,
    ) -> Self {
        let faults = BumpVec::new_in(arena.bump());
        Self {
            starts: &[],
            words: &[],
            texts: "",
            shared: &[],
            first_shared: 0,
            paths,
            slots,
            scope,
            arena,
            memo,
            faults,
        }
    }

    /// The next rules are those of this part of the set; `first_shared` is the number of its first shared leaf.
    #[inline]
    pub fn turn_to(&mut self, programs: &'a Programs, first_shared: usize) {
        let Programs { starts, words, texts, shared } = programs;
        (self.starts, self.words, self.texts, self.shared) = (starts, words, texts, shared);
        self.first_shared = first_shared;
    }

    /// What a rule's program says of the event.
    #[inline]
    pub fn rule(&mut self, rule: usize) -> Out {
        let start = self.starts[rule];
        let mut at = start.leaf as usize;
        loop {
            let word = self.words[at];
            let (out, end) = self.leaf(word, at);
            if out.is_fault() {
                // It is asked again; what is shared keeps its fault.
                if out.listed().is_some() && word & 0xff != SHARED {
                    self.faults.pop();
                }
                break;
            }
            let jump = Jump::of(self.words[end], out == Out::TRUE);
            match jump.words() {
                Some(words) => at = end + 1 + words,
                None if jump == Jump::TRUE => return Out::TRUE,
                None if jump == Jump::FALSE => return Out::FALSE,
                None => break,
            }
        }
        // What another condition may absorb. An index hardly proposes a rule for an event without a field that the
        // rule needs, so this is rare enough to begin anew.
        self.condition(start.condition as usize).0
    }

    /// Why an outcome is neither false nor true.
    #[cold]
    pub fn told(&self, out: Out) -> Fault<'a> {
        match out.listed() {
            Some(number) => self.faults[number],
            None => no_value(self.paths, self.slots, SlotId(out.0 >> 2)),
        }
    }

    /// The outcome of the condition at this word, whatever fails in it, and the word behind it.
    fn condition(&mut self, at: usize) -> (Out, usize) {
        let word = self.words[at];
        match word & 0xff {
            NOT => {
                let (out, next) = self.condition(at + 1);
                (if out.is_fault() { self.operand("!", out) } else { Out(out.0 ^ 1) }, next)
            }
            AND => self.all_of(at, word >> 8, Out::FALSE),
            OR => self.all_of(at, word >> 8, Out::TRUE),
            IF => self.branch(at),
            _ => {
                let (out, jump) = self.leaf(word, at);
                (out, jump + 1)
            }
        }
    }

    /// `&&` is decided by a false, `||` by a true; what else there is comes second, faults first.
    fn all_of(&mut self, at: usize, count: u32, decisive: Out) -> (Out, usize) {
        let mut next = at + 2;
        let end = next + self.words[at + 1] as usize;
        let mut outcome = Out(decisive.0 ^ 1);
        for _ in 0..count {
            let (out, behind) = self.condition(next);
            if out == decisive {
                return (out, end);
            }
            if out.is_fault() {
                if self.is_final(out) {
                    return (out, end);
                }
                if !outcome.is_fault() {
                    outcome = out;
                }
            }
            next = behind;
        }
        if outcome.is_fault() {
            outcome = self.operand(if decisive == Out::FALSE { "&&" } else { "||" }, outcome);
        }
        (outcome, end)
    }

    fn branch(&mut self, at: usize) -> (Out, usize) {
        let words = &self.words;
        let [condition, yes, no] = [1, 2, 3].map(|part| words[at + part] as usize);
        let first = at + 4;
        let end = first + condition + yes + no;
        let (out, _) = self.condition(first);
        let (out, _) = match out {
            Out::TRUE => self.condition(first + condition),
            Out::FALSE => self.condition(first + condition + yes),
            fault => (self.operand("?:", fault), end),
        };
        (out, end)
    }

    /// The outcome of the leaf at this word, and the jump behind it.
    #[inline(always)]
    fn leaf(&mut self, word: u32, at: usize) -> (Out, usize) {
        let (leaf, argument) = (word & 0xff, word >> 8);
        if leaf == SHARED {
            return (self.shared(argument as usize), at + 1);
        }
        let slot = SlotId(argument);
        let here = &self.slots[slot.index()];
        // What most leaves are, before the others are told apart.
        if leaf == STRING
            && let Slot::Value(Value::String(text)) = here
        {
            return (same(text.as_bytes(), self.text(at + 1)).into(), at + 3);
        }
        let string = if let Slot::Value(Value::String(text)) = here { Some(text.as_bytes()) } else { None };
        let is = |wanted: bool| Out::from(matches!(here, Slot::Value(Value::Bool(bool)) if *bool == wanted));
        let (out, end) = match leaf {
            HAS => return (self.has(slot, here), at + 1),
            FALSE => return (Out::FALSE, at + 1),
            TRUE => return (Out::TRUE, at + 1),
            STRING => (Out::FALSE, at + 3),
            STRINGS => {
                let end = at + 2 + 2 * self.words[at + 1] as usize;
                let is_one = |s: &[u8]| (at + 2..end).step_by(2).any(|text| same(s, self.text(text)));
                (string.is_some_and(is_one).into(), end)
            }
            PREFIX => (string.map_or(Out::NONE, |s| s.starts_with(self.text(at + 1)).into()), at + 3),
            SUFFIX => (string.map_or(Out::NONE, |s| s.ends_with(self.text(at + 1)).into()), at + 3),
            SLOT => (if let Slot::Value(Value::Bool(bool)) = here { (*bool).into() } else { Out::NONE }, at + 1),
            NULL => (matches!(here, Slot::Value(Value::Null)).into(), at + 1),
            BOOL_FALSE => (is(false), at + 1),
            BOOL_TRUE => (is(true), at + 1),
            ELEMENT => (Out::NONE, at + 3),
            _ => (self.number(leaf, here, at), at + 4),
        };
        if out == Out::TRUE || (out == Out::FALSE && !matches!(here, Slot::Absent)) {
            return (out, end);
        }
        (self.otherwise(leaf, slot, at), end)
    }

    /// The outcome of a leaf whose path has no value, or one that needs a second look.
    #[inline(never)]
    fn otherwise(&mut self, leaf: u32, slot: SlotId, at: usize) -> Out {
        let found = match self.slots[slot.index()] {
            Slot::Value(value) => Some(value),
            Slot::Object => None,
            Slot::Absent => return Out::no_value(slot),
        };
        match leaf {
            ELEMENT => self.has_element(found, at + 1),
            SLOT => self.fault(Fault::NotBool(type_of(found))),
            PREFIX => self.fault(Fault::binary("startsWith", type_of(found), Type::String)),
            SUFFIX => self.fault(Fault::binary("endsWith", type_of(found), Type::String)),
            _ => {
                let relation = self.words[at + 1];
                match without_order(relation) {
                    Some(outcome) => outcome.into(),
                    None => self.fault(Fault::binary(symbol(relation), type_of(found), constant_type(leaf))),
                }
            }
        }
    }

    /// The text that two words point to.
    #[inline(always)]
    fn text(&self, at: usize) -> &'a [u8] {
        let (start, length) = (self.words[at] as usize, self.words[at + 1] as usize);
        &self.texts.as_bytes()[start..start + length]
    }

    #[inline(always)]
    fn has(&mut self, slot: SlotId, here: &Slot<'a>) -> Out {
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

    fn has_element(&mut self, found: Option<Value<'a>>, at: usize) -> Out {
        let (start, length) = (self.words[at] as usize, self.words[at + 1] as usize);
        let text = &self.texts[start..start + length];
        match found {
            Some(Value::List(List::Values(elements))) => {
                let is =
                    |e: &Value<'_>| if let Value::String(s) = e { same(s.as_bytes(), text.as_bytes()) } else { false };
                elements.iter().any(is).into()
            }
            Some(Value::List(list)) => list.iter().any(|e| equal(&e, &Value::String(text))).into(),
            Some(Value::Map(map)) => map.get(&Value::String(text)).is_some().into(),
            other => self.fault(Fault::binary("in", Type::String, type_of(other))),
        }
    }

    /// A comparison with a constant number; [`Out::NONE`] if there is no order.
    #[inline(always)]
    fn number(&self, leaf: u32, here: &Slot<'a>, at: usize) -> Out {
        let words = &self.words[at + 1..at + 4];
        let bits = u64::from(words[1]) | u64::from(words[2]) << 32;
        let Slot::Value(value) = here else { return Out::NONE };
        let order = match leaf {
            DOUBLE => against_double(value, f64::from_bits(bits)),
            INT => against_int(value, bits.cast_signed()),
            _ => against_uint(value, bits),
        };
        order.map_or(Out::NONE, |order| holds(words[0], order).into())
    }

    #[inline(never)]
    fn shared(&mut self, leaf: usize) -> Out {
        if let Some(out) = self.memo.get(self.first_shared + leaf) {
            return out;
        }
        let shared = self.shared;
        let out = match &shared[leaf] {
            Shared::Contains(slot, part) => self.on_slot("contains", *slot, |text| text.contains(&**part)),
            Shared::Matches(slot, pattern) => self.on_slot("matches", *slot, |text| pattern.is_match(text)),
            Shared::General(expr) => {
                let vars = self.arena.slice(&[Value::Timestamp(instant(self.scope.now_ms)), self.scope.kv.value()]);
                match Cx::new(self.arena, self.paths, self.slots, vars).eval(expr) {
                    Ok(Value::Bool(bool)) => bool.into(),
                    Ok(other) => self.fault(Fault::NotBool(other.type_of())),
                    Err(fault) => self.fault(fault),
                }
            }
        };
        self.memo.set(self.first_shared + leaf, out);
        out
    }

    fn on_slot(&mut self, function: &'static str, slot: SlotId, of: impl Fn(&str) -> bool) -> Out {
        let found = match self.slots[slot.index()] {
            Slot::Absent => return Out::no_value(slot),
            Slot::Value(Value::String(text)) => return of(text).into(),
            Slot::Object => None,
            Slot::Value(value) => Some(value),
        };
        self.fault(Fault::binary(function, type_of(found), Type::String))
    }

    #[cold]
    fn fault(&mut self, fault: Fault<'a>) -> Out {
        self.faults.push(fault);
        // Fewer than one per leaf and operator of the rules that are evaluated.
        Out(LISTED | (u32::try_from(self.faults.len() - 1).unwrap_or(u32::MAX) << 2))
    }

    /// The fault of an operator whose operand failed: one that is no bool is the operator's to refuse.
    fn operand(&mut self, operator: &'static str, fault: Out) -> Out {
        match fault.listed().map(|number| self.faults[number]) {
            Some(Fault::NotBool(of)) => self.fault(Fault::unary(operator, of)),
            _ => fault,
        }
    }

    fn is_final(&self, out: Out) -> bool {
        out.listed().is_some_and(|number| self.faults[number].is_final())
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
