//! Everything that commands print.

// Printing is what a command line is for; nothing else in the server prints.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::Write;

use serde_json::Value;

/// A line on standard output.
pub fn line(text: &str) {
    // A reader that went away (`petrel … | head`) is no error of ours.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Bytes as they are on standard output.
pub fn raw(bytes: &[u8]) {
    let mut out = std::io::stdout();
    let _ = out.write_all(bytes);
    let _ = out.flush();
}

/// Bytes as they are on standard error.
pub fn raw_error(bytes: &[u8]) {
    let _ = std::io::stderr().write_all(bytes);
}

/// JSON for programs.
pub fn json(value: &Value) {
    // A value always serialises.
    line(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// A message on standard error.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// An error on standard error.
pub fn error(text: &str) {
    note(&format!("error: {text}"));
}

/// Rows of an array of objects under these columns: (field, heading).
pub fn table(rows: &[Value], columns: &[(&str, &str)]) {
    table_lines(rows, columns).iter().for_each(|row| line(row));
}

/// The same, one line a row.
pub fn table_lines(rows: &[Value], columns: &[(&str, &str)]) -> Vec<String> {
    let headings = columns.iter().map(|(_, h)| (*h).to_uppercase()).collect();
    let cells = rows.iter().map(|row| columns.iter().map(|(f, _)| cell(&row[*f])).collect());
    let table: Vec<Vec<String>> = std::iter::once(headings).chain(cells).collect();
    let width = |i: usize| table.iter().map(|row| row[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let show = |row: &Vec<String>| {
        let padded: Vec<String> = row.iter().zip(&widths).map(|(c, w)| format!("{c:<w$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    table.iter().map(show).collect()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::cell;

    #[test]
    fn cells_are_for_people() {
        for (value, shown) in [(json!(null), "-"), (json!("a"), "a"), (json!(["a", 1]), "a,1"), (json!(true), "true")] {
            assert_eq!(cell(&value), shown);
        }
    }
}
