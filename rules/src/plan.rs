//! All triggers of a revision, by the topic that they read from.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use petrel_bus::{InputTopic, Start};
use petrel_schemas::Class;

use petrel_cel::{Paths, SlotId};

use crate::engine::{ParsedEvent, RuleIndex, RuleSet, RuleSetStats};
use crate::extract::{Doubles, Layout};
use petrel_cel::Template;

/// What the source of an event begins with that an action has injected.
pub(crate) const INJECTED: &str = "action/";

/// An action that a rule asks for.
#[derive(Debug)]
pub struct ActionPlan {
    /// Reference of the action, `pack.name`.
    pub action: Arc<str>,
    /// Its parameters, a JSON object once rendered.
    pub parameters: Template,
}

/// What a rule of a trigger does when it matches. Disabled rules have no plan.
#[derive(Debug)]
pub struct RulePlan {
    /// Reference of the rule.
    pub rule: Arc<str>,
    /// Pack that it is from.
    pub pack: Arc<str>,
    /// Class of its executions; none takes those of the actions.
    pub class: Option<Class>,
    /// Its actions; their places are part of the executions' ids.
    pub actions: Vec<ActionPlan>,
}

/// Checks a payload against all of a trigger's schema (`validate: full`); an error says what is refused.
/// It must depend on the payload only.
#[derive(Clone)]
pub struct FullCheck(Arc<Check>);

type Check = dyn Fn(&[u8]) -> Result<(), String> + Send + Sync;

impl FullCheck {
    /// A check by this function.
    pub fn new(check: impl Fn(&[u8]) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }

    /// Runs the check.
    ///
    /// # Errors
    /// Why the payload is refused.
    pub fn run(&self, payload: &[u8]) -> Result<(), String> {
        (self.0)(payload)
    }
}

impl fmt::Debug for FullCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FullCheck")
    }
}

/// A trigger and its enabled rules.
#[derive(Debug)]
pub struct TriggerPlan {
    /// Reference of the trigger.
    pub trigger: Arc<str>,
    pub(crate) rules: Arc<RuleSet>,
    /// By the rule's number; those of removed rules are empty.
    plans: Vec<Option<RulePlan>>,
    pub(crate) full_check: Option<FullCheck>,
    injected_check: Option<FullCheck>,
}

/// Where a trigger that is bound to a topic begins to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Full name of the topic.
    pub topic: Arc<str>,
    /// First offset that the trigger sees, by partition; partitions behind the last one are seen from
    /// their beginning.
    pub offsets: Vec<i64>,
}

/// What the match stage decides by; made once per revision.
#[derive(Debug, Default)]
pub struct MatchPlan {
    triggers: HashMap<Arc<str>, Arc<TriggerPlan>>,
    topics: BTreeMap<Arc<str>, TopicPlan>,
    /// Why nothing can be decided.
    undecided: Option<Arc<str>>,
}

/// A bound topic.
#[derive(Debug)]
pub(crate) struct TopicPlan {
    pub groups: Vec<Group>,
    /// Where the first of its triggers begins, by partition.
    offsets: Vec<i64>,
}

/// Triggers of one topic whose schemas agree on what is a double, so that one parse serves them all.
#[derive(Debug)]
pub(crate) struct Group {
    /// All paths of its triggers.
    pub layout: Layout,
    pub triggers: Vec<BoundTrigger>,
}

/// A trigger and the first offsets that it sees.
type Bound = (Arc<TriggerPlan>, Vec<i64>);

#[derive(Debug)]
pub(crate) struct BoundTrigger {
    pub plan: Arc<TriggerPlan>,
    offsets: Vec<i64>,
    /// By the trigger's own slots, those of the group; nothing if they are the same.
    slots: Option<Vec<SlotId>>,
}

impl TriggerPlan {
    /// Whether any rule is about it.
    pub(crate) fn has_rules(&self) -> bool {
        self.plans.iter().any(Option::is_some)
    }

