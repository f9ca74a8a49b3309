//! An explanation as JSON for programs, and as text for people, which is made from that JSON: whoever has
//! the one from a server shows it as if it had been made here.

use std::fmt;

use serde_json::{Value as Json, json};

use super::{Explanation, Outcome};

/// Widest column of sub-expressions, in characters; longer ones push their value to the right.
const COLUMN_CHARS_MAX: usize = 60;
/// Longest value that is shown to people, in characters.
const VALUE_CHARS_MAX: usize = 200;

impl Explanation {
    /// `{"rule", "criteria", "matches", "reason", "index": {"found_by", "proposed"}, "violation", "steps":
    /// [{"depth", "source", "value" or "error": {"code", "text"}, "turns"}]}`; `turns` only inside loops.
    pub fn to_json(&self) -> Json {
        let steps = self.steps.iter().map(|step| {
            let mut json = outcome(&step.value);
            json["depth"] = json!(step.depth);
            json["source"] = json!(step.source);
            if !step.turns.is_empty() {
                json["turns"] = step.turns.iter().map(outcome).collect();
            }
            json
        });
        let violation =
            self.violation.as_ref().map(|v| json!({"path": v.path, "expected": v.expected, "found": v.found}));
        json!({
            "rule": &*self.rule,
            "criteria": self.steps.first().map(|step| &step.source),
            "matches": self.matches,
            "reason": self.reason,
            "index": {"found_by": self.found_by, "proposed": self.proposed},
            "violation": violation,
            "steps": steps.collect::<Vec<_>>(),
        })
    }
}

fn outcome(outcome: &Outcome) -> Json {
    match outcome {
        Ok(value) => json!({"value": value}),
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
    let proposed = if index["proposed"] == true { "proposes the rule" } else { "does not propose the rule" };
    let found_by = index["found_by"].as_array().map_or(&[][..], Vec::as_slice);
    if found_by.is_empty() && index["proposed"] == true {
        lines.push("index   cannot help: every event has to ask this rule".to_owned());
    } else {
        lines.push(format!("index   {proposed}"));
        lines.extend(found_by.iter().map(|way| format!("        by {}", text(way))));
    }
    let steps = explanation["steps"].as_array().map_or(&[][..], Vec::as_slice);
    let labels: Vec<String> = steps.iter().map(label).collect();
    let width = labels.iter().map(|l| l.chars().count()).filter(|n| *n <= COLUMN_CHARS_MAX).max().unwrap_or(0);
    if !steps.is_empty() {
        lines.push(String::new());
    }
    for (step, label) in steps.iter().zip(labels) {
        let value = match step["turns"].as_array() {
            Some(turns) => format!("each turn: {}", turns.iter().map(shown).collect::<Vec<_>>().join("; ")),
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
    let text = match outcome.get("error") {
        Some(error) => format!("error: {}", error["text"].as_str().unwrap_or_default()),
        None => outcome["value"].to_string(),
    };
    if text.chars().count() <= VALUE_CHARS_MAX {
        return text;
    }
    text.chars().take(VALUE_CHARS_MAX).chain("…".chars()).collect()
}
