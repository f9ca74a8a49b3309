//! The variables that tasks see.
//!
//! The variables that a workflow begins with are the root. What a task publishes is a *delta*; a context is a list of
//! deltas, which are merged onto the root in order: maps deeply, everything else replaces. Where branches join, their
//! lists are concatenated in the order of arrival, so that an older value may come back. Lists grow with every task,
//! and at joins with all that came together, so that they are not kept: a context is the merged *patch* of its list,
//! which shares its values with all others, and can be concatenated exactly.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::expression::{Map, Value, Variables};

/// The number of a context; 0 is the root.
pub(crate) type ContextId = u32;

/// What a task publishes, each name once.
pub(crate) type Published = Vec<(Arc<str>, Value)>;

/// The entries of a map.
pub(crate) fn entries(map: &Map) -> Published {
    map.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// What is to be done to a value.
#[derive(Debug, Clone, PartialEq)]
enum Patch {
    /// It is replaced.
    Set(Value),
    /// It is a map: these entries are merged into it.
    Merge(Arc<BTreeMap<Arc<str>, Patch>>),
}

impl Patch {
    fn of(value: &Value) -> Patch {
        match value {
            Value::Map(map) => {
                Patch::Merge(Arc::new(map.iter().map(|(key, value)| (key.clone(), Patch::of(value))).collect()))
            }
            other => Patch::Set(other.clone()),
        }
    }

    fn apply(&self, to: Option<&Value>) -> Value {
        match self {
            Patch::Set(value) => value.clone(),
            Patch::Merge(entries) => {
                let old = to.and_then(Value::as_map);
                let kept = old.into_iter().flat_map(Map::iter).map(|(key, value)| (key.clone(), value.clone()));
                let changed =
                    entries.iter().map(|(key, patch)| (key.clone(), patch.apply(old.and_then(|old| old.get(key)))));
                Value::Map(kept.chain(changed).collect())
            }
        }
    }

    /// This one, and then the other.
    fn then(&self, other: &Patch) -> Patch {
        match (self, other) {
            (_, Patch::Set(_)) => other.clone(),
            (Patch::Set(value), Patch::Merge(_)) => Patch::Set(other.apply(Some(value))),
            (Patch::Merge(first), Patch::Merge(second)) => {
                let mut both = BTreeMap::clone(first);
                for (key, patch) in &**second {
                    let merged = both.get(key).map_or_else(|| patch.clone(), |first| first.then(patch));
                    both.insert(key.clone(), merged);
                }
                Patch::Merge(Arc::new(both))
            }
        }
    }
}

/// Variables merged into others.
pub(crate) fn merged(into: &Map, variables: &Map) -> Map {
    let patch = Patch::of(&Value::Map(variables.clone()));
    patch.apply(Some(&Value::Map(into.clone()))).as_map().cloned().unwrap_or_default()
}

/// A variable that differs from the root.
#[derive(Debug, Clone)]
struct Changed {
    value: Value,
    patch: Patch,
}

/// The variables that differ from the root, sorted by name. Every publication makes such a list, and most are short.
#[derive(Debug, Clone, Default)]
struct Changes(Vec<(Arc<str>, Changed)>);

impl Changes {
    /// Where a variable stands, else where it would.
    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(own, _)| (**own).cmp(name))
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.place(name).ok().map(|place| &self.0[place].1.value)
    }

    /// Does what is to be done to a variable, which is one of the root if it is not here.
    fn patch(&mut self, name: &Arc<str>, patch: Patch, root: &Map) {
        match self.place(name) {
            Ok(place) => {
                let Changed { value, patch: before } = &mut self.0[place].1;
                *value = patch.apply(Some(value));
                *before = before.then(&patch);
            }
            Err(place) => {
                let value = patch.apply(root.get(name));
                self.0.insert(place, (name.clone(), Changed { value, patch }));
            }
        }
    }
}

/// All variables of a context.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    root: Map,
    changed: Changes,
    all: OnceLock<Value>,
}

impl View {
    fn of_root(root: Map) -> View {
        View { root, ..View::default() }
    }

    /// One with the same variables, to be changed before anybody looks at it.
    pub(crate) fn copy(&self) -> View {
        View { root: self.root.clone(), changed: self.changed.clone(), all: OnceLock::new() }
    }

