//! Operators and what binds tighter.

/// An operator between two values.
pub(crate) struct Binary {
    /// The function that it calls.
    pub(crate) function: &'static str,
    /// More binds tighter.
    pub(crate) power: u8,
    pub(crate) right_associative: bool,
}

/// How tight `value[…]` binds.
pub(crate) const INDEX_POWER: u8 = 11;
/// How tight `+value` and `-value` bind.
const SIGN_POWER: u8 = 10;
const NOT_POWER: u8 = 5;

/// The symbols of all operators that are no words, longest first.
pub(crate) const SYMBOLS: [&str; 18] =
    ["?.", "=~", "!~", ">=", "<=", "!=", "->", "=>", ".", "[", "{", "+", "-", "*", "/", ">", "<", "="];

/// Whether a word is an operator.
pub(crate) fn is_word(word: &str) -> bool {
    matches!(word, "mod" | "in" | "not" | "and" | "or")
}

/// The operator between two values that a symbol or word is. `=>` is one in the language of YAQL 0.2.
pub(crate) fn binary(symbol: &str, legacy: bool) -> Option<Binary> {
    let left = |function, power| Some(Binary { function, power, right_associative: false });
    match symbol {
        "." => left("#operator_.", 12),
        "?." => left("#operator_?.", 12),
        "=~" => left("#operator_=~", 9),
        "!~" => left("#operator_!~", 9),
        "*" => left("#operator_*", 8),
        "/" => left("#operator_/", 8),
        "mod" => left("#operator_mod", 8),
        "+" => left("#operator_+", 7),
        "-" => left("#operator_-", 7),
        ">" => left("#operator_>", 6),
        "<" => left("#operator_<", 6),
        ">=" => left("#operator_>=", 6),
        "<=" => left("#operator_<=", 6),
        "!=" => left("*not_equal", 6),
        "=" => left("*equal", 6),
        "in" => left("#operator_in", 6),
        "and" => left("#operator_and", 4),
        "or" => left("#operator_or", 3),
        "=>" if legacy => left("#operator_=>", 2),
        "->" => Some(Binary { function: "#operator_->", power: 1, right_associative: true }),
        _ => None,
    }
}

/// The function that an operator before a value calls, and how tight it binds.
pub(crate) fn unary(symbol: &str) -> Option<(&'static str, u8)> {
    match symbol {
        "+" => Some(("#unary_operator_+", SIGN_POWER)),
        "-" => Some(("#unary_operator_-", SIGN_POWER)),
        "not" => Some(("#unary_operator_not", NOT_POWER)),
        _ => None,
    }
}
