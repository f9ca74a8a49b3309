//! Patterns in the shape of an event, which quamina and AWS Event Ruler share but for details.

use serde_json::{Map, Value, json};

use crate::rule::{Clause, Rule, Test};
use crate::schema::{Field, Kind};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    #[cfg(any(feature = "rivals", test))]
    Quamina,
    Ruler,
}

/// One pattern for each clause: quamina has no OR across fields, but takes several patterns of one id.
#[cfg(any(feature = "rivals", test))]
pub(crate) fn quamina(rule: &Rule, fields: &[Field]) -> Option<Vec<String>> {
    let clauses = rule.any.iter().map(|clause| pattern(clause, fields, Dialect::Quamina));
    Some(clauses.collect::<Option<Vec<_>>>()?.iter().map(Value::to_string).collect())
}

/// One rule of AWS Event Ruler.
pub(crate) fn ruler(rule: &Rule, fields: &[Field]) -> Option<String> {
    let clauses = rule.any.iter().map(|clause| pattern(clause, fields, Dialect::Ruler));
    let clauses = clauses.collect::<Option<Vec<Value>>>()?;
    Some(match clauses.as_slice() {
        [one] => one.to_string(),
        several => json!({ "$or": several }).to_string(),
    })
}

fn pattern(clause: &Clause, fields: &[Field], dialect: Dialect) -> Option<Value> {
    let mut root = Map::new();
    for literal in clause {
        let field = &fields[literal.field];
        let leaf = leaf(&literal.test, field, dialect)?;
        let (last, above) = field.path.split_last()?;
        let mut object = &mut root;
        for step in above {
            object = object.entry(*step).or_insert_with(|| json!({})).as_object_mut()?;
        }
        object.insert((*last).to_owned(), leaf);
    }
    Some(Value::Object(root))
}

fn leaf(test: &Test, field: &Field, dialect: Dialect) -> Option<Value> {
    Some(match test {
        Test::Eq(value) => json!([value]),
        Test::In(values) => json!(values),
        Test::Ne(value) | Test::NotEq(value) => json!([{ "anything-but": [value] }]),
        Test::NotIn(values) => json!([{ "anything-but": values }]),
        Test::Range { from, below } => {
            let number = |bound: f64| if field.kind == Kind::Float { json!(bound) } else { json!(bound as i64) };
            let side = |sign: &str, bound: &Option<f64>| bound.map(|bound| [json!(sign), number(bound)]);
            let sides: Vec<Value> = [side(">=", from), side("<", below)].into_iter().flatten().flatten().collect();
            json!([{ "numeric": sides }])
        }
        Test::Prefix(text) => json!([{ "prefix": text }]),
        Test::Suffix(text) => json!([{ "suffix": text }]),
        Test::Contains(text) => json!([{ "wildcard": format!("*{text}*") }]),
        Test::Matches(pattern) if dialect != Dialect::Ruler => json!([{ "regexp": pattern }]),
        Test::Has(expected) => json!([{ "exists": expected }]),
        _ => return None,
    })
}
