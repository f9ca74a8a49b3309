//! Which parts of a document to build, and which numbers in it are doubles.

use std::collections::HashMap;

/// Which parts of a document are built, and which of its numbers are always doubles.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shape {
    pub(crate) keep: Keep,
    pub(crate) doubles: Doubles,
}

/// The paths to build; a path that is not here is validated and skipped.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Keep {
    /// Whether everything at and below this path is built.
    pub all: bool,
    /// Members to build of an object here.
    pub fields: HashMap<Box<str>, Keep>,
}

/// The paths whose numbers are doubles, because a schema says `type: number`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Doubles {
    /// Whether a number here is a double.
    pub here: bool,
    /// Named members of an object here.
    pub fields: HashMap<Box<str>, Doubles>,
    /// Members of an object here that are not in `fields`.
    pub other_fields: Option<Box<Doubles>>,
    /// Elements of an array here.
    pub items: Option<Box<Doubles>>,
}

impl Shape {
    /// All of the document, with numbers as they are written.
    pub fn everything() -> Self {
        Self { keep: Keep { all: true, ..Keep::default() }, doubles: Doubles::default() }
    }

    /// Whether this one builds all that `other` builds, the same way.
    pub(crate) fn covers(&self, other: &Shape) -> bool {
        self.doubles == other.doubles && self.keep.covers(&other.keep)
    }
}

impl Keep {
    /// Adds a path, of which everything below is built.
    pub fn add(&mut self, path: &[Box<str>]) {
        self.node(path).all = true;
    }

    /// Adds a path that only has to be there: of an object, no member is built.
    pub fn add_presence(&mut self, path: &[Box<str>]) {
        self.node(path);
    }

    /// Adds all that another one builds.
    pub fn merge(&mut self, other: &Keep) {
        self.all |= other.all;
        for (name, keep) in &other.fields {
            self.fields.entry(name.clone()).or_default().merge(keep);
        }
    }

    fn node(&mut self, path: &[Box<str>]) -> &mut Keep {
        path.iter().fold(self, |node, name| node.fields.entry(name.clone()).or_default())
    }

    fn covers(&self, other: &Keep) -> bool {
        self.all
            || (!other.all
                && other.fields.iter().all(|(name, keep)| self.fields.get(name).is_some_and(|own| own.covers(keep))))
    }
}

impl Doubles {
    /// What holds for the member of that name.
    pub fn field(&self, name: &str) -> Option<&Doubles> {
        self.fields.get(name).or(self.other_fields.as_deref())
    }

    /// Whether no number is meant.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
