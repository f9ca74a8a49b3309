//! What `readonly` of the engine leaves open, closed.
//!
//! Inside the library, `readonly=1` refuses writes, changes of settings and most table functions. It
//! does not refuse the function `file()`, which reads any file of this machine, nor `INTO OUTFILE`,
//! `KILL QUERY` and `USE`. So a read-only statement must be classified as read-only by the engine's
//! own parser, and its syntax tree must not name a function that reaches out of the database.

use super::answer::Failure;
use super::lexer::{Kind, Lexer};
use super::library::{Class, Connection};

/// Table functions that a read-only statement may use; they make rows or read the database itself.
const TABLE_FUNCTIONS: &[&str] = &[
    "generaterandom",
    "generateseries",
    "generate_series",
    "merge",
    "null",
    "numbers",
    "numbers_mt",
    "values",
    "view",
    "zeros",
    "zeros_mt",
];
/// Functions of any kind that read files, call other machines or run text as a statement.
const FORBIDDEN_FUNCTIONS: &[&str] = &["file", "eval", "executable", "catboostevaluate", "url", "python"];

/// Refuses a statement that must not run for a read-only client. What it lets pass still runs under
/// the engine's own `readonly`. `connection` is one without the client's settings, which could limit
/// what is seen of the statement.
pub(super) fn admit(connection: &Connection, sql: &[u8], params: &[(String, String)]) -> Result<(), Failure> {
    match connection.classify(sql).class {
        Class::ReadOnly => {}
        // The engine refuses both, with its own words.
        Class::Mutating | Class::Unknown => return Ok(()),
        Class::Control => {
            return Err(Failure::readonly("a read-only query cannot change the session, the server or a file"));
        }
    }
    let tree = syntax_tree(connection, sql, params)?;
    match forbidden_function(&tree) {
        Some(name) => Err(Failure::readonly(&format!("a read-only query cannot use the function {name}"))),
        None => Ok(()),
    }
}

/// The engine's own syntax tree of a statement, as `EXPLAIN AST` prints it.
fn syntax_tree(connection: &Connection, sql: &[u8], params: &[(String, String)]) -> Result<String, Failure> {
    let explain = |text: &[u8]| {
        let mut explained = b"EXPLAIN AST ".to_vec();
        explained.extend_from_slice(text);
        explained.extend_from_slice(b"\nFORMAT TSVRaw");
        connection.query(&explained, "TSVRaw", params)
    };
    let without_end = without_semicolon(sql);
    // A statement with a format of its own has it taken off: it would decide how the tree is printed.
    let answer = explain(without_end).or_else(|e| match without_format(without_end) {
        Some(text) => explain(&text),
        None => Err(e),
    });
    let tree = answer.map_err(Failure::of_engine)?.body;
    Ok(String::from_utf8_lossy(&tree).into_owned())
}

fn without_semicolon(sql: &[u8]) -> &[u8] {
    match Lexer::new(sql).last() {
        Some(token) if token.kind == Kind::Other(b';') => &sql[..token.start],
        _ => sql,
    }
}

/// Without the last `FORMAT name` outside of parentheses.
fn without_format(sql: &[u8]) -> Option<Vec<u8>> {
    let tokens: Vec<_> = Lexer::new(sql).collect();
    let mut pairs = tokens.iter().zip(tokens.iter().skip(1));
    let (format, name) = pairs.rfind(|(t, next)| t.depth == 0 && t.is(sql, "FORMAT") && next.kind == Kind::Word)?;
    let mut text = sql[..format.start].to_vec();
    text.extend_from_slice(&sql[name.end..]);
    Some(text)
}

/// The first function in a printed tree that a read-only statement must not use.
fn forbidden_function(tree: &str) -> Option<&str> {
    let mut parent_is_table = false;
    for line in tree.lines() {
        let node = line.trim_start();
        if let Some(rest) = node.strip_prefix("Function ") {
            let name = rest.split([' ', '(']).next().unwrap_or(rest);
            let lower = name.to_ascii_lowercase();
            let foreign_table = parent_is_table && !TABLE_FUNCTIONS.contains(&lower.as_str());
            if foreign_table || FORBIDDEN_FUNCTIONS.contains(&lower.as_str()) {
                return Some(name);
            }
        }
        parent_is_table = node.starts_with("TableExpression");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_in_the_tree() {
        let cases = [
            (" Function count (children 1)\n  ExpressionList\n", None),
            ("  Function FILE (children 1)", Some("FILE")),
            ("  TableExpression (children 1)\n   Function numbers (alias n) (children 1)", None),
            ("  TableExpression (children 1)\n   Function s3 (children 1)", Some("s3")),
            ("  TableExpression (children 1)\n   TableIdentifier t\n  Function s3 (children 1)", None),
        ];
        for (tree, expected) in cases {
            assert_eq!(forbidden_function(tree), expected, "{tree}");
        }
    }

    #[test]
    fn a_format_is_taken_off() {
        let cases = [
            ("SELECT 1 FORMAT JSON", Some("SELECT 1 ")),
            ("SELECT 1", None),
            ("SELECT (SELECT 1 FORMAT x)", None),
            ("SELECT 'FORMAT x' FORMAT Null SETTINGS a = 1", Some("SELECT 'FORMAT x'  SETTINGS a = 1")),
        ];
        for (sql, expected) in cases {
            let found = without_format(sql.as_bytes()).map(|t| String::from_utf8(t).unwrap());
            assert_eq!(found.as_deref(), expected, "{sql}");
        }
        assert_eq!(without_semicolon(b"SELECT ';' ; -- x"), b"SELECT ';' ");
    }
}
