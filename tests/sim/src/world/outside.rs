//! What comes from outside: events of producers and sensors, requests of people, and what they want of what runs.

use petrel_bus::{Clock, Output, Publisher};
use petrel_execution::workflow::Asked;
use petrel_ingest::event;
use petrel_schemas::{
    ActionRequest, CancelRequest, ExecutionId, RequestsRecord, Stored as _, TriggerEvent, encode, kind_of,
};

use super::World;
use crate::pack::{self, ALERTS, revisions};
use crate::plan::Event;
use crate::workflows::{self, people};

impl World {
    pub(super) fn send(&self, event: &Event) -> bool {
        let topics = pack::topics();
        let output = match event {
            Event::Alert { host, used_pct } => {
                let json = format!("{{\"host\":\"{host}\",\"used_pct\":{used_pct:.1}}}");
                Output::keyed(&ALERTS.into(), host.as_bytes(), json.into_bytes())
            }
            Event::Report { id } => {
                let output = self.over_http(id, "sim.report", "{}");
                self.remember(output.clone());
                output
            }
            Event::Batch { id, n } => {
                let output = self.over_http(id, pack::BATCH, &format!("{{\"n\":{n}}}"));
                self.remember(output.clone());
                output
            }
            Event::Workflow { action, n } => {
                let id = ExecutionId::of_manual(action);
                self.people.borrow_mut().look_after(&id, action);
                let output = self.workflow(&id, action, *n);
                self.remember(output.clone());
                output
            }
            Event::Pause => {
                // Whoever lets one go on that is frozen decides about it, and how depends on when.
                let Some(root) = self.a_workflow(|action| !people::freezes(action)) else { return true };
                self.paused.borrow_mut().push(root.clone());
                self.order(&root, &Asked::Pause)
            }
            Event::Resume => {
                let roots = self.paused.borrow().clone();
                if roots.is_empty() {
                    return true;
                }
                let orders: Vec<Output> = roots.iter().map(|root| self.order(root, &Asked::Resume)).collect();
                let sent = self.bus.publish(orders).wait().is_ok();
                if sent {
                    self.paused.borrow_mut().clear();
                }
                return sent;
            }
            Event::CancelWorkflow => match self.a_workflow(|_| true) {
                Some(root) => self.cancel_of(&root),
                None => return true,
            },
            Event::Unknown { id } => self.over_http(id, pack::UNKNOWN_TRIGGER, "{}"),
            Event::Cancel => match self.cancel() {
                Some(output) => output,
                None => return true,
            },
            Event::Poison { is_bound, bytes } => {
                let topic = if *is_bound { ALERTS.into() } else { topics.triggers() };
                Output::keyed(&topic, "poison", bytes.clone())
            }
        };
        self.bus.publish(vec![output]).wait().is_ok()
    }

    fn over_http(&self, id: &str, trigger: &str, payload: &str) -> Output {
        let trigger = TriggerEvent {
            event_id: id.to_owned(),
            trigger: trigger.to_owned(),
            occurred_at_ms: self.clock.now_ms(),
            payload: payload.to_owned(),
            source: event::SOURCE_HTTP.to_owned(),
            cause_depth: 0,
        };
        event::output(&pack::topics().triggers(), None, &trigger)
    }

    /// Somebody cancels an execution that was asked for.
    fn cancel(&self) -> Option<Output> {
        let is_request = |value: &[u8]| kind_of(value) == Ok(ActionRequest::NAME);
        let mut requests = self.bus.stored_records(&pack::topics().requests());
        requests.retain(|(_, record)| record.value.as_deref().is_some_and(is_request));
        if requests.is_empty() {
            return None;
        }
        let key = self.rng.borrow_mut().pick(&requests).1.key.clone().unwrap_or_default();
        ExecutionId::parse(&String::from_utf8(key).ok()?).ok().map(|id| self.cancel_of(&id))
    }

    fn cancel_of(&self, id: &ExecutionId) -> Output {
        request(id, encode(&CancelRequest::of(id, "sim", self.clock.now_ms())))
    }

    /// Somebody asks for a workflow, under the newest revision, which not everybody may know yet.
    fn workflow(&self, id: &ExecutionId, action: &str, n: i64) -> Output {
        let (parameters, now_ms) = (format!("{{\"n\":{n}}}"), self.clock.now_ms());
        let revision = revisions()[self.revision.get()].compiled.hash();
        request(id, encode(&ActionRequest::by_hand(id, action, parameters, revision, "ann", now_ms)))
    }

    /// One of the workflows that were asked for.
    fn a_workflow(&self, is_wanted: impl Fn(&str) -> bool) -> Option<ExecutionId> {
        let requests = self.bus.stored_records(&pack::topics().requests()).into_iter();
        let asked_for = requests.filter_map(|(_, record)| RequestsRecord::decode(record.value.as_deref()?).ok());
        let of_workflow = asked_for.filter_map(|record| match record {
            RequestsRecord::ActionRequest(request)
                if workflows::is_workflow(&request.action) && is_wanted(&request.action) =>
            {
                ExecutionId::parse(&request.execution_id).ok()
            }
            _ => None,
        });
        let all: Vec<ExecutionId> = of_workflow.collect();
        (!all.is_empty()).then(|| self.rng.borrow_mut().pick(&all).clone())
    }

    /// What somebody asks of a workflow.
    fn order(&self, root: &ExecutionId, asked: &Asked) -> Output {
        request(root, encode(&asked.order(root, "ann", self.clock.now_ms())))
    }
}

/// A record about a root, where its owner reads.
fn request(root: &ExecutionId, value: Vec<u8>) -> Output {
    Output::keyed(&pack::topics().requests(), root.as_str().as_bytes(), value)
}
