//! A corpus by columns, decoded from its lines: what rules are chosen from and their hits are counted on.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::schema::{Corpus, Field, Kind};

/// The number of a row whose text is null.
pub(crate) const NULL: u32 = u32::MAX;
/// The number of a row that lacks the field.
pub(crate) const MISSING: u32 = u32::MAX - 1;

/// All events of a corpus.
#[derive(Debug)]
pub(crate) struct Table {
    pub corpus: Corpus,
    pub rows: usize,
    columns: Vec<Column>,
}

#[derive(Debug)]
enum Column {
    Text(Texts),
    Number(Numbers),
    Tags(Tags),
}

/// Texts as numbers of their sorted distinct values.
#[derive(Debug)]
pub(crate) struct Texts {
    pub values: Vec<Box<str>>,
    /// By row; [`NULL`] and [`MISSING`] are no values.
    pub cells: Vec<u32>,
    rows: Postings,
}

/// Numbers, and the rows in their order.
#[derive(Debug)]
pub(crate) struct Numbers {
    pub cells: Vec<f64>,
    sorted: Vec<(f64, u32)>,
}

/// Lists of texts, as numbers of their sorted distinct values.
#[derive(Debug)]
pub(crate) struct Tags {
    pub values: Vec<Box<str>>,
    pub cells: Vec<Box<[u32]>>,
    rows: Postings,
}

/// Rows by value, values in their order.
#[derive(Debug)]
struct Postings {
    starts: Vec<u32>,
    rows: Vec<u32>,
}

