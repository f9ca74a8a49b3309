//! The revision in force, compiled by a thread of its own as far as this process needs it.
//!
//! Whoever reads the log hands over each head as it meets it, with the content and the bindings of that moment,
//! and reads on; the thread compiles the latest. Nobody waits for it but who must: until the new revision is
//! compiled, the one before decides. One that this release cannot compile decides nothing, and nor does the one
//! before any more, which would be wrong for as long as nobody looks: what is bound waits, and says why.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use petrel_catalog::{CatalogState, CompiledRevision, Content, Missing, PolicyTerms, Triggers};
use petrel_execution::gate::InForce;
use petrel_rules::{Binding, MatchPlan};
use petrel_schemas::{CatalogHead, TriggerBinding};

use crate::stop::Stop;

/// How long the thread waits for a head before it looks whether to stop.
const LOOK: Duration = Duration::from_millis(100);

/// How much of the revision in force this process needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// Nothing: owners and workers resolve actions one by one.
    Nothing,
    /// Its policies: gates.
    Policies,
    /// Its triggers: sensors and admission.
    Triggers,
    /// All of it: the match stage, and the API, which explains and applies.
    Rules,
}

/// The revision in force as this process can use it.
#[derive(Debug, Default)]
pub struct Head {
    /// Its hash; empty before the first apply.
    pub revision: String,
    /// `name version` of its packs.
    pub packs: Vec<String>,
    /// All of it, where this process needs that and this release can compile it.
    pub compiled: Option<Arc<CompiledRevision>>,
    /// When it was applied, in milliseconds since the epoch.
    pub since_ms: i64,
    /// Revisions that were in force before, and until when, in milliseconds since the epoch.
    pub history: Vec<(String, i64)>,
    /// What holds at the gates of its policies, where this process needs them and this release can read them all.
    pub policies: Option<Arc<PolicyTerms>>,
    /// Its triggers, where this process needs them.
    pub triggers: Arc<Triggers>,
    /// What the match stage decides by, or why it must not.
    pub plan: MatchPlan,
    /// Whether rules of it react to how executions end, or may: also as long as nobody can tell. An event that nobody asks
    /// for is passed over; one that was never written cannot be made up for.
    pub tells_ends: bool,
    /// How long it took to compile.
    pub took: Duration,
}

impl Head {
    /// What is in force while the log has not been read.
    pub(super) fn unread() -> Self {
        let why = "the catalog's log has not been read to its end".to_owned();
        Self {
            triggers: Arc::new(Triggers::unknown(why.clone())),
            plan: MatchPlan::undecided(why, []),
            tells_ends: true,
            ..Self::default()
        }
    }

    /// Whether it is the revision that was in force since then, or a later one.
    pub fn is_as_late_as(&self, in_force: &InForce) -> bool {
        let was =
            |(revision, until_ms): &(String, i64)| **revision == *in_force.revision && in_force.since_ms < *until_ms;
        in_force.since_ms <= self.since_ms || self.history.iter().any(was)
    }

    /// Why nothing can be decided by it, if so.
    pub fn problem(&self) -> Option<&str> {
        self.plan.why_undecided()
    }
}

/// A head as the log told it.
#[derive(Debug, Clone, Default)]
struct Told {
    revision: String,
    since_ms: i64,
    history: Vec<(String, i64)>,
    packs: Vec<String>,
    content: Option<Result<Content, Missing>>,
    bindings: Arc<BTreeMap<String, TriggerBinding>>,
    /// What in the log, beside the revision itself, nothing can be decided for.
    problem: Option<String>,
    /// Whether the log's head cannot be read, and the revision is that of before.
    is_stale: bool,
}

#[derive(Debug, Default)]
struct Wanted {
    told: Option<Told>,
    /// Whether the log lacked something of the head that was told last.
    incomplete: bool,
    /// Whether the log was read to the end that it had at the start. An earlier head may be half gone.
    read: bool,
}

