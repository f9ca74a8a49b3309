//! A map of texts of which a changed copy shares all but a few nodes with the original: the key-value store,
//! of which every version must stay as it is while somebody decides by it.
//!
//! A weight-balanced binary tree (Adams): neither side of a node has more than `DELTA` times the other's size.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::owned::OwnedValue;
use crate::value::Value;

/// How much larger one side may be than the other.
const DELTA: usize = 3;
/// Up to which ratio of the inner to the outer grandchild one rotation restores the balance.
const RATIO: usize = 2;

/// A map from texts to values, sorted by key. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct TextMap {
    root: Link,
}

type Link = Option<Arc<Node>>;

#[derive(Debug)]
struct Node {
    entry: Arc<(Box<str>, OwnedValue)>,
    size: usize,
    left: Link,
    right: Link,
}

type Entry = Arc<(Box<str>, OwnedValue)>;

impl TextMap {
    /// A map without keys.
    pub const fn new() -> Self {
        Self { root: None }
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        size(&self.root)
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&OwnedValue> {
        let mut link = &self.root;
        while let Some(node) = link {
            link = match key.cmp(&node.entry.0) {
                Ordering::Less => &node.left,
                Ordering::Greater => &node.right,
                Ordering::Equal => return Some(&node.entry.1),
            };
        }
        None
    }

    /// The entry of that number, from 0, in the order of keys.
    pub fn entry(&self, index: usize) -> Option<(Value<'_>, Value<'_>)> {
        let (mut link, mut left_of) = (&self.root, index);
        while let Some(node) = link {
            let smaller = size(&node.left);
            match left_of.cmp(&smaller) {
                Ordering::Less => link = &node.left,
                Ordering::Equal => return Some((Value::String(&node.entry.0), node.entry.1.value())),
                Ordering::Greater => (link, left_of) = (&node.right, left_of - smaller - 1),
            }
        }
        None
    }

    /// A copy in which the key has this value.
    #[must_use]
    pub fn with(&self, key: &str, value: OwnedValue) -> Self {
        Self { root: Some(insert(&self.root, Arc::new((key.into(), value)))) }
    }

    /// A copy without the key.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        if self.get(key).is_none() { self.clone() } else { Self { root: remove(&self.root, key) } }
    }

    /// How many nodes of this map are not nodes of the other.
    pub fn nodes_not_in(&self, other: &Self) -> usize {
        fn addresses(link: &Link, all: &mut std::collections::HashSet<*const Node>) {
            if let Some(node) = link {
                all.insert(Arc::as_ptr(node));
                addresses(&node.left, all);
                addresses(&node.right, all);
            }
        }
        let (mut own, mut others) = Default::default();
        addresses(&self.root, &mut own);
        addresses(&other.root, &mut others);
        own.difference(&others).count()
    }
}

fn size(link: &Link) -> usize {
    link.as_ref().map_or(0, |node| node.size)
}

fn node(entry: Entry, left: Link, right: Link) -> Arc<Node> {
    Arc::new(Node { size: size(&left) + size(&right) + 1, entry, left, right })
}

fn insert(link: &Link, entry: Entry) -> Arc<Node> {
    let Some(at) = link else { return node(entry, None, None) };
    match entry.0.cmp(&at.entry.0) {
        Ordering::Less => balanced(at.entry.clone(), Some(insert(&at.left, entry)), at.right.clone()),
        Ordering::Greater => balanced(at.entry.clone(), at.left.clone(), Some(insert(&at.right, entry))),
        Ordering::Equal => node(entry, at.left.clone(), at.right.clone()),
    }
}

fn remove(link: &Link, key: &str) -> Link {
    let at = link.as_ref()?;
    match key.cmp(&at.entry.0) {
        Ordering::Less => Some(balanced(at.entry.clone(), remove(&at.left, key), at.right.clone())),
        Ordering::Greater => Some(balanced(at.entry.clone(), at.left.clone(), remove(&at.right, key))),
        Ordering::Equal => match &at.right {
            None => at.left.clone(),
            Some(right) => {
                let (first, rest) = without_first(right);
                Some(balanced(first, at.left.clone(), rest))
            }
        },
    }
}

