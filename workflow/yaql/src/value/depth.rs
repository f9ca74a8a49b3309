//! How large and how deep a value is, known without walking it: whoever walks it knows what that costs.

use super::Value;

/// How deep a value nests, and how many values it holds if each is counted wherever it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Extent {
    pub(crate) depth: u32,
    pub(crate) weight: u64,
}

impl Extent {
    /// That of what holds these.
    pub(crate) fn around<'a>(values: impl Iterator<Item = &'a Value>) -> Extent {
        let mut extent = Extent { depth: 0, weight: 1 };
        for value in values {
            extent.add(value.extent());
        }
        extent
    }

    /// That of what holds this.
    pub(crate) fn outside(self) -> Extent {
        Extent { depth: self.depth.saturating_add(1), weight: self.weight.saturating_mul(2) }
    }

    pub(crate) fn add(&mut self, inner: Extent) {
        self.depth = self.depth.max(inner.depth.saturating_add(1));
        self.weight = self.weight.saturating_add(inner.weight);
    }
}

impl Value {
    pub(crate) fn extent(&self) -> Extent {
        match self {
            Value::List(list) => list.extent(),
            Value::Dict(dict) | Value::Values(dict) => dict.extent(),
            Value::Set(set) => set.extent(),
            Value::Rule(rule) => Extent::around([&rule.0, &rule.1].into_iter()),
            Value::Function(lambda) => Extent { depth: lambda.depth(), weight: 1 },
            Value::Context(context) => Extent { depth: context.depth(), weight: 1 },
            Value::Iterator(iterator) => Extent { depth: iterator.depth(), weight: 1 },
            Value::Ordering(ordering) => Extent { depth: ordering.depth(), weight: 1 },
            Value::String(text) => Extent { depth: 0, weight: 1 + text.len() as u64 / 16 },
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::DateTime(_)
            | Value::Timespan(_)
            | Value::Regex(_) => Extent { depth: 0, weight: 1 },
        }
    }
}
