//! An explanation as JSON for programs, and as text for people, which is made from that JSON: whoever has
//! the one from a server shows it as if it had been made here.

use std::fmt;

use serde_json::{Value as Json, json};

use super::{Explanation, Outcome, Shown};

/// Widest column of sub-expressions, in characters; longer ones push their value to the right.
const COLUMN_CHARS_MAX: usize = 60;
/// Longest value that is shown to people, in characters.
const VALUE_CHARS_MAX: usize = 200;

impl Explanation {
    /// `{"rule", "criteria", "matches", "reason", "index": {"found_by", "proposed"}, "not_asked", "steps":
    /// [{"depth", "source", "type" and "value" or "error": {"code", "text"}, "cut", "turns", "turn_count"}]}`;
    /// `cut` only of values that are, `turns` only inside loops. What was not evaluated has neither value nor error.
    pub fn to_json(&self) -> Json {
        let steps = self.steps.iter().map(|step| {
            let mut json = step.value.as_ref().map_or_else(|| json!({}), outcome);
            json["depth"] = json!(step.depth);
            json["source"] = json!(step.source);
            if !step.turns.is_empty() {
                json["turns"] = step.turns.iter().map(outcome).collect();
                json["turn_count"] = json!(step.turn_count);
            }
            json
        });
        json!({
            "rule": &*self.rule,
            "criteria": self.steps.first().map(|step| &step.source),
            "matches": self.matches,
            "reason": self.reason,
            "index": {"found_by": self.found_by, "proposed": self.proposed},
            "not_asked": self.not_asked,
            "steps": steps.collect::<Vec<_>>(),
        })
    }
}

fn outcome(outcome: &Outcome) -> Json {
    match outcome {
        Ok(Shown { type_name, json, cut: false }) => json!({"type": type_name, "value": json}),
        Ok(Shown { type_name, json, cut: true }) => json!({"type": type_name, "value": json, "cut": true}),
        Err(error) => json!({"error": {"code": error.code, "text": error.text}}),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&explanation_text(&self.to_json()))
    }
}

/// Shows people what [`Explanation::to_json`] made. Ends without a line break.
pub fn explanation_text(explanation: &Json) -> String {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let verdict = if explanation["matches"] == true { "match" } else { "no match" };
    let mut lines = vec![
        format!("rule    {}", text(&explanation["rule"])),
        format!("result  {verdict}: {}", text(&explanation["reason"])),
    ];
    let index = &explanation["index"];
    let found_by = index["found_by"].as_array().map_or(&[][..], Vec::as_slice);
    lines.push(match (index["proposed"] == true, found_by) {
        (true, []) => "index   cannot help: every event has to ask this rule".to_owned(),
        (false, []) => "index   proposes the rule for no event: it never matches".to_owned(),
        (true, _) => "index   proposes the rule, which it finds by".to_owned(),
        (false, _) => "index   does not propose the rule, which it finds by".to_owned(),
    });
    lines.extend(found_by.iter().map(|way| format!("        {}", text(way))));
    let steps = explanation["steps"].as_array().map_or(&[][..], Vec::as_slice);
    let labels: Vec<String> = steps.iter().map(label).collect();
    let width = labels.iter().map(|l| l.chars().count()).filter(|n| *n <= COLUMN_CHARS_MAX).max().unwrap_or(0);
    if !steps.is_empty() {
        lines.push(String::new());
    }
    for (step, label) in steps.iter().zip(labels) {
        let value = match step["turns"].as_array() {
            Some(turns) => {
                let values = turns.iter().map(shown).collect::<Vec<_>>().join("; ");
                match step["turn_count"].as_u64() {
                    Some(count) if count > turns.len() as u64 => format!("each of {count} turns: {values}; …"),
                    _ => format!("each turn: {values}"),
                }
            }
            None => shown(step),
        };
        lines.push(format!("{label:<width$}  {value}"));
    }
    lines.join("\n")
}

/// Indented by depth, on one line.
fn label(step: &Json) -> String {
    let depth = usize::try_from(step["depth"].as_u64().unwrap_or(0)).unwrap_or(0);
    let words: Vec<&str> = step["source"].as_str().unwrap_or_default().split_whitespace().collect();
    format!("{}{}", "  ".repeat(depth), words.join(" "))
}

fn shown(outcome: &Json) -> String {
    let text = match (outcome.get("error"), outcome.get("value")) {
        (Some(error), _) => format!("error: {}", error["text"].as_str().unwrap_or_default()),
        (None, Some(value)) => value_text(outcome["type"].as_str().unwrap_or_default(), value),
        (None, None) => "not evaluated".to_owned(),
    };
    if text.chars().count() <= VALUE_CHARS_MAX && outcome.get("cut").is_none() {
        return text;
    }
    text.chars().take(VALUE_CHARS_MAX).chain("…".chars()).collect()
}

/// A value much as the language writes it.
fn value_text(type_name: &str, value: &Json) -> String {
    match (type_name, value) {
        ("uint", number) => format!("{number}u"),
        ("optional_type", Json::Array(of)) => match of.first() {
            Some(value) => format!("optional.of({value})"),
            None => "optional.none()".to_owned(),
        },
        ("bytes", Json::String(text)) => format!("base64.decode(\"{text}\")"),
        ("string", value) => value.to_string(),
        // A timestamp, an address, the name of a type, NaN.
        (_, Json::String(text)) => text.clone(),
        (_, value) => value.to_string(),
    }
}
