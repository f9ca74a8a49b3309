//! How an engine reads and evaluates, and what one evaluation may use.

/// What one expression and one evaluation may use. Each limit gives an error of the class
/// [`crate::EvaluationError::BUDGET`] that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an expression's text.
    pub text_bytes_max: usize,
    /// How deep an expression may nest: operators, calls and parentheses.
    pub nesting_max: usize,
    /// Steps of one evaluation: calls of functions, elements of collections, and comparisons of what they hold.
    pub steps_max: u64,
    /// Bytes that the values of one evaluation may take, all counted, also those that are no longer in use.
    pub memory_bytes_max: u64,
    /// How deep calls may nest while an expression is evaluated.
    pub call_depth_max: u32,
    /// How deep a value may nest: lists in lists, iterators over iterators.
    pub value_depth_max: u32,
    /// Bytes of one compiled regular expression.
    pub regex_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            text_bytes_max: 64 << 10,
            nesting_max: 100,
            steps_max: 1_000_000,
            memory_bytes_max: 64 << 20,
            call_depth_max: 150,
            value_depth_max: 200,
            regex_bytes_max: 1 << 20,
        }
    }
}

/// Which of YAQL's languages and libraries an engine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// YAQL 1.0 and later: what Orquesta uses.
    #[default]
    Standard,
    /// The language of [`Dialect::Standard`], with the functions of YAQL 0.2 over its own.
    StandardWithLegacyLibrary,
    /// The language and the functions of YAQL 0.2, where `=>` makes tuples.
    Legacy,
}

/// The settings of an [`crate::Engine`]. The default is what Orquesta has.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "they are YAQL's own options")]
pub struct Options {
    /// Language and library.
    pub dialect: Dialect,
    /// Whether what an expression yields can be called (`$f(1)`), and `lambda()` exists. For `Standard` only.
    pub delegates: bool,
    /// `yaql.limitIterators`: elements that a collection may have which a function reads; `None`: no limit.
    pub iterator_items_max: Option<usize>,
    /// `yaql.memoryQuota`: bytes that one argument or result may take as Python counts them; `None`: no limit.
    pub memory_quota_bytes: Option<u64>,
    /// `yaql.convertTuplesToLists`: a result has lists where YAQL has tuples.
    pub convert_tuples_to_lists: bool,
    /// `yaql.convertSetsToLists`: a result has lists where YAQL has sets.
    pub convert_sets_to_lists: bool,
    /// `yaql.convertOutputData`: a result is converted at all; iterators are read.
    pub convert_output_data: bool,
    /// `yaql.iterableDicts`: functions over collections take a dictionary for its keys.
    pub iterable_dicts: bool,
    /// What one evaluation may use.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            dialect: Dialect::Standard,
            delegates: false,
            iterator_items_max: None,
            memory_quota_bytes: None,
            convert_tuples_to_lists: true,
            convert_sets_to_lists: false,
            convert_output_data: true,
            iterable_dicts: false,
            limits: Limits::default(),
        }
    }
}

impl Options {
    /// The default with the language and the functions of YAQL 0.2.
    #[must_use]
    pub fn legacy() -> Options {
        Options { dialect: Dialect::Legacy, convert_tuples_to_lists: false, iterable_dicts: true, ..Options::default() }
    }
}
