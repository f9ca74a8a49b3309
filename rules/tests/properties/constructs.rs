//! Parts of the language that not every engine gets right.

/// A part of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Construct {
    /// `trigger.?a.?b`, `orValue`, `hasValue`.
    Optionals,
    /// `list.exists(i, v, …)` and the other macros with two variables.
    TwoVariables,
    /// `lowerAscii`, `math.greatest`, `sets.contains` and their kin.
    Extensions,
    /// `timestamp()`, `duration()`, `now` and their accessors.
    Time,
    /// `has(x.a)` where `x` may be something else than a map.
    PresenceInScalars,
    /// `matches`.
    Patterns,
    /// What RE2's patterns have of their own.
    PatternsOfRe2,
    /// Doubles that are no number, or infinite.
    NotANumber,
    /// Equality of lists and maps.
    DeepEquality,
    /// `in` with anything on its left and something that may be no list on its right.
    InAnything,
    /// `int()`, `uint()`, `double()`, `string()`.
    Conversions,
    /// `+` of what may be a list and a map.
    SumsOfContainers,
    /// `string(x)` of a double.
    TextsOfDoubles,
    /// `type(x) == int`.
    Types,
    /// Arithmetic, and what overflows in it.
    Arithmetic,
    /// Macros over what may be a map or no container at all.
    MacrosOverAnything,
    /// `x[…]` with numbers, and of what may be no list.
    Indexing,
    /// Comparison across types of numbers by `<` and its kin.
    OrderAcrossNumbers,
    /// Operands of `&&`, `||`, `!` and `?:` that are no bool.
    NoBools,
    /// `cel.bind`, and variables that hide others.
    Bindings,
}

/// The parts of the language that one property tries.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// What is left out, each with its reason.
    pub left_out: &'static [(Construct, &'static str)],
}

impl Dialect {
    pub fn has(self, construct: Construct) -> bool {
        self.left_out.iter().all(|(left_out, _)| *left_out != construct)
    }
}

/// Everything that the engine takes.
pub const EVERYTHING: Dialect = Dialect { left_out: &[] };

/// What the crate `cel` 0.15 does as the language says.
pub const CRATE_CEL: Dialect = Dialect {
    left_out: &[
        (Construct::Optionals, "the crate's own form of them is another one"),
        (Construct::TwoVariables, "not there"),
        (Construct::Bindings, "not there"),
        (Construct::PatternsOfRe2, "the crate `regex` has another syntax"),
        (Construct::Extensions, "not there"),
        (Construct::Time, "takes more than RFC 3339, and accessors answer in the text's offset"),
        (Construct::TextsOfDoubles, "`string(5e-324)` has 325 digits there"),
        (Construct::InAnything, "null, a list or a map `in` a map is an error there, false in the language"),
        (Construct::SumsOfContainers, "a list plus a map is a list there, an error in the language"),
        (Construct::PresenceInScalars, "an error there, false in the language"),
    ],
};