    fn patch(&mut self, name: &Arc<str>, patch: Patch) {
        self.changed.patch(name, patch, &self.root);
    }

    /// The deltas of another one, behind its own.
    pub(crate) fn append(&mut self, other: &View) {
        for (name, changed) in &other.changed.0 {
            self.patch(name, changed.patch.clone());
        }
    }
}

impl Variables for View {
    fn get(&self, name: &str) -> Option<Value> {
        self.changed.get(name).or_else(|| self.root.get(name)).cloned()
    }

    fn all(&self) -> Value {
        let merged = || {
            let own = self.root.iter().filter(|(name, _)| self.changed.place(name).is_err());
            let own = own.map(|(name, value)| (name.clone(), value.clone()));
            let changed = self.changed.0.iter().map(|(name, changed)| (name.clone(), changed.value.clone()));
            // Names that begin with two underscores are internal.
            Value::Map(own.chain(changed).filter(|(name, _)| !name.starts_with("__")).collect())
        };
        self.all.get_or_init(merged).clone()
    }
}

/// Variables that are being assigned one after the other, on top of others: each sees the ones before.
#[derive(Clone)]
pub(crate) struct Rolling {
    below: Arc<dyn Variables>,
    assigned: Vec<(Arc<str>, Value)>,
}

impl Rolling {
    pub(crate) fn on(below: Arc<dyn Variables>) -> Self {
        Rolling { below, assigned: Vec::new() }
    }

    pub(crate) fn assign(&mut self, name: &Arc<str>, value: Value) {
        self.assigned.retain(|(assigned, _)| assigned != name);
        self.assigned.push((name.clone(), value));
    }

    /// What has been assigned.
    pub(crate) fn into_map(self) -> Map {
        self.assigned.into_iter().collect()
    }

    /// What has been assigned, to be published.
    pub(crate) fn into_published(self) -> Published {
        self.assigned
    }
}

impl Variables for Rolling {
    fn get(&self, name: &str) -> Option<Value> {
        let assigned = self.assigned.iter().find(|(assigned, _)| &**assigned == name);
        assigned.map(|(_, value)| value.clone()).or_else(|| self.below.get(name))
    }

    fn all(&self) -> Value {
        let below = self.below.all();
        let below = below.as_map().into_iter().flat_map(Map::iter).map(|(name, value)| (name.clone(), value.clone()));
        Value::Map(below.chain(self.assigned.iter().cloned()).collect())
    }
}

/// How a context comes about. This is what is stored of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// The contexts whose lists are concatenated, in order.
    pub(crate) of: Vec<ContextId>,
    /// What was published behind them, as JSON an object, or `null` if that is nothing.
    #[serde(serialize_with = "published_to", deserialize_with = "published_from")]
    pub(crate) published: Published,
}

fn published_to<S: Serializer>(published: &[(Arc<str>, Value)], serializer: S) -> Result<S::Ok, S::Error> {
    if published.is_empty() {
        return serializer.serialize_unit();
    }
    serializer.collect_map(published.iter().map(|(name, value)| (name, value)))
}

fn published_from<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Published, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_map().map(entries).unwrap_or_default())
}

struct Context {
    origin: Origin,
    view: Arc<View>,
}

/// All contexts of a workflow.
#[derive(Default)]
pub(crate) struct Contexts {
    list: Vec<Context>,
}

impl Contexts {
    /// The contexts of a workflow that begins with these variables.
    pub(crate) fn new(root: Map) -> Self {
        let mut contexts = Contexts::default();
        contexts.restore(Origin { of: Vec::new(), published: entries(&root) });
        contexts
    }

    /// Adds the next context, as it was stored. Contexts come in the order of their numbers.
    pub(crate) fn restore(&mut self, origin: Origin) {
        let view = if self.list.is_empty() {
            View::of_root(origin.published.iter().cloned().collect())
        } else {
            let mut view = self.view(origin.of.first().copied().unwrap_or_default()).copy();
            for more in origin.of.iter().skip(1) {
                view.append(self.view(*more));
            }
            for (name, value) in &origin.published {
                view.patch(name, Patch::of(value));
            }
            view
        };
        self.list.push(Context { origin, view: Arc::new(view) });
    }

