//! Sorting by what expressions say, with the comparisons that expressions have.

use crate::error::EvaluationError;
use crate::evaluate::Evaluator;
use crate::value::{Ordering, Value};

/// The elements in their order. Elements that are equal keep theirs.
pub(crate) fn sorted(ordering: &Ordering, evaluator: &Evaluator<'_>) -> Result<Value, EvaluationError> {
    if let Some(sorted) = ordering.sorted() {
        return Ok(sorted);
    }
    let items = evaluator.collect(ordering.collection())?;
    let mut sort = Sort { evaluator, keys: vec![Vec::new(); items.len()], ordering, items: &items };
    let order = evaluator.nested(|_| sort.merge(0, items.len()))?;
    let sorted = Value::list(order.into_iter().map(|index| items[index].clone()).collect());
    ordering.keep(sorted.clone());
    Ok(sorted)
}

struct Sort<'s, 'h> {
    evaluator: &'s Evaluator<'h>,
    ordering: &'s Ordering,
    items: &'s [Value],
    /// What each element is ordered by, as far as it was asked for.
    keys: Vec<Vec<Value>>,
}

impl Sort<'_, '_> {
    /// The order of the elements from `start` to `end`. Comparisons can fail and need not be consistent, so this is a
    /// sort of our own.
    fn merge(&mut self, start: usize, end: usize) -> Result<Vec<usize>, EvaluationError> {
        if end - start < 2 {
            return Ok((start..end).collect());
        }
        let middle = start + (end - start) / 2;
        let left = self.merge(start, middle)?;
        let right = self.merge(middle, end)?;
        let mut merged = Vec::with_capacity(left.len() + right.len());
        let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
        while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
            let next = if self.less(*second, *first)? { right.next() } else { left.next() };
            merged.extend(next);
        }
        merged.extend(left);
        merged.extend(right);
        Ok(merged)
    }

    fn less(&mut self, left: usize, right: usize) -> Result<bool, EvaluationError> {
        for (level, field) in self.ordering.fields().iter().enumerate() {
            let left = self.key(left, level)?;
            let right = self.key(right, level)?;
            let compare = |name: &str| -> Result<bool, EvaluationError> {
                let arguments = vec![left.clone(), right.clone()];
                Ok(self.evaluator.operator(name, arguments)?.is_true())
            };
            if compare("#operator_<")? {
                return Ok(field.ascending);
            }
            if compare("#operator_>")? {
                return Ok(!field.ascending);
            }
        }
        Ok(false)
    }

    fn key(&mut self, item: usize, level: usize) -> Result<Value, EvaluationError> {
        while self.keys[item].len() <= level {
            let field = &self.ordering.fields()[self.keys[item].len()];
            let key = field.selector.call(self.evaluator, std::slice::from_ref(&self.items[item]))?;
            self.keys[item].push(key);
        }
        Ok(self.keys[item][level].clone())
    }
}
