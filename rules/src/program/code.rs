//! The words of programs, and the constants that they name.
//!
//! A word's low 8 bits say what it is, the rest is a number: a path's slot, or a count. What follows it:
//!
//! | word | behind it |
//! |---|---|
//! | `NOT` | a condition |
//! | `AND`, `OR` of n | the words of all conditions together, then n conditions |
//! | `IF` | the words of each part (3), then the parts |
//! | `FALSE`, `TRUE` | a jump |
//! | `SLOT`, `HAS`, `NULL`, `BOOL_FALSE`, `BOOL_TRUE` of a slot | a jump |
//! | `STRING`, `PREFIX`, `SUFFIX`, `ELEMENT` of a slot | where the text stands, its length, a jump |
//! | `STRINGS` of a slot | n, then n texts as above, a jump |
//! | `INT`, `UINT`, `DOUBLE` of a slot | the relation (`compare`), then the constant in two words, a jump |
//! | `SHARED` of n | a jump; the leaf stands in the list of shared leaves |
//!
//! A jump says where to go on once the leaf before it is true (low 16 bits) or false (high 16 bits): so many
//! words behind the jump, or to an end ([`Jump`]). As long as no leaf fails, a program is run from leaf to leaf,
//! and nothing else of it is read; the words of conditions are for the case that one does.

use std::collections::HashMap;

use petrel_cel::SlotId;
use petrel_cel::expr::Expr;
use regex::Regex;

use super::compare::relation_word;
use super::jump::{Jumps, Label, first_leaf};
use super::lower::{Cond, Leaf, Number, lower};

pub(super) const NOT: u32 = 0;
pub(super) const AND: u32 = 1;
pub(super) const OR: u32 = 2;
pub(super) const IF: u32 = 3;
pub(super) const FALSE: u32 = 4;
pub(super) const TRUE: u32 = 5;
pub(super) const SLOT: u32 = 6;
pub(super) const HAS: u32 = 7;
pub(super) const NULL: u32 = 8;
pub(super) const BOOL_FALSE: u32 = 9;
pub(super) const BOOL_TRUE: u32 = 10;
pub(super) const STRING: u32 = 11;
pub(super) const STRINGS: u32 = 12;
pub(super) const PREFIX: u32 = 13;
pub(super) const SUFFIX: u32 = 14;
pub(super) const ELEMENT: u32 = 15;
pub(super) const INT: u32 = 16;
pub(super) const UINT: u32 = 17;
pub(super) const DOUBLE: u32 = 18;
pub(super) const SHARED: u32 = 19;

/// Words of the heads of conditions, which end where their first part begins.
pub(super) fn head_words(op: u32) -> Option<usize> {
    match op {
        NOT => Some(1),
        AND | OR => Some(2),
        IF => Some(4),
        _ => None,
    }
}

/// A leaf that is evaluated once per event, whoever asks.
#[derive(Debug)]
pub(super) enum Shared {
    Contains(SlotId, Box<str>),
    Matches(SlotId, Regex),
    General(Box<Expr>),
}

/// Where a rule's program begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    /// Its first leaf.
    pub leaf: u32,
    /// All of it.
    pub condition: u32,
}

/// The programs of a rule set, by the number of the rule.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    pub(super) words: Vec<u32>,
    pub(super) starts: Vec<Start>,
    pub(super) texts: String,
    pub(super) shared: Vec<Shared>,
}

impl Programs {
    /// Number of rules.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Number of leaves that rules share.
    pub fn shared_leaves(&self) -> usize {
        self.shared.len()
    }

    /// Resident bytes, those of shared leaves (regular expressions, whole expressions) left out.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.words) + size_of_val(&*self.starts) + self.texts.len() + size_of_val(&*self.shared)
    }
}

/// Puts programs together, constants once.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    programs: Programs,
    texts: HashMap<Box<str>, u32>,
    shared: HashMap<String, u32>,
    jumps: Jumps,
}

impl Builder {
    /// Adds the program of the next rule.
    pub fn add(&mut self, criteria: &Expr) {
        self.add_cond(lower(criteria));
    }

    /// Adds a rule that matches every event.
    pub fn add_always(&mut self) {
        self.add_cond(Cond::Const(true));
    }

    /// Adds a rule with this condition.
    pub(super) fn add_cond(&mut self, cond: Cond<'_>) {
        let start = self.programs.words.len();
        self.cond(cond, Label::TRUE, Label::FALSE);
        self.jumps.finish(&mut self.programs.words);
        let leaf = first_leaf(&self.programs.words, start);
        self.programs.starts.push(Start { leaf: number(leaf), condition: number(start) });
    }

    /// The programs of all rules that were added.
    pub fn finish(mut self) -> Programs {
        self.programs.words.shrink_to_fit();
        self.programs.starts.shrink_to_fit();
        self.programs.texts.shrink_to_fit();
        self.programs.shared.shrink_to_fit();
        self.programs
    }

    fn push(&mut self, op: u32, argument: u32) {
        self.programs.words.push(op | (argument << 8));
    }

