//! Lists, dictionaries and sets.

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use super::depth::Extent;
use super::key::{Key, equal};
use super::{Unhashable, Value};

/// What Python type a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    /// Cannot change: a key of a dictionary, if its elements are.
    Tuple,
    /// Can change: no key of a dictionary.
    List,
    /// Numbers in order, as the `range()` of YAQL 0.2 gives them.
    Range,
}

impl ListKind {
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            ListKind::Tuple => "tuple",
            ListKind::List => "list",
            ListKind::Range => "range",
        }
    }
}

/// A tuple, a list or a range.
pub struct List {
    items: Vec<Value>,
    kind: ListKind,
    extent: Extent,
}

impl List {
    /// A list of these elements.
    #[must_use]
    pub fn new(items: Vec<Value>, kind: ListKind) -> List {
        let extent = Extent::around(items.iter());
        List { items, kind, extent }
    }

    /// The elements.
    #[must_use]
    pub fn items(&self) -> &[Value] {
        &self.items
    }

    /// Tuple, list or range.
    #[must_use]
    pub fn kind(&self) -> ListKind {
        self.kind
    }

    pub(crate) fn extent(&self) -> Extent {
        self.extent
    }
}

/// A dictionary, in the order of insertion.
pub struct Dict {
    entries: IndexMap<Key, Value>,
    frozen: bool,
    extent: Extent,
}

impl Dict {
    /// A dictionary of these entries; a `frozen` one can be a key of another.
    #[must_use]
    pub fn new(entries: IndexMap<Key, Value>, frozen: bool) -> Dict {
        let extent = Extent::around(entries.iter().flat_map(|(key, value)| [key.value(), value]));
        Dict { entries, frozen, extent }
    }

    /// The value at a key.
    ///
    /// # Errors
    ///
    /// If `key` is no key of any dictionary.
    pub fn get(&self, key: &Value) -> Result<Option<&Value>, Unhashable> {
        Ok(self.entries.get(&Key::new(key.clone())?))
    }

    /// The entries, in the order of insertion.
    #[must_use]
    pub fn entries(&self) -> &IndexMap<Key, Value> {
        &self.entries
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn frozen(&self) -> bool {
        self.frozen
    }

    pub(crate) fn extent(&self) -> Extent {
        self.extent
    }
}

/// A set, or the keys or the items of a dictionary.
pub struct Set {
    elements: Elements,
    extent: Extent,
}

enum Elements {
    Frozen(IndexSet<Key>),
    Keys(Arc<Dict>),
    Items(Arc<Dict>),
}

impl Set {
    /// A set of these elements.
    #[must_use]
    pub fn new(elements: IndexSet<Key>) -> Set {
        let extent = Extent::around(elements.iter().map(Key::value));
        Set { elements: Elements::Frozen(elements), extent }
    }

    pub(crate) fn keys(dict: Arc<Dict>) -> Set {
        Set { extent: dict.extent(), elements: Elements::Keys(dict) }
    }

    pub(crate) fn items(dict: Arc<Dict>) -> Set {
        Set { extent: dict.extent().outside(), elements: Elements::Items(dict) }
    }

    /// The elements, if this is no view of a dictionary.
    pub(crate) fn frozen(&self) -> Option<&IndexSet<Key>> {
        match &self.elements {
            Elements::Frozen(elements) => Some(elements),
            Elements::Keys(_) | Elements::Items(_) => None,
        }
    }

    /// How many elements there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        match &self.elements {
            Elements::Frozen(elements) => elements.len(),
            Elements::Keys(dict) | Elements::Items(dict) => dict.len(),
        }
    }

    /// The element at a position, in the order of insertion.
    pub(crate) fn at(&self, index: usize) -> Option<Value> {
        match &self.elements {
            Elements::Frozen(elements) => elements.get_index(index).map(|key| key.value().clone()),
            Elements::Keys(dict) => dict.entries().get_index(index).map(|(key, _)| key.value().clone()),
            Elements::Items(dict) => {
                let (key, value) = dict.entries().get_index(index)?;
                Some(Value::tuple(vec![key.value().clone(), value.clone()]))
            }
        }
    }

    /// The elements, in the order of insertion.
    pub fn iter(&self) -> impl Iterator<Item = Value> + '_ {
        (0..self.len()).filter_map(|index| self.at(index))
    }

    /// Whether this is an element.
    ///
    /// # Errors
    ///
    /// If `value` is no element of any set.
    pub fn contains(&self, value: &Value) -> Result<bool, Unhashable> {
        match &self.elements {
            Elements::Frozen(elements) => Ok(elements.contains(&Key::new(value.clone())?)),
            Elements::Keys(dict) => Ok(dict.get(value)?.is_some()),
            Elements::Items(dict) => match value {
                Value::List(pair) if pair.items().len() == 2 => {
                    Ok(dict.get(&pair.items()[0])?.is_some_and(|found| equal(found, &pair.items()[1])))
                }
                _ => Ok(false),
            },
        }
    }

    /// Whether every element is one of the other.
    pub(crate) fn within(&self, other: &Set) -> Result<bool, Unhashable> {
        if self.len() > other.len() {
            return Ok(false);
        }
        for element in self.iter() {
            if !other.contains(&element)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(crate) fn type_name(&self) -> &'static str {
        match &self.elements {
            Elements::Frozen(_) => "frozenset",
            Elements::Keys(dict) if dict.frozen() => "KeysView",
            Elements::Keys(_) => "dict_keys",
            Elements::Items(dict) if dict.frozen() => "ItemsView",
            Elements::Items(_) => "dict_items",
        }
    }

    pub(crate) fn extent(&self) -> Extent {
        self.extent
    }

    /// The dictionary that this is a view of.
    pub(crate) fn of(&self) -> Option<&Arc<Dict>> {
        match &self.elements {
            Elements::Frozen(_) => None,
            Elements::Keys(dict) | Elements::Items(dict) => Some(dict),
        }
    }
}
