//! The words of programs, and the constants that they name.
//!
//! A word's low 8 bits say what it is, the rest is a number: a path's slot, or a count. What follows it:
//!
//! | word | behind it |
//! |---|---|
//! | `FALSE`, `TRUE` | nothing |
//! | `NOT` | a condition |
//! | `AND`, `OR` of n | the words of all conditions together, then n conditions |
//! | `IF` | the words of each part (3), then the parts |
//! | `SLOT`, `HAS`, `NULL`, `BOOL_FALSE`, `BOOL_TRUE` of a slot | nothing |
//! | `STRING`, `PREFIX`, `SUFFIX`, `ELEMENT` of a slot | where the text stands, its length |
//! | `STRINGS` of a slot | n, then n texts as above |
//! | `INT`, `UINT`, `DOUBLE` of a slot | the relation (`compare`), then the constant in two words |
//! | `SHARED` of n | nothing: the leaf stands in the list of shared leaves |

use std::collections::HashMap;

use petrel_cel::SlotId;
use petrel_cel::expr::Expr;
use regex::Regex;

use super::compare::relation_word;
use super::lower::{Cond, Leaf, Number, lower};

pub(super) const FALSE: u32 = 0;
pub(super) const TRUE: u32 = 1;
pub(super) const NOT: u32 = 2;
pub(super) const AND: u32 = 3;
pub(super) const OR: u32 = 4;
pub(super) const IF: u32 = 5;
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

/// A leaf that is evaluated once per event, whoever asks.
#[derive(Debug)]
pub(super) enum Shared {
    Contains(SlotId, Box<str>),
    Matches(SlotId, Regex),
    General(Box<Expr>),
}

/// The programs of a rule set, by the number of the rule.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    pub(super) words: Vec<u32>,
    /// Where each rule's program begins.
    pub(super) starts: Vec<u32>,
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
}

impl Builder {
    /// Adds the program of the next rule.
    pub fn add(&mut self, criteria: &Expr) {
        self.begin();
        self.cond(lower(criteria));
    }

    /// Adds a rule that matches every event.
    pub fn add_always(&mut self) {
        self.begin();
        self.programs.words.push(TRUE);
    }

    fn begin(&mut self) {
        self.programs.starts.push(number(self.programs.words.len()));
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

    fn cond(&mut self, cond: Cond<'_>) {
        match cond {
            Cond::Const(bool) => self.push(if bool { TRUE } else { FALSE }, 0),
            Cond::Not(operand) => {
                self.push(NOT, 0);
                self.cond(*operand);
            }
            Cond::And(operands) => self.all_of(AND, operands),
            Cond::Or(operands) => self.all_of(OR, operands),
            Cond::If(parts) => {
                self.push(IF, 0);
                let lengths = self.programs.words.len();
                self.programs.words.extend([0; 3]);
                for (at, part) in (*parts).into_iter().enumerate() {
                    let begin = self.programs.words.len();
                    self.cond(part);
                    self.programs.words[lengths + at] = number(self.programs.words.len() - begin);
                }
            }
            Cond::Leaf(leaf) => self.leaf(leaf),
        }
    }

    fn all_of(&mut self, op: u32, operands: Vec<Cond<'_>>) {
        self.push(op, number(operands.len()));
        let length = self.programs.words.len();
        self.programs.words.push(0);
        operands.into_iter().for_each(|operand| self.cond(operand));
        self.programs.words[length] = number(self.programs.words.len() - length - 1);
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