    /// Joins compiled criteria with what their rules do.
    ///
    /// # Panics
    /// If `plans` are not of the rules of `rules`, in the same order.
    pub fn new(trigger: Arc<str>, rules: impl Into<Arc<RuleSet>>, plans: Vec<RulePlan>) -> Self {
        let rules = rules.into();
        assert!(
            rules.rules().map(|(_, rule)| rule).eq(plans.iter().map(|p| &*p.rule)),
            "the plans of {trigger} are of the rules that were compiled"
        );
        let mut by_number = Vec::new();
        for ((number, _), plan) in rules.rules().zip(plans) {
            by_number.resize_with(number.0, || None);
            by_number.push(Some(plan));
        }
        Self { trigger, rules, plans: by_number, full_check: None, injected_check: None }
    }

    /// Has the records of a bound topic checked against the whole schema, beside the paths that rules read.
    pub fn with_full_check(mut self, check: FullCheck) -> Self {
        self.full_check = Some(check);
        self
    }

    /// Has the events that actions inject into a trigger that is not bound checked against the whole schema: nobody has
    /// done so before.
    pub fn with_injected_check(mut self, check: FullCheck) -> Self {
        self.injected_check = Some(check);
        self
    }

    /// Its enabled rules, compiled; revisions whose rules of the trigger are the same share them.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// What a rule does, by its number in the set.
    ///
    /// # Panics
    /// If no rule of that number is in force.
    pub fn rule_of(&self, rule: RuleIndex) -> &RulePlan {
        self.plans[rule.0].as_ref().unwrap_or_else(|| unreachable!("rule {} was removed", rule.0))
    }

    /// Checks an event that an action has injected as if it had come from outside; any other was checked there.
    ///
    /// # Errors
    /// What its schema refuses.
    pub(crate) fn check_caused(&self, source: &str, parsed: &ParsedEvent<'_>, payload: &[u8]) -> Result<(), String> {
        if !source.starts_with(INJECTED) {
            return Ok(());
        }
        self.rules.check(parsed).map_err(|violation| violation.to_string())?;
        let check = self.full_check.as_ref().or(self.injected_check.as_ref());
        check.map_or(Ok(()), |check| check.run(payload))
    }

    /// The check of the whole schema, of a trigger that asks for one.
    pub fn full_check(&self) -> Option<&FullCheck> {
        self.full_check.as_ref()
    }
}

impl Group {
    fn new(triggers: Vec<Bound>) -> Self {
        let mut paths = Paths::new();
        let alone = triggers.len() == 1;
        let mut bind = |(plan, offsets): Bound| {
            let slots = paths.absorb(plan.rules.paths());
            BoundTrigger { plan, offsets, slots: (!alone).then_some(slots) }
        };
        let triggers: Vec<BoundTrigger> = triggers.into_iter().map(&mut bind).collect();
        let doubles = triggers.first().map(|t| Doubles::new(t.plan.rules.schema())).unwrap_or_default();
        Self { layout: Layout::new(&paths, doubles), triggers }
    }
}

impl BoundTrigger {
    /// The group's event as this trigger numbers its slots.
    pub fn event<'a>(&self, event: &ParsedEvent<'a>) -> ParsedEvent<'a> {
        self.slots.as_ref().map_or(*event, |slots| event.renumbered(slots))
    }

    /// Whether the trigger sees that record.
    pub fn sees(&self, partition: u32, offset: i64) -> bool {
        offset >= first_offset(&self.offsets, partition)
    }
}

fn first_offset(offsets: &[i64], partition: u32) -> i64 {
    usize::try_from(partition).ok().and_then(|p| offsets.get(p)).copied().unwrap_or(0)
}

