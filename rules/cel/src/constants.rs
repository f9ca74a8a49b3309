//! `config.<name>` in templates: constants, which are put in when a template is compiled.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value as Json;

use crate::compile::{Mistake, outside_strings};
use crate::limits::CRITERIA_BYTES_MAX;
use crate::secret_names::{is_member, is_name, word_end};

/// What constants are named under.
const CONFIG: &str = "config";

/// What stands for a constant.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// This value.
    Value(Json),
    /// The secret of this name, `space.name`.
    Secret(String),
}

/// The constants of a pack.
pub trait Constants: Sync {
    /// A constant by its name.
    fn get(&self, name: &str) -> Option<Constant>;

    /// What to say of a name that is none of them, for people.
    fn unknown(&self, name: &str) -> String;
}

/// An expression with its constants put in.
pub(crate) struct PutIn<'s> {
    pub(crate) source: Cow<'s, str>,
    /// Where constants stand in it, and where their names stood; both in characters.
    moved: Vec<(Range<usize>, Range<usize>)>,
}

impl PutIn<'_> {
    /// Where that stood which stands there now: a place in a constant is that of its name.
    pub(crate) fn written_at(&self, offset: usize) -> usize {
        match self.moved.iter().rfind(|(now, _)| now.start <= offset) {
            None => offset,
            Some((now, before)) if now.contains(&offset) => before.start,
            Some((now, before)) => before.end + (offset - now.end),
        }
    }
}

/// The expression with its constants put in.
///
/// # Errors
/// A name that is none of them, or `config` without a name; an expression that has more than [`CRITERIA_BYTES_MAX`] with
/// them.
pub(crate) fn put_in<'s>(source: &'s str, constants: &dyn Constants) -> Result<PutIn<'s>, Mistake> {
    if !source.contains(CONFIG) {
        return Ok(PutIn { source: Cow::Borrowed(source), moved: Vec::new() });
    }
    let outside: Vec<(usize, char)> = outside_strings(source).collect();
    let (mut whole, mut moved, mut copied, mut index) = (String::new(), Vec::new(), 0, 0);
    while index < outside.len() {
        let (start, first) = outside[index];
        if !is_name(first) {
            index += 1;
            continue;
        }
        let behind = word_end(&outside, index);
        let word_behind = outside[behind - 1].0 + 1;
        if &source[start..word_behind] != CONFIG || is_member(&outside, index) {
            index = behind;
            continue;
        }
        let offset = characters(&source[..start]);
        let name = name_at(source, &outside, behind, word_behind);
        let Some((name, name_end, next)) = name else {
            return Err(Mistake { offset, message: "write `config.<name>` in full".into() });
        };
        let constant = constants.get(name).ok_or_else(|| Mistake { offset, message: constants.unknown(name) })?;
        whole.push_str(&source[copied..start]);
        let from = characters(&whole);
        match constant {
            Constant::Value(value) => literal(&value, &mut whole),
            Constant::Secret(name) => whole.push_str(&format!("secret.{name}")),
        }
        if whole.len() > CRITERIA_BYTES_MAX {
            let message = format!(
                "with the value of config.{name} this expression has more than {CRITERIA_BYTES_MAX} bytes; give an \
                 expression a value of its own for what it needs"
            );
            return Err(Mistake { offset, message });
        }
        moved.push((from..characters(&whole), offset..characters(&source[..name_end])));
        (copied, index) = (name_end, next);
    }
    whole.push_str(&source[copied..]);
    Ok(PutIn { source: Cow::Owned(whole), moved })
}

fn characters(text: &str) -> usize {
    text.chars().count()
}

/// The name behind `config.`, where it ends, and what stands behind it.
fn name_at<'s>(
    source: &'s str,
    outside: &[(usize, char)],
    dot: usize,
    dot_at: usize,
) -> Option<(&'s str, usize, usize)> {
    outside.get(dot).filter(|(at, c)| *at == dot_at && *c == '.')?;
    outside.get(dot + 1).filter(|(at, c)| *at == dot_at + 1 && is_name(*c))?;
    let next = word_end(outside, dot + 1);
    let end = outside[next - 1].0 + 1;
    Some((&source[dot_at + 1..end], end, next))
}