    /// The variables of a context; none of a workflow that never began.
    pub(crate) fn view(&self, id: ContextId) -> &Arc<View> {
        static EMPTY: OnceLock<Arc<View>> = OnceLock::new();
        self.list.get(id as usize).map_or_else(|| EMPTY.get_or_init(Arc::default), |context| &context.view)
    }

    fn push(&mut self, origin: Origin) -> ContextId {
        let id = ContextId::try_from(self.list.len()).unwrap_or(ContextId::MAX);
        self.restore(origin);
        id
    }

    /// The context behind another one and what was published there.
    pub(crate) fn publish(&mut self, before: ContextId, published: Published) -> ContextId {
        if published.is_empty() {
            return before;
        }
        self.push(Origin { of: vec![before], published })
    }

    /// The context where a branch arrives at what another has arrived at before.
    pub(crate) fn join(&mut self, there: ContextId, arriving: ContextId) -> ContextId {
        if there == arriving || arriving == 0 {
            return there;
        }
        if there == 0 {
            return arriving;
        }
        self.push(Origin { of: vec![there, arriving], published: Published::new() })
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn origin(&self, id: ContextId) -> Option<&Origin> {
        self.list.get(id as usize).map(|context| &context.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(root: serde_json::Value) -> Contexts {
        Contexts::new(Value::from(root).as_map().unwrap().clone())
    }

    fn published(json: serde_json::Value) -> Published {
        entries(Value::from(json).as_map().unwrap())
    }

    fn all(contexts: &Contexts, id: ContextId) -> serde_json::Value {
        contexts.view(id).all().to_json()
    }

    #[test]
    fn maps_merge_deeply_and_everything_else_replaces() {
        let mut contexts = new(serde_json::json!({"m": {"a": 1, "n": {"x": 1}}, "l": [1]}));
        let one = contexts.publish(0, published(serde_json::json!({"m": {"n": {"y": 2}}, "l": [2]})));
        assert_eq!(all(&contexts, one), serde_json::json!({"m": {"a": 1, "n": {"x": 1, "y": 2}}, "l": [2]}));
        let two = contexts.publish(one, published(serde_json::json!({"m": 5})));
        let three = contexts.publish(two, published(serde_json::json!({"m": {"b": 1}})));
        assert_eq!(all(&contexts, three)["m"], serde_json::json!({"b": 1}));
        assert_eq!(all(&contexts, 0)["m"], serde_json::json!({"a": 1, "n": {"x": 1}}));
    }

    #[test]
    fn an_older_value_comes_back_with_the_branch_that_arrives_last() {
        let mut contexts = new(serde_json::json!({"v": "root"}));
        let a = contexts.publish(0, published(serde_json::json!({"v": "a"})));
        let c = contexts.publish(a, published(serde_json::json!({"v": "c"})));
        let joined = contexts.join(c, a);
        assert_eq!(all(&contexts, joined), serde_json::json!({"v": "a"}));
    }

    #[test]
    fn what_was_replaced_in_between_does_not_come_back_where_branches_join() {
        let mut contexts = new(serde_json::json!({}));
        let a = contexts.publish(0, published(serde_json::json!({"k": {"x": {"p": 1}}})));
        let b = contexts.publish(0, published(serde_json::json!({"k": {"x": 5}})));
        let b = contexts.publish(b, published(serde_json::json!({"k": {"x": {"q": 2}}})));
        let joined = contexts.join(a, b);
        assert_eq!(all(&contexts, joined), serde_json::json!({"k": {"x": {"q": 2}}}));
    }

    #[test]
    fn many_joins_in_a_row_do_not_grow_a_context() {
        let mut contexts = new(serde_json::json!({"n": 0}));
        let mut here = 0;
        for turn in 0..64 {
            let left = contexts.publish(here, published(serde_json::json!({"l": turn})));
            let right = contexts.publish(here, published(serde_json::json!({"r": turn})));
            here = contexts.join(left, right);
        }
        // The right branch brings the first `l` back at every turn.
        assert_eq!(all(&contexts, here), serde_json::json!({"n": 0, "l": 0, "r": 63}));
    }
}