impl MatchPlan {
    /// A plan of these triggers, the bound ones with their bindings.
    pub fn new(triggers: impl IntoIterator<Item = (Arc<TriggerPlan>, Option<Binding>)>) -> Self {
        let mut plan = Self::default();
        let mut triggers: Vec<_> = triggers.into_iter().collect();
        // The order of outputs follows the order here, so it must not be the caller's hash map's.
        triggers.sort_by(|(a, _), (b, _)| a.trigger.cmp(&b.trigger));
        let mut topics: BTreeMap<Arc<str>, Vec<Vec<Bound>>> = BTreeMap::new();
        for (trigger, binding) in triggers {
            if let Some(Binding { topic, offsets }) = binding {
                let groups = topics.entry(topic).or_default();
                let bound = (trigger.clone(), offsets);
                let doubles = Doubles::new(trigger.rules.schema());
                match groups.iter_mut().find(|group| Doubles::new(group[0].0.rules.schema()) == doubles) {
                    Some(group) => group.push(bound),
                    None => groups.push(vec![bound]),
                }
            }
            plan.triggers.insert(trigger.trigger.clone(), trigger);
        }
        plan.topics = topics.into_iter().map(|(topic, groups)| (topic, TopicPlan::new(groups))).collect();
        plan
    }

    /// A plan that knows what is bound and decides nothing: every event waits, for this reason.
    pub fn undecided(why: impl Into<Arc<str>>, bindings: impl IntoIterator<Item = Binding>) -> Self {
        let mut topics: BTreeMap<Arc<str>, Vec<Vec<i64>>> = BTreeMap::new();
        for Binding { topic, offsets } in bindings {
            topics.entry(topic).or_default().push(offsets);
        }
        let plan = |offsets: Vec<Vec<i64>>| TopicPlan { groups: Vec::new(), offsets: first_offsets(&offsets) };
        let topics = topics.into_iter().map(|(topic, offsets)| (topic, plan(offsets))).collect();
        Self { triggers: HashMap::new(), topics, undecided: Some(why.into()) }
    }

    /// Why nothing can be decided by this plan, if so.
    pub fn why_undecided(&self) -> Option<&str> {
        self.undecided.as_deref()
    }

    /// The trigger of that reference.
    pub(crate) fn trigger(&self, reference: &str) -> Option<&Arc<TriggerPlan>> {
        self.triggers.get(reference)
    }

    /// The plan of a bound topic.
    pub(crate) fn topic(&self, topic: &str) -> Option<&TopicPlan> {
        self.topics.get(topic)
    }

    /// What the rule sets of all triggers are made of, together.
    pub fn stats(&self) -> RuleSetStats {
        let mut sum = RuleSetStats::default();
        for stats in self.triggers.values().map(|trigger| trigger.rules.stats()) {
            sum.rules += stats.rules;
            sum.always += stats.always;
            sum.quarantined += stats.quarantined;
            sum.index_bytes += stats.index_bytes;
            sum.program_bytes += stats.program_bytes;
            sum.segments += stats.segments;
            sum.shared += stats.shared;
        }
        sum
    }

    /// The bound topics, each beginning where the first of its triggers does.
    pub fn inputs(&self) -> Vec<InputTopic> {
        let input = |(name, plan): (&Arc<str>, &TopicPlan)| InputTopic {
            name: name.clone(),
            start: Start::Offsets(plan.offsets.clone()),
            with: None,
        };
        self.topics.iter().map(input).collect()
    }
}

impl TopicPlan {
    fn new(groups: Vec<Vec<Bound>>) -> Self {
        let offsets: Vec<&[i64]> = groups.iter().flatten().map(|(_, offsets)| offsets.as_slice()).collect();
        let offsets = first_offsets(&offsets);
        Self { groups: groups.into_iter().map(Group::new).collect(), offsets }
    }
}

/// The first offset that any trigger sees, by partition. Behind the shortest list, some trigger begins at the
/// beginning.
fn first_offsets<O: AsRef<[i64]>>(of_triggers: &[O]) -> Vec<i64> {
    let lists = || of_triggers.iter().map(AsRef::as_ref);
    let partitions = lists().map(<[i64]>::len).min().unwrap_or(0);
    (0..partitions).map(|p| lists().map(|offsets| offsets[p]).min().unwrap_or(0)).collect()
}
