//! Parts of file paths, as POSIX splits them.

use super::call::{Answer, Arguments, Function};
use crate::expression::Value;

pub(super) const TABLE: &[Function] =
    &[Function::new("basename", &["path"], 1, basename), Function::new("dirname", &["path"], 1, dirname)];

fn basename(args: &Arguments<'_>) -> Answer {
    let path = args.text(0)?;
    Ok(Value::text(path.rsplit_once('/').map_or(path, |(_, name)| name)))
}

fn dirname(args: &Arguments<'_>) -> Answer {
    let path = args.text(0)?;
    let head = path.rfind('/').map_or("", |slash| &path[..=slash]);
    let trimmed = head.trim_end_matches('/');
    // A path of slashes alone keeps them.
    Ok(Value::text(if trimmed.is_empty() { head } else { trimmed }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::expression::functions::tests::check;

    #[test]
    fn paths_are_split_as_posix_splits_them() {
        check(&[
            ("basename", json!(["/a/b/c.txt"]), Ok(json!("c.txt"))),
            ("basename", json!(["/a/b/"]), Ok(json!(""))),
            ("basename", json!(["c"]), Ok(json!("c"))),
            ("dirname", json!(["/a/b/c.txt"]), Ok(json!("/a/b"))),
            ("dirname", json!(["c"]), Ok(json!(""))),
            ("dirname", json!(["/c"]), Ok(json!("/"))),
            ("dirname", json!(["a//b"]), Ok(json!("a"))),
            ("dirname", json!([1]), Err("TypeError")),
        ]);
    }
}
