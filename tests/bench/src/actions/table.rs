//! What was measured, beside what it is held against.

use serde_json::{Value, json};

use crate::cell::rounded;

#[derive(Debug)]
struct Row {
    what: &'static str,
    value: f64,
    unit: &'static str,
    p99: Option<f64>,
    note: String,
    holds: Option<bool>,
}

/// Rows in the order in which they were measured.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    /// Adds times in milliseconds, which it sorts, and shows them at once; the median. `holds` says of the median whether it is
    /// what the project promises.
    pub(crate) fn times(
        &mut self,
        what: &'static str,
        mut times_ms: Vec<f64>,
        holds: impl Fn(f64) -> Option<(String, bool)>,
    ) -> f64 {
        times_ms.sort_by(f64::total_cmp);
        let of = |part: f64| times_ms[((times_ms.len() - 1) as f64 * part) as usize];
        let (p50, p99) = (of(0.5), of(0.99));
        let (note, holds) = holds(p50).unzip();
        self.add(Row { what, value: p50, unit: "ms", p99: Some(p99), note: note.unwrap_or_default(), holds });
        p50
    }

    /// Adds a number, with what it is held against.
    pub(crate) fn number(&mut self, what: &'static str, value: f64, unit: &'static str, held: Option<(String, bool)>) {
        let (note, holds) = held.unzip();
        self.add(Row { what, value, unit, p99: None, note: note.unwrap_or_default(), holds });
    }

    fn add(&mut self, row: Row) {
        println!("{}", line(&row));
        self.0.push(row);
    }

    pub(crate) fn print(&self) {
        println!("\n{:<44} {:>10} {:<4} {:>10}", "", "median", "", "p99");
        self.0.iter().for_each(|row| println!("{}", line(row)));
    }

    pub(crate) fn json(&self) -> Value {
        let row = |row: &Row| {
            json!({
                "what": row.what, "value": rounded(row.value), "unit": row.unit, "p99": row.p99.map(rounded),
                "held_against": row.note, "holds": row.holds,
            })
        };
        self.0.iter().map(row).collect()
    }
}

fn line(row: &Row) -> String {
    let Row { what, value, unit, p99, note, holds } = row;
    let verdict = match holds {
        Some(true) => "holds",
        Some(false) => "MISSED",
        None => "",
    };
    let p99 = p99.map_or_else(String::new, |p99| format!("{p99:.2}"));
    format!("{what:<44} {value:>10.2} {unit:<4} {p99:>10}  {note} {verdict}").trim_end().to_owned()
}
