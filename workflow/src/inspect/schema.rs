//! The schema of workflows, as data.

/// What a value may be. What is not said of it is allowed.
pub(super) struct Schema {
    pub(super) kind: Option<Kind>,
    /// A text has at least one character.
    pub(super) not_empty: bool,
    /// The form of items: an expression, or names `in` one.
    pub(super) items_form: bool,
    /// A number is not negative.
    pub(super) not_negative: bool,
    pub(super) one_of: &'static [&'static Schema],
    pub(super) is: Option<&'static str>,
    pub(super) items: Option<&'static Schema>,
    pub(super) items_min: usize,
    pub(super) items_differ: bool,
    pub(super) entries_min: usize,
    pub(super) entries_max: usize,
    pub(super) properties: &'static [(&'static str, &'static Schema)],
    /// Of every entry whose name is made of letters, digits and _.
    pub(super) named: Option<&'static Schema>,
    pub(super) closed: bool,
    pub(super) required: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    List,
    Map,
}

impl Kind {
    /// The name in JSON schema.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Text => "string",
            Kind::Integer => "integer",
            Kind::List => "array",
            Kind::Map => "object",
        }
    }
}

const ANY: Schema = Schema {
    kind: None,
    not_empty: false,
    items_form: false,
    not_negative: false,
    one_of: &[],
    is: None,
    items: None,
    items_min: 0,
    items_differ: false,
    entries_min: 0,
    entries_max: usize::MAX,
    properties: &[],
    named: None,
    closed: false,
    required: &[],
};

static TEXT: Schema = Schema { kind: Some(Kind::Text), not_empty: true, ..ANY };
static COUNT: Schema = Schema { kind: Some(Kind::Integer), not_negative: true, ..ANY };
static COUNT_OR_TEXT: Schema = Schema { one_of: &[&TEXT, &COUNT], ..ANY };
static SOME_ENTRIES: Schema = Schema { kind: Some(Kind::Map), entries_min: 1, ..ANY };
static ONE_ENTRY: Schema = Schema { kind: Some(Kind::Map), entries_min: 1, entries_max: 1, ..ANY };

const LIST: Schema = Schema { kind: Some(Kind::List), items_min: 1, items_differ: true, ..ANY };
static TEXTS: Schema = Schema { items: Some(&TEXT), ..LIST };
static VARIABLES: Schema = Schema { items: Some(&ONE_ENTRY), ..LIST };
static PARAMETER: Schema = Schema { one_of: &[&TEXT, &ONE_ENTRY], ..ANY };
static PARAMETERS: Schema = Schema { items: Some(&PARAMETER), ..LIST };

const OBJECT: Schema = Schema { kind: Some(Kind::Map), closed: true, ..ANY };

static PUBLISH: Schema = Schema { one_of: &[&TEXT, &VARIABLES], ..ANY };
static DO: Schema = Schema { one_of: &[&TEXT, &TEXTS], ..ANY };
static TRANSITION: Schema = Schema { properties: &[("when", &TEXT), ("publish", &PUBLISH), ("do", &DO)], ..OBJECT };
static TRANSITIONS: Schema = Schema { kind: Some(Kind::List), items: Some(&TRANSITION), ..ANY };

static ITEMS: Schema = Schema { items_form: true, ..TEXT_FORM };
const TEXT_FORM: Schema = Schema { kind: Some(Kind::Text), not_empty: true, ..ANY };
static WITH: Schema = Schema { properties: &[("items", &ITEMS), ("concurrency", &COUNT_OR_TEXT)], ..OBJECT };

static RETRY: Schema = Schema {
    properties: &[("when", &TEXT), ("count", &COUNT_OR_TEXT), ("delay", &COUNT_OR_TEXT)],
    required: &["count"],
    ..OBJECT
};

static ALL: Schema = Schema { is: Some("all"), ..ANY };
static JOIN: Schema = Schema { one_of: &[&ALL, &COUNT], ..ANY };
static INPUT: Schema = Schema { one_of: &[&TEXT, &SOME_ENTRIES], ..ANY };

static TASK: Schema = Schema {
    properties: &[
        ("delay", &COUNT_OR_TEXT),
        ("join", &JOIN),
        ("with", &WITH),
        ("action", &TEXT),
        ("input", &INPUT),
        ("retry", &RETRY),
        ("next", &TRANSITIONS),
    ],
    ..OBJECT
};

static TASKS: Schema = Schema { kind: Some(Kind::Map), entries_min: 1, named: Some(&TASK), ..ANY };

pub(super) static WORKFLOW: Schema = Schema {
    properties: &[
        ("name", &TEXT),
        ("description", &TEXT),
        ("tags", &TEXTS),
        ("vars", &VARIABLES),
        ("input", &PARAMETERS),
        ("output", &VARIABLES),
        ("tasks", &TASKS),
    ],
    required: &["tasks"],
    ..OBJECT
};
