//! Rules in the engines' own languages. None means that an engine cannot express a rule.
//!
//! Values are letters, digits, spaces and `- . _`, so that they stand between quotes as they are in every
//! language. The common dialect of regular expressions is even smaller: such characters, `[.]`, `[0-9]`,
//! `[a-z]`, `[A-Z]` and `.*`, for the whole text.

#[cfg(any(feature = "rivals", test))]
mod a_tree;
mod cel;
mod pattern;
#[cfg(any(feature = "rivals", test))]
mod wirefilter;

#[cfg(any(feature = "rivals", test))]
pub(crate) use a_tree::a_tree;
pub(crate) use cel::cel;
#[cfg(any(feature = "rivals", test))]
pub(crate) use pattern::quamina;
pub(crate) use pattern::ruler;
#[cfg(any(feature = "rivals", test))]
pub(crate) use wirefilter::wirefilter;

use crate::schema::{Field, Kind};

/// A pattern of the common dialect for engines that search in the text.
pub(crate) fn whole_text_regex(pattern: &str) -> String {
    format!("^{pattern}$")
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn list(texts: &[String], separator: &str) -> String {
    texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(separator)
}

/// A bound of a range, as the field's type writes it.
fn number(field: &Field, number: f64) -> String {
    if field.kind == Kind::Float { format!("{number:.2}") } else { format!("{}", number as i64) }
}

/// Clauses in a disjunction; parentheses only where there are several.
fn any_of(clauses: Vec<String>, or: &str) -> String {
    match clauses.as_slice() {
        [one] => one.clone(),
        several => several.iter().map(|clause| format!("({clause})")).collect::<Vec<_>>().join(or),
    }
}

/// The two sides of a range, each if it is there.
fn sides(from: Option<String>, below: Option<String>, name: &str, and: &str) -> String {
    let from = from.map(|from| format!("{name} >= {from}"));
    let below = below.map(|below| format!("{name} < {below}"));
    from.into_iter().chain(below).collect::<Vec<_>>().join(and)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{Literal, Rule, Test};
    use crate::schema::{Corpus, ops};

    fn rule(clauses: &[&[(usize, Test)]]) -> Rule {
        let literal = |(field, test): &(usize, Test)| Literal::new(*field, test.clone());
        Rule { any: clauses.iter().map(|clause| clause.iter().map(literal).collect()).collect() }
    }

    #[test]
    fn every_language_says_the_same() {
        let fields = Corpus::Ops.fields();
        let mixed = rule(&[
            &[
                (ops::HOST, Test::Eq("a-1.b".into())),
                (ops::SEVERITY, Test::In(vec!["info".into(), "error".into()])),
                (ops::CPU, Test::Range { from: Some(1.5), below: Some(90.0) }),
                (ops::TAGS, Test::Eq("t".into())),
            ],
            &[(ops::COUNT, Test::Range { from: Some(3.0), below: None }), (ops::CLUSTER, Test::Has(false))],
        ]);
        assert_eq!(
            cel(&mixed, fields),
            "(trigger.host == \"a-1.b\" && trigger.severity in [\"info\", \"error\"] && trigger.cpu >= 1.50 && \
             trigger.cpu < 90.00 && \"t\" in trigger.tags) || (trigger.count >= 3 && !has(trigger.labels.cluster))"
        );
        assert_eq!(
            a_tree(&mixed, fields).unwrap(),
            "(host = \"a-1.b\" and severity in [\"info\", \"error\"] and cpu >= 1.50 and cpu < 90.00 and \
             tags one of [\"t\"]) or (count >= 3 and labels_cluster is null)"
        );
        assert_eq!(
            wirefilter(&mixed, fields).unwrap(),
            "(host == \"a-1.b\" && severity in {\"info\" \"error\"} && cpu >= 150 && cpu < 9000 && \
             tags contains \"|t|\") || (count >= 3 && not has_labels_cluster)"
        );
        assert_eq!(
            quamina(&mixed, fields).unwrap(),
            [
                r#"{"host":["a-1.b"],"severity":["info","error"],"cpu":[{"numeric":[">=",1.5,"<",90.0]}],"tags":["t"]}"#,
                r#"{"count":[{"numeric":[">=",3]}],"labels":{"cluster":[{"exists":false}]}}"#,
            ]
        );
        assert!(ruler(&mixed, fields).unwrap().starts_with(r#"{"$or":[{"host":["a-1.b"],"#));
    }

    #[test]
    fn what_a_language_lacks_is_not_expressed() {
        let fields = Corpus::Ops.fields();
        let one = |field: usize, test: Test| rule(&[&[(field, test)]]);
        // The rule, its CEL, and whether a-tree, wirefilter, quamina and Event Ruler have it.
        for (rule, text, expressed) in [
            (
                one(ops::ENV, Test::NotIn(vec!["qa".into()])),
                "!(trigger.labels.env in [\"qa\"])",
                [true, true, true, true],
            ),
            (one(ops::ENV, Test::NotEq("qa".into())), "!(trigger.labels.env == \"qa\")", [true, true, true, true]),
            (one(ops::HOST, Test::Prefix("a".into())), "trigger.host.startsWith(\"a\")", [false, true, true, true]),
            (
                one(ops::HOST, Test::Matches("a[0-9].*".into())),
                "trigger.host.matches(\"^a[0-9].*$\")",
                [false, true, true, false],
            ),
            (
                one(ops::HOST, Test::Joined { other: ops::ENV, left: "a".into(), right: "b".into() }),
                "trigger.host + \"/\" + trigger.labels.env == \"a/b\"",
                [false; 4],
            ),
            (one(ops::CPU, Test::Scaled { factor: 2.0, above: 9.5 }), "trigger.cpu * 2.0 > 9.5", [false; 4]),
            (one(ops::HOST, Test::Longer { than: 9 }), "size(trigger.host) > 9", [false; 4]),
            (one(ops::HOST, Test::Before { other: ops::DC }), "trigger.host < trigger.labels.dc", [false; 4]),
        ] {
            assert_eq!(cel(&rule, fields), text);
            let has = [
                a_tree(&rule, fields).is_some(),
                wirefilter(&rule, fields).is_some(),
                quamina(&rule, fields).is_some(),
                ruler(&rule, fields).is_some(),
            ];
            assert_eq!(has, expressed, "{text}");
        }
    }
}