/// The first entry below a node, and all others.
fn without_first(at: &Arc<Node>) -> (Entry, Link) {
    let Some(left) = &at.left else { return (at.entry.clone(), at.right.clone()) };
    let (first, rest) = without_first(left);
    (first, Some(balanced(at.entry.clone(), rest, at.right.clone())))
}

/// A node of two sides of which one may have grown or shrunk by one entry.
fn balanced(entry: Entry, left: Link, right: Link) -> Arc<Node> {
    let (l, r) = (size(&left), size(&right));
    if l + r < 2 {
        return node(entry, left, right);
    }
    match (left, right) {
        (left, Some(right)) if r > DELTA * l => rotated_left(entry, left, &right),
        (Some(left), right) if l > DELTA * r => rotated_right(entry, &left, right),
        (left, right) => node(entry, left, right),
    }
}

fn rotated_left(entry: Entry, left: Link, right: &Arc<Node>) -> Arc<Node> {
    match &right.left {
        Some(inner) if inner.size >= RATIO * size(&right.right) => {
            let outer = node(right.entry.clone(), inner.right.clone(), right.right.clone());
            node(inner.entry.clone(), Some(node(entry, left, inner.left.clone())), Some(outer))
        }
        inner => node(right.entry.clone(), Some(node(entry, left, inner.clone())), right.right.clone()),
    }
}

fn rotated_right(entry: Entry, left: &Arc<Node>, right: Link) -> Arc<Node> {
    match &left.right {
        Some(inner) if inner.size >= RATIO * size(&left.left) => {
            let outer = node(left.entry.clone(), left.left.clone(), inner.left.clone());
            node(inner.entry.clone(), Some(outer), Some(node(entry, inner.right.clone(), right)))
        }
        inner => node(left.entry.clone(), left.left.clone(), Some(node(entry, inner.clone(), right))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn entries(map: &TextMap) -> Vec<(String, i64)> {
        let entry = |index| match map.entry(index) {
            Some((Value::String(key), Value::Int(value))) => (key.to_owned(), value),
            other => panic!("{other:?}"),
        };
        (0..map.len()).map(entry).collect()
    }

    fn depth(link: &Link) -> usize {
        link.as_ref().map_or(0, |node| {
            let (l, r) = (size(&node.left), size(&node.right));
            assert!(l + r < 2 || (l <= DELTA * r && r <= DELTA * l), "{l} beside {r}");
            assert_eq!(node.size, l + r + 1);
            1 + depth(&node.left).max(depth(&node.right))
        })
    }

    #[test]
    fn it_is_a_sorted_map_and_every_version_stays_as_it_was() {
        let mut random = 7_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let (mut map, mut model) = (TextMap::new(), BTreeMap::new());
        let mut versions = Vec::new();
        for step in 0..6_000 {
            let key = format!("key{}", next(700));
            // Grows at first, shrinks at the end.
            if next(3_000) >= step / 2 {
                map = map.with(&key, OwnedValue::Int(step as i64));
                model.insert(key.clone(), step as i64);
            } else {
                map = map.without(&key);
                model.remove(&key);
            }
            assert_eq!(map.get(&key).is_some(), model.contains_key(&key));
            depth(&map.root);
            if step % 500 == 0 {
                versions.push((map.clone(), model.clone()));
            }
        }
        versions.push((map, model));
        for (map, model) in versions {
            assert_eq!(entries(&map), model.into_iter().collect::<Vec<_>>());
            assert!(map.entry(map.len()).is_none() && map.get("none").is_none());
        }
    }

    #[test]
    fn a_change_makes_as_many_nodes_as_the_tree_is_deep() {
        for keys in [10, 1_000, 100_000] {
            let map = (0..keys).fold(TextMap::new(), |map, n| map.with(&format!("{n:06}"), OwnedValue::Int(n)));
            let most = 2 * usize::try_from(keys).unwrap().ilog2() as usize + 4;
            assert!(depth(&map.root) <= most, "{keys} keys, {} deep", depth(&map.root));
            for changed in
                [map.with("000005", OwnedValue::Null), map.with("x", OwnedValue::Null), map.without("000007")]
            {
                let made = changed.nodes_not_in(&map);
                assert!((1..=most).contains(&made), "{made} nodes for one of {keys} keys");
            }
        }
    }
}
