//! Which rules run: those of a trigger of some packs, or of a list of criteria.

use std::path::Path;
use std::sync::Arc;

use petrel_bus::Clock;
use petrel_catalog::did_you_mean;
use petrel_rules::{CompileError, Kv, RuleIndex, RuleSet, RuleSource, TriggerPlan, TriggerSchema};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::super::args::{MatchArgs, Output};
use super::super::{EXIT_FAILED, EXIT_USAGE, Failure, input, pack};
use crate::clock::SystemClock;

/// Most mistakes of criteria that are told.
const MISTAKES_MAX: usize = 20;

/// The rules, and what their criteria see beside the event.
pub struct Subject {
    rules: Rules,
    /// `kv`.
    pub kv: Kv,
    /// `now`, in milliseconds since the epoch.
    pub now_ms: i64,
}

enum Rules {
    Trigger(Arc<TriggerPlan>),
    List(RuleSet),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedRule {
    name: String,
    /// Without one every event matches, as in a pack.
    criteria: Option<String>,
}

impl Subject {
    /// Reads what the command line names.
    pub fn read(args: &MatchArgs, format: Output) -> Result<Self, Failure> {
        let (rules, kv) = (args.rules.as_deref(), args.kv.as_deref());
        input::standard_input_once(&[("--rules", rules), ("--kv", kv), ("--events", Some(&args.events))])?;
        let rules = match (&args.rules, &args.trigger) {
            (Some(file), _) => Rules::List(listed(read_json(file)?)?),
            (None, trigger) => Rules::Trigger(of_trigger(args, trigger.as_deref().unwrap_or_default(), format)?),
        };
        let kv = key_values(args.kv.as_deref())?;
        let now_ms = args.now.map_or_else(|| SystemClock::new().now_ms(), |now| now.as_millisecond());
        Ok(Self { rules, kv, now_ms })
    }

    /// Rules of a list, for tests.
    #[cfg(test)]
    pub fn of_list(rules: &[(&str, &str)]) -> Self {
        let rule = |&(name, criteria): &(&str, &str)| ListedRule { name: name.into(), criteria: Some(criteria.into()) };
        let rules = listed(rules.iter().map(rule).collect()).unwrap_or_else(|failure| panic!("{}", failure.message));
        Self { rules: Rules::List(rules), kv: Kv::empty(), now_ms: 0 }
    }

    /// The rules, compiled.
    pub fn rules(&self) -> &RuleSet {
        match &self.rules {
            Rules::Trigger(plan) => plan.rules(),
            Rules::List(rules) => rules,
        }
    }

    /// Checks a line against all of the trigger's schema, if the trigger asks for it.
    pub fn check_full(&self, line: &[u8]) -> Result<(), String> {
        match &self.rules {
            Rules::Trigger(plan) => plan.full_check().map_or(Ok(()), |check| check.run(line)),
            Rules::List(_) => Ok(()),
        }
    }

    /// References or names of the rules, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let rules = self.rules();
        (0..rules.len()).map(|index| rules.rule(RuleIndex(index)))
    }
}

fn of_trigger(args: &MatchArgs, reference: &str, format: Output) -> Result<Arc<TriggerPlan>, Failure> {
    let revision = pack::load(&args.packs, format)?;
    let revision = revision.compiled();
    if let Some(plan) = revision.plan(reference) {
        return Ok(plan.clone());
    }
    let known: Vec<&str> = revision.triggers().map(|trigger| trigger.reference.as_str()).collect();
    let hint = did_you_mean(reference, known.iter().copied());
    let list = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(Failure::new(EXIT_USAGE, format!("there is no trigger {reference:?}{hint}\ntriggers here: {list}")))
}

fn listed(list: Vec<ListedRule>) -> Result<RuleSet, Failure> {
    let mut names: Vec<&str> = list.iter().map(|rule| rule.name.as_str()).collect();
    names.sort_unstable();
    if let Some([name, _]) = names.array_windows().find(|[a, b]| a == b) {
        return Err(Failure::new(EXIT_USAGE, format!("the rule {name:?} stands there twice")));
    }
    let source = |rule: ListedRule| RuleSource { rule: rule.name.into(), criteria: rule.criteria };
    RuleSet::compile(&TriggerSchema::none(), list.into_iter().map(source)).map_err(|errors| mistakes(&errors))
}

fn mistakes(errors: &[CompileError]) -> Failure {
    let mut lines: Vec<String> = errors.iter().take(MISTAKES_MAX).map(ToString::to_string).collect();
    if errors.len() > MISTAKES_MAX {
        lines.push(format!("and {} more", errors.len() - MISTAKES_MAX));
    }
    let noun = if errors.len() == 1 { "mistake" } else { "mistakes" };
    Failure::new(EXIT_FAILED, format!("{} {noun} in the criteria\n{}", errors.len(), lines.join("\n")))
}

/// `kv` from a file with a JSON object; without one it is empty.
pub fn key_values(file: Option<&Path>) -> Result<Kv, Failure> {
    let Some(file) = file else { return Ok(Kv::empty()) };
    let object: Map<String, Value> = read_json(file)?;
    let entries = object.iter().map(|(key, value)| (key.clone(), value.to_string()));
    Kv::new(entries).map_err(|e| Failure::new(EXIT_USAGE, e.to_string()))
}

fn read_json<T: DeserializeOwned>(file: &Path) -> Result<T, Failure> {
    let refuse = |e: &dyn std::fmt::Display| Failure::new(EXIT_USAGE, format!("{}: {e}", input::name(file)));
    let text = input::read(file).map_err(|e| refuse(&e))?;
    serde_json::from_slice(&text).map_err(|e| refuse(&e))
}
