//! Reads any collection element by element.

use std::sync::Arc;

use super::Evaluator;
use crate::error::EvaluationError;
use crate::value::{Dict, Iterate, List, Set, Value};

/// Reads a collection from its start; an iterator goes on where it was left.
#[derive(Clone)]
pub(crate) struct Cursor {
    over: Over,
    position: usize,
}

#[derive(Clone)]
enum Over {
    List(Arc<List>),
    Keys(Arc<Dict>),
    Values(Arc<Dict>),
    Set(Arc<Set>),
    Text(Arc<[char]>),
    Iterator(Arc<Iterate>),
}

impl Cursor {
    /// What reads `value`.
    pub(crate) fn over(value: &Value, evaluator: &Evaluator<'_>) -> Result<Cursor, EvaluationError> {
        let over = match value {
            Value::List(list) => Over::List(Arc::clone(list)),
            Value::Dict(dict) => Over::Keys(Arc::clone(dict)),
            Value::Values(dict) => Over::Values(Arc::clone(dict)),
            Value::Set(set) => Over::Set(Arc::clone(set)),
            Value::String(text) => Over::Text(text.chars().collect()),
            Value::Iterator(iterator) => Over::Iterator(Arc::clone(iterator)),
            Value::Ordering(ordering) => return Cursor::over(&super::order::sorted(ordering, evaluator)?, evaluator),
            _ => {
                let message = format!("'{}' object is not iterable", value.type_name());
                return Err(EvaluationError::of_type(message));
            }
        };
        Ok(Cursor { over, position: 0 })
    }

    /// The next element; `None` at the end.
    pub(crate) fn next(&mut self, evaluator: &Evaluator<'_>) -> Result<Option<Value>, EvaluationError> {
        evaluator.step(1)?;
        let at = self.position;
        self.position += 1;
        match &self.over {
            Over::List(list) => Ok(list.items().get(at).cloned()),
            Over::Keys(dict) => Ok(dict.entries().get_index(at).map(|(key, _)| key.value().clone())),
            Over::Values(dict) => Ok(dict.entries().get_index(at).map(|(_, value)| value.clone())),
            Over::Set(set) => Ok(set.at(at)),
            Over::Text(text) => Ok(text.get(at).map(|character| Value::string(character.to_string()))),
            Over::Iterator(iterator) => iterator.read(at, evaluator),
        }
    }
}
