//! The neutral form of a rule, which every engine's own language is rendered from.
//!
//! A literal is true or not; that is all that the oracle asks for. What CEL calls an error (a missing
//! field, null where a text is needed) is "not true" here, which is the same thing in a disjunction of
//! conjunctions without a negation around them.

use serde::{Deserialize, Serialize};

/// What a literal asks of its field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Test {
    /// The text, or one of the tags.
    Eq(String),
    In(Vec<String>),
    /// Written `a != b`. True for null, not for what is missing.
    Ne(String),
    /// The same, written `!(a == b)`.
    NotEq(String),
    /// Written `!(a in [b, c])`.
    NotIn(Vec<String>),
    /// `from <= x && x < below`.
    Range {
        from: Option<f64>,
        below: Option<f64>,
    },
    Prefix(String),
    Suffix(String),
    Contains(String),
    /// A regular expression for the whole text, of [`crate::render`]'s common dialect.
    Matches(String),
    /// `has(a)` or `!has(a)`.
    Has(bool),
    /// `a + "/" + b == "left/right"`.
    Joined {
        other: usize,
        left: String,
        right: String,
    },
    /// `a < b` of two texts.
    Before {
        other: usize,
    },
    /// `a * factor > above`.
    Scaled {
        factor: f64,
        above: f64,
    },
    /// `size(a) > than`: code points of a text.
    Longer {
        than: usize,
    },
}

impl Test {
    /// Whether no index can propose the rule by this literal: it compares fields with each other, or
    /// what is computed from them.
    pub(crate) fn is_unindexable(&self) -> bool {
        matches!(self, Self::Joined { .. } | Self::Before { .. } | Self::Scaled { .. } | Self::Longer { .. })
    }

    /// Another field that is read beside the literal's own.
    pub(crate) fn other(&self) -> Option<usize> {
        match self {
            Self::Joined { other, .. } | Self::Before { other } => Some(*other),
            _ => None,
        }
    }
}

/// A test of a field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Literal {
    pub field: usize,
    pub test: Test,
}

impl Literal {
    pub(crate) fn new(field: usize, test: Test) -> Self {
        Self { field, test }
    }
}

/// All of these.
pub(crate) type Clause = Vec<Literal>;

/// Any of these clauses. A rule's id is its place in its set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub any: Vec<Clause>,
}

impl Rule {
    pub(crate) fn literals(&self) -> impl Iterator<Item = &Literal> {
        self.any.iter().flatten()
    }

    /// Whether some clause gives an index nothing to hold on to.
    pub(crate) fn is_unindexable(&self) -> bool {
        self.any.iter().any(|clause| clause.iter().all(|literal| literal.test.is_unindexable()))
    }

    /// Whether a regular expression is all that some clause consists of.
    pub(crate) fn is_only_regex(&self) -> bool {
        self.any.iter().any(|clause| clause.iter().all(|literal| matches!(literal.test, Test::Matches(_))))
    }
}

/// The fields that these rules read, by number.
pub(crate) fn fields_read(rules: &[Rule], fields: usize) -> Vec<bool> {
    let mut read = vec![false; fields];
    for literal in rules.iter().flat_map(Rule::literals) {
        read[literal.field] = true;
        if let Some(other) = literal.test.other() {
            read[other] = true;
        }
    }
    read
}