/// Where the follower of the log leaves heads for the thread.
#[derive(Debug, Default)]
pub(super) struct Heads {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

impl Heads {
    /// The head that the log has just told. Takes moments.
    pub fn tell(&self, state: &CatalogState) {
        let head = state.head();
        let revision = head.map(|head| head.revision.clone()).unwrap_or_default();
        let packs = state.revisions().get(&revision).map(|record| record.packs.clone()).unwrap_or_default();
        let content = head.map(|head| state.content(&head.revision));
        let incomplete = matches!(content, Some(Err(_)));
        let history = |head: &CatalogHead| {
            head.history.iter().cloned().zip(head.history_until_ms.iter().copied()).collect::<Vec<_>>()
        };
        let told = Told {
            revision,
            since_ms: head.map_or(0, |head| head.applied_at_ms),
            history: head.map(history).unwrap_or_default(),
            packs,
            content,
            bindings: state.bindings().clone(),
            problem: state.problem().map(str::to_owned),
            is_stale: state.is_head_unreadable(),
        };
        let mut wanted = self.lock();
        (wanted.told, wanted.incomplete) = (Some(told), incomplete);
        drop(wanted);
        self.changed.notify_one();
    }

    /// As [`Self::tell`], if the log lacked something of the head when it told it.
    pub fn tell_if_incomplete(&self, state: &CatalogState) {
        if self.lock().incomplete {
            self.tell(state);
        }
    }

    /// The log was read to the end that it had at the start.
    pub fn read(&self, state: &CatalogState) {
        self.tell(state);
        self.lock().read = true;
        self.changed.notify_one();
    }

    /// Compiles heads until told to stop, and hands each to `publish`.
    pub fn run(&self, needs: Needs, stop: &Stop, publish: impl Fn(Head)) {
        let mut before: Option<Arc<CompiledRevision>> = None;
        while !stop.is_set() {
            let Some(told) = self.next() else { continue };
            let head = make(told, needs, before.as_ref());
            if let Some(problem) = head.problem() {
                tracing::error!(revision = %head.revision, problem, "nothing can be decided by the catalog");
            }
            before = head.compiled.clone().or(before);
            publish(head);
        }
    }

