//! Sequences that are computed while they are read.

use std::sync::{Arc, Mutex, PoisonError};

use super::Value;
use crate::error::EvaluationError;
use crate::evaluate::{Evaluator, Lambda};

/// Computes the next element; `None` at the end.
pub(crate) type Advance =
    Box<dyn for<'a, 'b> FnMut(&'a Evaluator<'b>) -> Result<Option<Value>, EvaluationError> + Send>;

/// A sequence that is computed while it is read, and can be read once.
pub struct Iterate {
    type_name: &'static str,
    depth: u32,
    source: Source,
}

enum Source {
    /// Taken out while it runs, so that nothing reads it while it reads itself.
    Once(Mutex<Reader>),
    /// Can be read again and again: what was read is kept.
    Kept(Kept),
}

enum Reader {
    Ready(Advance),
    Running,
    Ended,
}

struct Kept {
    source: Arc<Iterate>,
    read: Mutex<Vec<Value>>,
}

impl Iterate {
    /// A sequence by what computes it. `depth` is that of the deepest value that `advance` holds.
    pub(crate) fn new(type_name: &'static str, depth: u32, advance: Advance) -> Iterate {
        let source = Source::Once(Mutex::new(Reader::Ready(advance)));
        Iterate { type_name, depth: depth.saturating_add(1), source }
    }

    /// A sequence that keeps what was read of `source`, for whoever reads it again.
    pub(crate) fn kept(source: Arc<Iterate>) -> Iterate {
        let depth = source.depth.saturating_add(1);
        let kept = Kept { source, read: Mutex::new(Vec::new()) };
        Iterate { type_name: "RememberingIterator", depth, source: Source::Kept(kept) }
    }

    pub(crate) fn type_name(&self) -> &'static str {
        self.type_name
    }

    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }

    /// The element at `position` for one who has read all before it; `position` counts only if elements are kept.
    pub(crate) fn read(&self, position: usize, evaluator: &Evaluator<'_>) -> Result<Option<Value>, EvaluationError> {
        match &self.source {
            Source::Once(reader) => advance(reader, evaluator),
            Source::Kept(kept) => {
                let known = kept.read.lock().unwrap_or_else(PoisonError::into_inner).get(position).cloned();
                if known.is_some() {
                    return Ok(known);
                }
                let next = kept.source.read(position, evaluator)?;
                if let Some(value) = &next {
                    kept.read.lock().unwrap_or_else(PoisonError::into_inner).push(value.clone());
                    evaluator.use_memory(size_of::<Value>() as u64)?;
                }
                Ok(next)
            }
        }
    }
}

fn advance(reader: &Mutex<Reader>, evaluator: &Evaluator<'_>) -> Result<Option<Value>, EvaluationError> {
    let taken = std::mem::replace(&mut *reader.lock().unwrap_or_else(PoisonError::into_inner), Reader::Running);
    let mut advance = match taken {
        Reader::Ready(advance) => advance,
        Reader::Running => return Err(EvaluationError::of_value("generator already executing")),
        Reader::Ended => {
            *reader.lock().unwrap_or_else(PoisonError::into_inner) = Reader::Ended;
            return Ok(None);
        }
    };
    let next = evaluator.nested(|evaluator| advance(evaluator));
    let state = if matches!(next, Ok(Some(_))) { Reader::Ready(advance) } else { Reader::Ended };
    *reader.lock().unwrap_or_else(PoisonError::into_inner) = state;
    next
}

/// What `orderBy()` makes, sorted when it is read.
pub struct Ordering {
    collection: Value,
    fields: Mutex<Vec<Field>>,
    sorted: Mutex<Option<Value>>,
    depth: u32,
}

/// What a collection is ordered by.
#[derive(Clone)]
pub(crate) struct Field {
    pub(crate) selector: Lambda,
    pub(crate) ascending: bool,
}

impl Ordering {
    pub(crate) fn new(collection: Value, field: Field) -> Ordering {
        let depth = collection.extent().depth.max(field.selector.depth()).saturating_add(1);
        Ordering { collection, fields: Mutex::new(vec![field]), sorted: Mutex::new(None), depth }
    }

    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }

    pub(crate) fn collection(&self) -> &Value {
        &self.collection
    }

    /// Orders by this where all fields before it are equal.
    pub(crate) fn then(&self, field: Field) {
        self.fields.lock().unwrap_or_else(PoisonError::into_inner).push(field);
    }

    pub(crate) fn fields(&self) -> Vec<Field> {
        self.fields.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes out all that it holds but the collection.
    pub(crate) fn clear(&self) {
        let fields = std::mem::take(&mut *self.fields.lock().unwrap_or_else(PoisonError::into_inner));
        let sorted = self.sorted.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop((fields, sorted));
    }

    /// What it was sorted to before.
    pub(crate) fn sorted(&self) -> Option<Value> {
        self.sorted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn keep(&self, sorted: Value) {
        *self.sorted.lock().unwrap_or_else(PoisonError::into_inner) = Some(sorted);
    }
}