    /// Adds a condition, and where to go on when it is true or false.
    fn cond(&mut self, cond: Cond<'_>, yes: Label, no: Label) {
        match cond {
            Cond::Const(bool) => {
                self.push(if bool { TRUE } else { FALSE }, 0);
                self.jump(yes, no);
            }
            Cond::Not(operand) => {
                self.push(NOT, 0);
                self.cond(*operand, no, yes);
            }
            Cond::And(operands) => self.all_of(AND, operands, yes, no),
            Cond::Or(operands) => self.all_of(OR, operands, yes, no),
            Cond::If(parts) => {
                self.push(IF, 0);
                let lengths = self.programs.words.len();
                self.programs.words.extend([0; 3]);
                let branches = [self.jumps.label(), self.jumps.label()];
                let ways = [(branches[0], branches[1]), (yes, no), (yes, no)];
                for (at, (part, (yes, no))) in (*parts).into_iter().zip(ways).enumerate() {
                    let begin = self.programs.words.len();
                    if at > 0 {
                        self.jumps.place(branches[at - 1], begin);
                    }
                    self.cond(part, yes, no);
                    self.programs.words[lengths + at] = number(self.programs.words.len() - begin);
                }
            }
            Cond::Leaf(leaf) => {
                self.leaf(leaf);
                self.jump(yes, no);
            }
        }
    }

    fn all_of(&mut self, op: u32, operands: Vec<Cond<'_>>, yes: Label, no: Label) {
        self.push(op, number(operands.len()));
        let length = self.programs.words.len();
        self.programs.words.push(0);
        let last = operands.len() - 1;
        for (at, operand) in operands.into_iter().enumerate() {
            let next = if at == last { None } else { Some(self.jumps.label()) };
            match (op, next) {
                (AND, Some(next)) => self.cond(operand, next, no),
                (_, Some(next)) => self.cond(operand, yes, next),
                (_, None) => self.cond(operand, yes, no),
            }
            if let Some(next) = next {
                self.jumps.place(next, self.programs.words.len());
            }
        }
        self.programs.words[length] = number(self.programs.words.len() - length - 1);
    }

    fn jump(&mut self, yes: Label, no: Label) {
        self.jumps.add(self.programs.words.len(), yes, no);
        self.programs.words.push(0);
    }

    fn leaf(&mut self, leaf: Leaf<'_>) {
        match leaf {
            Leaf::Slot(slot) => self.push(SLOT, slot.0),
            Leaf::Has(slot) => self.push(HAS, slot.0),
            Leaf::IsNull(slot) => self.push(NULL, slot.0),
            Leaf::IsBool(slot, bool) => self.push(if bool { BOOL_TRUE } else { BOOL_FALSE }, slot.0),
            Leaf::IsString(slot, text) => self.with_text(STRING, slot, text),
            Leaf::Prefix(slot, text) => self.with_text(PREFIX, slot, text),
            Leaf::Suffix(slot, text) => self.with_text(SUFFIX, slot, text),
            Leaf::HasString(slot, text) => self.with_text(ELEMENT, slot, text),
            Leaf::InStrings(slot, texts) => {
                self.push(STRINGS, slot.0);
                self.programs.words.push(number(texts.len()));
                texts.into_iter().for_each(|text| self.text(text));
            }
            Leaf::Number(slot, relation, constant) => {
                let (op, bits) = match constant {
                    Number::Int(int) => (INT, int.cast_unsigned()),
                    Number::Uint(uint) => (UINT, uint),
                    Number::Double(double) => (DOUBLE, double.to_bits()),
                };
                self.push(op, slot.0);
                // The low half, then the high half.
                self.programs.words.extend([relation_word(relation), (bits & 0xffff_ffff) as u32, (bits >> 32) as u32]);
            }
            Leaf::Contains(slot, text) => {
                self.share(format!("contains {} {text}", slot.0), || Shared::Contains(slot, text.into()));
            }
            Leaf::Matches(slot, pattern) => {
                let key = format!("matches {} {}", slot.0, pattern.as_str());
                self.share(key, || Shared::Matches(slot, pattern.clone()));
            }
            Leaf::General(expr) => self.share(format!("{expr:?}"), || Shared::General(Box::new(expr.clone()))),
        }
    }

    fn with_text(&mut self, op: u32, slot: SlotId, text: &str) {
        self.push(op, slot.0);
        self.text(text);
    }

    fn text(&mut self, text: &str) {
        let start = match self.texts.get(text) {
            Some(start) => *start,
            None => {
                let start = number(self.programs.texts.len());
                self.programs.texts.push_str(text);
                self.texts.insert(text.into(), start);
                start
            }
        };
        self.programs.words.extend([start, number(text.len())]);
    }

    fn share(&mut self, key: String, leaf: impl FnOnce() -> Shared) {
        let shared = &mut self.programs.shared;
        let at = *self.shared.entry(key).or_insert_with(|| {
            shared.push(leaf());
            number(shared.len() - 1)
        });
        self.push(SHARED, at);
    }
}

/// Counts in programs fit their words: a rule set's text is limited by memory long before.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