    /// The latest head that was told, if there is one within a moment.
    fn next(&self) -> Option<Told> {
        let wanted = self.lock();
        let idle = |wanted: &mut Wanted| wanted.told.is_none() || !wanted.read;
        let waited = self.changed.wait_timeout_while(wanted, LOOK, idle);
        let (mut wanted, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() { None } else { wanted.told.take() }
    }

    fn lock(&self) -> MutexGuard<'_, Wanted> {
        // Its values are replaced whole, so a panic elsewhere cannot leave them half done.
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a compilation took is told")]
fn make(told: Told, needs: Needs, before: Option<&Arc<CompiledRevision>>) -> Head {
    let Told { revision, since_ms, history, packs, content, bindings, problem, is_stale } = told;
    let policies = match &content {
        _ if is_stale || needs < Needs::Policies => None,
        Some(Ok(content)) => policies_of(content),
        Some(Err(_)) => None,
        None => Some(Arc::default()),
    };
    let head = Head { revision, since_ms, history, packs, policies, ..Head::default() };
    if let Some(why) = problem {
        // Which triggers there are is known as long as it is known which revision is in force.
        let known = content.and_then(Result::ok).filter(|_| !is_stale);
        let tells_ends = known.as_ref().is_none_or(tells_ends_of);
        let known = known.filter(|_| needs >= Needs::Triggers);
        let triggers = known.map_or_else(|| Arc::new(Triggers::unknown(why.clone())), |content| triggers_of(&content));
        return Head { triggers, plan: undecided(why, &bindings), tells_ends, ..head };
    }
    let Some(content) = content else { return head };
    let began = Instant::now();
    let content = match content {
        Ok(content) => content,
        Err(missing) => {
            let triggers = Arc::new(Triggers::unknown(missing.to_string()));
            let plan = undecided(missing.to_string(), &bindings);
            return Head { plan, triggers, tells_ends: true, ..head };
        }
    };
    if needs < Needs::Rules {
        let triggers = if needs < Needs::Triggers { Arc::default() } else { triggers_of(&content) };
        return Head { triggers, tells_ends: tells_ends_of(&content), took: began.elapsed(), ..head };
    }
    // A mistake in this release's compiler is one more thing that it cannot compile.
    let made = catch_unwind(AssertUnwindSafe(|| compile(&content, before, &bindings)));
    let made = made.unwrap_or_else(|_| Err("the compiler panicked, see the log".to_owned()));
    let took = began.elapsed();
    match made {
        Ok((compiled, plan)) => {
            let (triggers, tells_ends) = (compiled.all_triggers().clone(), compiled.reacts_to_ends());
            Head { compiled: Some(compiled), triggers, plan, tells_ends, took, ..head }
        }
        Err(why) => {
            let why = format!("revision {} cannot be used by this release: {why}", head.revision);
            // Events are still taken in, to be decided by a release that can.
            let (triggers, tells_ends) = (triggers_of(&content), tells_ends_of(&content));
            Head { triggers, plan: undecided(why, &bindings), tells_ends, took, ..head }
        }
    }
}

/// What holds at the gates of a revision; nothing, loudly, where this release cannot read all of it: gates decide nothing
/// by half of the terms.
fn policies_of(content: &Content) -> Option<Arc<PolicyTerms>> {
    let read = catch_unwind(AssertUnwindSafe(|| PolicyTerms::read(content)));
    let why = match read {
        Ok(terms) => match terms.why_incomplete() {
            None => return Some(Arc::new(terms)),
            Some(why) => why.to_owned(),
        },
        Err(_) => "the reader of policies panicked, see the log".to_owned(),
    };
    tracing::error!(revision = content.hash(), why, "policies cannot be read, and gates let nobody pass here");
    None
}

/// The triggers of a revision; a mistake in this release's reader ends no thread.
fn triggers_of(content: &Content) -> Arc<Triggers> {
    let read = catch_unwind(AssertUnwindSafe(|| Triggers::read(content)));
    Arc::new(read.unwrap_or_else(|_| Triggers::unknown("the reader of triggers panicked, see the log".to_owned())))
}

/// Whether rules of a revision may react to how executions end; a mistake in this release's reader ends no thread.
fn tells_ends_of(content: &Content) -> bool {
    catch_unwind(AssertUnwindSafe(|| content.may_react_to_ends())).unwrap_or(true)
}

/// Compiles a revision, or takes the one before if it is the same.
fn compile(
    content: &Content,
    before: Option<&Arc<CompiledRevision>>,
    bindings: &BTreeMap<String, TriggerBinding>,
) -> Result<(Arc<CompiledRevision>, MatchPlan), String> {
    let compiled = match before.filter(|before| before.hash() == content.hash()) {
        Some(same) => same.clone(),
        None => {
            let compiled = CompiledRevision::compile(content, before.map(|before| &**before));
            Arc::new(compiled.map_err(|problems| problems.to_string())?)
        }
    };
    let plan = compiled.match_plan(bindings).map_err(|missing| missing.to_string())?;
    Ok((compiled, plan))
}

fn undecided(why: String, bindings: &BTreeMap<String, TriggerBinding>) -> MatchPlan {
    let binding =
        |bound: &TriggerBinding| Binding { topic: bound.topic.as_str().into(), offsets: bound.offsets.clone() };
    MatchPlan::undecided(why, bindings.values().map(binding))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_long_as_nobody_can_tell_ends_are_told() {
        let of = |told: Told| make(Told { revision: "r".to_owned(), ..told }, Needs::Nothing, None).tells_ends;
        let missing = || Some(Err(Missing::Revision { revision: "r".to_owned() }));
        let nothing = || Some(Ok(Content::of([])));
        let problem = || Some("a head of a newer release".to_owned());
        assert!(Head::unread().tells_ends, "the log was not read");
        assert!(of(Told { content: missing(), ..Told::default() }));
        assert!(of(Told { content: missing(), problem: problem(), ..Told::default() }));
        assert!(of(Told { content: nothing(), problem: problem(), is_stale: true, ..Told::default() }));
        assert!(!of(Told { content: nothing(), problem: problem(), ..Told::default() }));
        assert!(!of(Told { content: nothing(), ..Told::default() }));
        assert!(!of(Told::default()), "before the first apply");
    }
}
