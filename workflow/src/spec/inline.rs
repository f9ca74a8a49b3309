//! Parameters written behind an action, or published in one line: `core.echo message=<% ctx(x) %> n=1`.

use std::sync::{Arc, LazyLock};

use regex::Regex;

use crate::expression::Value;

/// `name=value`, where the value is a list in brackets, a quoted text, a number, a boolean, null or an expression.
static PARAMETER: LazyLock<Regex> = LazyLock::new(|| {
    let values = [
        r"\[.*\]\s*",
        r#""[^"]*"\s*"#,
        r"'[^']*'\s*",
        r"-?\d*\.\d+",
        r"-?\d+",
        "(?i:true)",
        "(?i:false)",
        "null",
        r"\{\{.*?\}\}",
        "<%.*?%>",
    ];
    Regex::new(&format!(r"(\w+)=({})", values.join("|"))).expect("the pattern is a constant")
});

/// The parameters of a text in order; none if it has none.
pub(crate) fn parameters(text: &str) -> Vec<(Arc<str>, Value)> {
    if !text.contains('=') {
        return Vec::new();
    }
    let found = PARAMETER.captures_iter(text);
    found.map(|found| (Arc::from(&found[1]), value(found[2].trim()))).collect()
}

/// A text in quotes stays text, unless it is a JSON object; everything else is JSON if it can be.
fn value(text: &str) -> Value {
    let quoted = text.matches('"').count() > 1 || text.matches('\'').count() > 1;
    let mut inner = text;
    for quote in ['"', '\''] {
        inner = inner.strip_prefix(quote).unwrap_or(inner);
        inner = inner.strip_suffix(quote).unwrap_or(inner);
    }
    let object = inner.starts_with('{') && inner.ends_with('}');
    if inner.is_empty() || (quoted && !object) {
        return Value::text(inner);
    }
    let lower = inner.to_lowercase();
    let json = if matches!(lower.as_str(), "true" | "false") { lower.as_str() } else { inner };
    match serde_json::from_str::<serde_json::Value>(json) {
        Ok(json) => json.into(),
        Err(_) => Value::text(json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_with_their_types() {
        for (text, expected) in [
            ("core.noop", "[]"),
            ("a x=1 y=-2.5 z=TRUE n=null", r#"[["x",1],["y",-2.5],["z",true],["n",null]]"#),
            ("a x=[1,2] y=1", r#"[["x",[1,2]],["y",1]]"#),
            (r#"a x="hello there" y='it'"#, r#"[["x","hello there"],["y","it"]]"#),
            (r#"a x='{"k": 1}'"#, r#"[["x",{"k":1}]]"#),
            (r#"a x=["b"]"#, r#"[["x","[\"b\"]"]]"#),
            ("a x=<% ctx(y) %> z={{ ctx('w') }}", r#"[["x","<% ctx(y) %>"],["z","{{ ctx('w') }}"]]"#),
            ("a x=.5 y=007", r#"[["x",".5"],["y","007"]]"#),
            ("a x=\"\"", r#"[["x",""]]"#),
        ] {
            let found = parameters(text);
            let found: Vec<_> = found.iter().map(|(name, value)| serde_json::json!([**name, value])).collect();
            assert_eq!(serde_json::Value::from(found).to_string(), expected, "{text}");
        }
    }
}