/// A value as an expression of its own.
fn literal(value: &Json, into: &mut String) {
    match value {
        Json::Number(number) if number.is_u64() && !number.is_i64() => into.push_str(&format!("{number}u")),
        Json::Number(number) => into.push_str(&format!("({number})")),
        Json::Array(items) => {
            into.push('[');
            for (at, item) in items.iter().enumerate() {
                into.push_str(if at > 0 { ", " } else { "" });
                literal(item, into);
            }
            into.push(']');
        }
        Json::Object(members) => {
            into.push('{');
            for (at, (name, member)) in members.iter().enumerate() {
                into.push_str(if at > 0 { ", " } else { "" });
                into.push_str(&format!("{}: ", Json::from(name.as_str())));
                literal(member, into);
            }
            into.push('}');
        }
        // Escapes of JSON are escapes of CEL.
        plain => into.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Scope, Template};

    struct Some3;

    impl Constants for Some3 {
        fn get(&self, name: &str) -> Option<Constant> {
            match name {
                "channel" => Some(Constant::Value(json!("#o\"p\\s\n${x} }"))),
                "smtp" => Some(Constant::Value(json!({"host": "mail", "ports": [25, -1, 0.5], "n": u64::MAX}))),
                "token" => Some(Constant::Secret("mail.token".into())),
                _ => None,
            }
        }

        fn unknown(&self, name: &str) -> String {
            format!("no {name}")
        }
    }

    fn rendered(template: &str) -> Result<String, String> {
        let told = |errors: Vec<crate::CompileError>| errors[0].to_string();
        let template = Template::action_with(&json!(template), &Some3).map_err(told)?;
        let scope = Scope::action(&json!({"config": "own"}), &json!({"mail": {"token": "t0k3n"}}), "e", 1);
        template.render_text(&scope).map_err(|error| error.to_string())
    }

    #[test]
    fn a_mistake_stands_where_it_was_written() {
        let place = |template: &str| {
            let error = Template::action_with(&json!(template), &Some3).unwrap_err().remove(0);
            (error.column, error.message)
        };
        for (template, column) in [
            ("${config.channel + nope}", 20),
            ("ä ${config.channel + config.smtp.host + nope}", 41),
            ("${config.channel + secret}", 20),
            ("${nope + config.channel}", 3),
        ] {
            let (found, message) = place(template);
            assert_eq!(found, column, "{template}: {message}");
        }
    }

    #[test]
    fn constants_that_are_too_large_for_an_expression_are_a_mistake() {
        struct Large;
        impl Constants for Large {
            fn get(&self, _: &str) -> Option<Constant> {
                Some(Constant::Value(json!("x".repeat(CRITERIA_BYTES_MAX / 2))))
            }

            fn unknown(&self, name: &str) -> String {
                name.to_owned()
            }
        }
        assert!(Template::action_with(&json!("${config.a}"), &Large).is_ok());
        assert!(Template::action_with(&json!(["${config.a}", "${config.b}", "${config.c}"]), &Large).is_ok());
        let error = Template::action_with(&json!("${config.a + config.b}"), &Large).unwrap_err().remove(0);
        assert_eq!(error.column, 14);
        assert!(
            error.message.contains("with the value of config.b this expression has more than 8192 bytes"),
            "{error}"
        );
    }

    #[test]
    fn constants_are_values_of_their_type() {
        let cases = [
            ("${config.channel}", "#o\"p\\s\n${x} }"),
            ("to ${config.channel + '!'}", "to #o\"p\\s\n${x} }!"),
            ("${config.smtp.host}:${config.smtp.ports[0] + 1}", "mail:26"),
            ("${config.smtp.ports}", "[25,-1,0.5]"),
            ("${config.smtp.n}", "18446744073709551615"),
            ("${3 - config.smtp.ports[1]}", "4"),
            ("${'config.channel'}", "config.channel"),
            ("${parameters.config}", "own"),
            ("Bearer ${config.token}", "Bearer t0k3n"),
        ];
        for (template, wanted) in cases {
            assert_eq!(rendered(template).as_deref(), Ok(wanted), "{template}");
        }
        for (template, wanted) in [
            ("${config.nope}", ":1:3: no nope"),
            ("a ${config[\"x\"]}", "write `config.<name>` in full"),
            ("${config}", "in full"),
        ] {
            let error = rendered(template).unwrap_err();
            assert!(error.contains(wanted), "{template}: {error}");
        }
        let template = Template::action_with(&json!("${config.token}"), &Some3).unwrap();
        assert_eq!(template.secrets(), ["mail.token"]);
        // In what a rule gives, a secret is the whole value of a parameter that takes one; the catalog sees to that.
        assert!(Template::rule_with(&json!("${config.token}"), &Some3).is_err());
        assert!(Template::rule(&json!("${config.channel}")).is_err());
    }
}
