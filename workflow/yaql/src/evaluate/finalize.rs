//! The result of an expression, as its caller gets it.

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use super::Evaluator;
use crate::error::EvaluationError;
use crate::value::{Dict, ListKind, Set, Value};

impl Evaluator<'_> {
    /// Reads iterators, and turns tuples and sets into what the options say.
    pub(crate) fn finalize(&self, value: Value) -> Result<Value, EvaluationError> {
        if !self.options().convert_output_data {
            return Ok(value);
        }
        self.nested(|evaluator| evaluator.convert_output(value))
    }

    fn convert_output(&self, value: Value) -> Result<Value, EvaluationError> {
        match &value {
            Value::Dict(dict) => {
                self.limited(Value::Dict(Arc::clone(dict)))?;
                let mut entries = IndexMap::with_capacity(dict.len());
                for (key, value) in dict.entries() {
                    self.step(1)?;
                    let key = self.finalize(key.value().clone())?;
                    entries.insert(self.key(&key)?, self.finalize(value.clone())?);
                }
                Ok(Value::Dict(Arc::new(Dict::new(entries, false))))
            }
            Value::Set(_) if self.options().convert_sets_to_lists => Ok(Value::list(self.convert_all(&value)?)),
            Value::Set(_) => {
                let mut elements = IndexSet::new();
                for element in self.convert_all(&value)? {
                    elements.insert(self.key(&element)?);
                }
                Ok(Value::Set(Arc::new(Set::new(elements))))
            }
            Value::List(list) if list.kind() == ListKind::Tuple && !self.options().convert_tuples_to_lists => {
                Ok(Value::tuple(self.convert_all(&value)?))
            }
            Value::List(_) | Value::Values(_) | Value::Iterator(_) | Value::Ordering(_) => {
                Ok(Value::list(self.convert_all(&value)?))
            }
            _ => Ok(value),
        }
    }

    fn convert_all(&self, collection: &Value) -> Result<Vec<Value>, EvaluationError> {
        let limited = self.limited(collection.clone())?;
        let mut cursor = super::Cursor::over(&limited, self)?;
        let mut converted = Vec::new();
        while let Some(item) = cursor.next(self)? {
            self.use_memory(size_of::<Value>() as u64)?;
            converted.push(self.finalize(item)?);
        }
        Ok(converted)
    }
}
