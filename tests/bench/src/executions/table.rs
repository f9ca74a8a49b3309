//! What was measured, beside what the project promises.

use serde_json::{Map, Value, json};

use crate::cell::rounded;

/// What a number is held against.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bar {
    AtLeast(f64),
    AtMost(f64),
    /// Nothing was promised.
    None,
}

impl Bar {
    fn holds(self, value: f64) -> Option<bool> {
        match self {
            Self::AtLeast(least) => Some(value >= least),
            Self::AtMost(most) => Some(value <= most),
            Self::None => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(least) => format!(">= {least}"),
            Self::AtMost(most) => format!("<= {most}"),
            Self::None => String::new(),
        }
    }
}

#[derive(Debug)]
struct Row {
    bus: &'static str,
    what: String,
    value: f64,
    unit: &'static str,
    bar: Bar,
}

/// Rows in the order in which they were measured.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    /// Adds a row, and shows it at once.
    pub(crate) fn add(&mut self, bus: &'static str, what: &str, value: f64, unit: &'static str, bar: Bar) {
        let row = Row { bus, what: what.to_owned(), value, unit, bar };
        println!("  = {}", line(&row));
        self.0.push(row);
    }

    pub(crate) fn print(&self) {
        println!("\n{:<6} {:<52} {:>12} {:<6} {:>9}", "bus", "", "measured", "", "bar");
        self.0.iter().for_each(|row| println!("{}", line(row)));
    }

    pub(crate) fn json(&self) -> Value {
        let mut buses: Map<String, Value> = Map::new();
        for row in &self.0 {
            let of_bus = buses.entry(row.bus).or_insert_with(|| json!({}));
            of_bus[&row.what] =
                json!({ "value": rounded(row.value), "unit": row.unit, "holds": row.bar.holds(row.value) });
        }
        Value::Object(buses)
    }
}

fn line(row: &Row) -> String {
    let verdict = match row.bar.holds(row.value) {
        Some(true) => "holds",
        Some(false) => "MISSED",
        None => "",
    };
    let Row { bus, what, value, unit, bar } = row;
    // Of ratios the second digit counts, too.
    let digits = if value.abs() < 10.0 { 2 } else { 1 };
    format!("{bus:<6} {what:<52} {value:>12.digits$} {unit:<6} {:>9} {verdict}", bar.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_held_or_missed() {
        assert_eq!(Bar::AtLeast(2.0).holds(2.0), Some(true));
        assert_eq!(Bar::AtMost(2.0).holds(2.1), Some(false));
        let mut table = Table::default();
        table.add("local", "rate", 10.04, "/s", Bar::AtLeast(20.0));
        table.add("local", "CPU", 1.0, "us", Bar::None);
        assert_eq!(table.json()["local"]["rate"], json!({"value": 10.04, "unit": "/s", "holds": false}));
        assert!(line(&table.0[0]).ends_with("MISSED"));
    }
}
