//! `petrel doctor`: what this machine and this user give, and what they do not.

use petrel_executor::runner::ContainerOptions;
use petrel_executor::supervise::{Ability, Finding};
use serde_json::{Value, json};

use super::args::Output;
use super::{Failure, output};

pub fn run(format: Output) -> Result<(), Failure> {
    let mut findings = Ability::look().findings();
    findings.extend(ContainerOptions::default().findings());
    match format {
        Output::Json => output::json(&json!({ "actions": findings.iter().map(entry).collect::<Vec<_>>() })),
        Output::Table => findings.iter().for_each(|finding| output::line(&told(finding))),
    }
    Ok(())
}

fn entry(finding: &Finding) -> Value {
    json!({ "given": finding.is_given, "sentence": finding.sentence })
}

fn told(finding: &Finding) -> String {
    let mark = if finding.is_given { "yes" } else { "no " };
    format!("{mark}  {}", finding.sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_can_be_told_at_a_glance() {
        let finding = |is_given| Finding { is_given, sentence: "It is.".to_owned() };
        assert_eq!((told(&finding(true)), told(&finding(false))), ("yes  It is.".into(), "no   It is.".into()));
        assert_eq!(entry(&finding(true)), json!({ "given": true, "sentence": "It is." }));
    }
}