impl Postings {
    /// From (value, row) pairs in any order.
    fn new(values: usize, mut pairs: Vec<(u32, u32)>) -> Self {
        pairs.sort_unstable();
        let mut starts = vec![0; values + 1];
        for &(value, _) in &pairs {
            starts[value as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        Self { starts, rows: pairs.into_iter().map(|(_, row)| row).collect() }
    }

    fn of(&self, values: std::ops::Range<u32>) -> &[u32] {
        &self.rows[self.starts[values.start as usize] as usize..self.starts[values.end as usize] as usize]
    }
}

/// The numbers of texts in the order of the texts.
fn numbered(texts: impl Iterator<Item = String>) -> (Vec<Box<str>>, HashMap<String, u32>) {
    let sorted: BTreeMap<String, ()> = texts.map(|text| (text, ())).collect();
    let values = sorted.keys().map(|text| text.as_str().into()).collect();
    let numbers = sorted.into_keys().zip(0..).collect();
    (values, numbers)
}

impl Texts {
    fn new(cells: Vec<Option<Value>>) -> Result<Self> {
        let text = |cell: &Option<Value>| cell.as_ref().and_then(Value::as_str).map(str::to_owned);
        let (values, numbers) = numbered(cells.iter().filter_map(text));
        let number = |cell: &Option<Value>| match cell {
            None => Ok(MISSING),
            Some(Value::Null) => Ok(NULL),
            Some(Value::String(text)) => Ok(numbers[text]),
            Some(other) => bail!("{other} is no text"),
        };
        let cells = cells.iter().map(number).collect::<Result<Vec<u32>>>()?;
        let pairs = cells.iter().copied().zip(0..).filter(|(value, _)| *value < MISSING).collect();
        Ok(Self { rows: Postings::new(values.len(), pairs), values, cells })
    }

    /// The text of a row, unless it is null or missing.
    pub(crate) fn text(&self, row: usize) -> Option<&str> {
        self.values.get(self.cells[row] as usize).map(|text| &**text)
    }

    /// The number of a value.
    pub(crate) fn number(&self, text: &str) -> Option<u32> {
        self.values.binary_search_by(|value| (**value).cmp(text)).ok().map(|at| at as u32)
    }

    /// The numbers of the values that begin so.
    pub(crate) fn prefixed(&self, prefix: &str) -> std::ops::Range<u32> {
        let from = self.values.partition_point(|value| &**value < prefix);
        let count = self.values[from..].partition_point(|value| value.starts_with(prefix));
        from as u32..(from + count) as u32
    }

    /// The rows that hold these values.
    pub(crate) fn rows(&self, values: std::ops::Range<u32>) -> &[u32] {
        self.rows.of(values)
    }
}

impl Numbers {
    fn new(cells: &[Option<Value>]) -> Result<Self> {
        let number = |cell: &Option<Value>| {
            cell.as_ref().and_then(Value::as_f64).with_context(|| format!("{cell:?} is no number"))
        };
        let cells = cells.iter().map(number).collect::<Result<Vec<f64>>>()?;
        let mut sorted: Vec<(f64, u32)> = cells.iter().copied().zip(0..).collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(Self { cells, sorted })
    }

    /// The rows whose number is in that range, as they lie in the order of the numbers.
    pub(crate) fn range(&self, from: f64, below: f64) -> &[(f64, u32)] {
        let start = self.sorted.partition_point(|(number, _)| *number < from);
        let end = self.sorted.partition_point(|(number, _)| *number < below);
        &self.sorted[start..end.max(start)]
    }
}

impl Tags {
    fn new(cells: &[Option<Value>]) -> Result<Self> {
        let list = |cell: &Option<Value>| -> Result<Vec<String>> {
            let list = cell.as_ref().and_then(Value::as_array).with_context(|| format!("{cell:?} is no list"))?;
            Ok(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        };
        let lists = cells.iter().map(list).collect::<Result<Vec<_>>>()?;
        let (values, numbers) = numbered(lists.iter().flatten().cloned());
        let cells: Vec<Box<[u32]>> = lists.iter().map(|list| list.iter().map(|tag| numbers[tag]).collect()).collect();
        let pairs = cells.iter().zip(0..).flat_map(|(tags, row)| tags.iter().map(move |tag| (*tag, row)));
        let rows = Postings::new(values.len(), pairs.collect());
        Ok(Self { values, cells, rows })
    }

    pub(crate) fn number(&self, text: &str) -> Option<u32> {
        self.values.binary_search_by(|value| (**value).cmp(text)).ok().map(|at| at as u32)
    }

    pub(crate) fn rows(&self, tag: u32) -> &[u32] {
        self.rows.of(tag..tag + 1)
    }
}

impl Table {
    /// Decodes lines of that corpus.
    pub(crate) fn decode(corpus: Corpus, lines: &str) -> Result<Self> {
        let fields = corpus.fields();
        let mut cells: Vec<Vec<Option<Value>>> = fields.iter().map(|_| Vec::new()).collect();
        let mut rows = 0;
        for line in lines.lines() {
            let mut event: Value = serde_json::from_str(line).context("an event")?;
            for (field, cells) in fields.iter().zip(&mut cells) {
                cells.push(taken(&mut event, field));
            }
            rows += 1;
        }
        let column = |(field, cells): (&Field, Vec<Option<Value>>)| -> Result<Column> {
            Ok(match field.kind {
                Kind::Text => Column::Text(Texts::new(cells)?),
                Kind::Float | Kind::Int => Column::Number(Numbers::new(&cells)?),
                Kind::Tags => Column::Tags(Tags::new(&cells)?),
            })
        };
        let columns = fields.iter().zip(cells).map(column).collect::<Result<Vec<_>>>()?;
        Ok(Self { corpus, rows, columns })
    }

    /// A field's texts.
    ///
    /// # Panics
    /// If it is of another kind: rules are chosen by the kind.
    pub(crate) fn texts(&self, field: usize) -> &Texts {
        match &self.columns[field] {
            Column::Text(texts) => texts,
            other => panic!("field {field} holds no texts: {other:?}"),
        }
    }

    /// A field's numbers, as [`Table::texts`].
    pub(crate) fn numbers(&self, field: usize) -> &Numbers {
        match &self.columns[field] {
            Column::Number(numbers) => numbers,
            other => panic!("field {field} holds no numbers: {other:?}"),
        }
    }

    /// A field's tags, as [`Table::texts`].
    pub(crate) fn tags(&self, field: usize) -> &Tags {
        match &self.columns[field] {
            Column::Tags(tags) => tags,
            other => panic!("field {field} holds no tags: {other:?}"),
        }
    }

    pub(crate) fn kind(&self, field: usize) -> Kind {
        self.corpus.fields()[field].kind
    }
}

fn taken(event: &mut Value, field: &Field) -> Option<Value> {
    let mut value = event;
    for step in field.path {
        value = value.as_object_mut()?.get_mut(*step)?;
    }
    Some(value.take())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus;
    use crate::schema::{city, ops};

    #[test]
    fn columns_hold_what_the_lines_say() {
        let lines = corpus::lines(Corpus::Ops, 300);
        let table = Table::decode(Corpus::Ops, &lines).unwrap();
        assert_eq!(table.rows, 300);
        let (mut missing, mut seen) = (0, 0);
        for (row, line) in lines.lines().enumerate() {
            let event: Value = serde_json::from_str(line).unwrap();
            assert_eq!(table.texts(ops::HOST).text(row), event["host"].as_str());
            assert_eq!(table.texts(ops::CLUSTER).text(row), event["labels"]["cluster"].as_str());
            assert_eq!(table.numbers(ops::CPU).cells[row], event["cpu"].as_f64().unwrap());
            assert_eq!(table.tags(ops::TAGS).cells[row].len(), event["tags"].as_array().unwrap().len());
            missing += usize::from(table.texts(ops::CLUSTER).cells[row] == MISSING);
            seen += usize::from(event["labels"].get("cluster").is_none());
        }
        assert!(missing == seen && missing > 0);
    }

    #[test]
    fn postings_are_the_rows_of_a_value() {
        let table = Table::decode(Corpus::City, &corpus::lines(Corpus::City, 300)).unwrap();
        let streets = table.texts(city::STREET);
        for number in 0..streets.values.len() as u32 {
            let rows: Vec<u32> = (0..300).filter(|row| streets.cells[*row as usize] == number).collect();
            assert_eq!(streets.rows(number..number + 1), rows);
        }
        let prefix = &streets.values[7][..2];
        let with: Vec<u32> =
            (0..streets.values.len() as u32).filter(|at| streets.values[*at as usize].starts_with(prefix)).collect();
        assert!(streets.prefixed(prefix).eq(with));
        assert!(table.texts(city::FROM_ST).cells.contains(&NULL));
    }
}
