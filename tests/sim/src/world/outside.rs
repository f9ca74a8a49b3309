//! What comes from outside: events of producers and sensors, requests of people, and what they want of what runs.

use petrel_bus::{Clock, Output, Publisher};
use petrel_ingest::event;
use petrel_schemas::{ActionRequest, CancelRequest, ExecutionId, RequestsRecord, TriggerEvent, WorkflowOrder, encode};

use super::World;
use crate::pack::{self, ALERTS, revisions};
use crate::plan::Event;
use crate::workflows;

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
                let output = self.workflow(action, *n);
                self.remember(output.clone());
                output
            }
            Event::Pause => {
                let Some(root) = self.a_workflow() else { return true };
                self.paused.borrow_mut().push(root.clone());
                self.order(&root, "pause")
            }
            Event::Resume => {
                let roots = self.paused.borrow().clone();
                if roots.is_empty() {
                    return true;
                }
                let orders: Vec<Output> = roots.iter().map(|root| self.order(root, "resume")).collect();
                let sent = self.bus.publish(orders).wait().is_ok();
                if sent {
                    self.paused.borrow_mut().clear();
                }
                return sent;
            }
            Event::CancelWorkflow => match self.a_workflow() {
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
        let topic = pack::topics().requests();
        let requests = self.bus.records(&topic);
        if requests.is_empty() {
            return None;
        }
        let key = self.rng.borrow_mut().pick(&requests).1.key.clone().unwrap_or_default();
        ExecutionId::parse(&String::from_utf8(key).ok()?).ok().map(|id| self.cancel_of(&id))
    }

    fn cancel_of(&self, id: &ExecutionId) -> Output {
        let cancel = CancelRequest {
            root_execution_id: id.to_string(),
            execution_id: id.to_string(),
            requested_by: "sim".to_owned(),
            requested_at_ms: self.clock.now_ms(),
        };
        Output::keyed(&pack::topics().requests(), id.as_str().as_bytes(), encode(&cancel))
    }

    /// Somebody asks for a workflow, under the newest revision, which not everybody may know yet.
    fn workflow(&self, action: &str, n: i64) -> Output {
        let id = ExecutionId::of_manual(action);
        let request = ActionRequest {
            execution_id: id.to_string(),
            root_execution_id: id.to_string(),
            event_id: None,
            event_at_ms: None,
            trigger: None,
            rule: None,
            action_index: 0,
            redrive: 0,
            action: action.to_owned(),
            parameters: format!("{{\"n\":{n}}}"),
            revision: revisions()[self.revision.get()].compiled.hash().to_owned(),
            kv_version: 0,
            requested_at_ms: self.clock.now_ms(),
            requested_by: "ann".to_owned(),
            cause_depth: 0,
            class: None,
        };
        Output::keyed(&pack::topics().requests(), id.as_str().as_bytes(), encode(&request))
    }

    /// One of the workflows that were asked for.
    fn a_workflow(&self) -> Option<ExecutionId> {
        let requests = self.bus.records(&pack::topics().requests()).into_iter();
        let asked_for = requests.filter_map(|(_, record)| RequestsRecord::decode(&record.value?).ok());
        let of_workflow = asked_for.filter_map(|record| match record {
            RequestsRecord::ActionRequest(request) if workflows::is_workflow(&request.action) => {
                ExecutionId::parse(&request.execution_id).ok()
            }
            _ => None,
        });
        let all: Vec<ExecutionId> = of_workflow.collect();
        (!all.is_empty()).then(|| self.rng.borrow_mut().pick(&all).clone())
    }

    /// What somebody asks of a workflow.
    fn order(&self, root: &ExecutionId, order: &str) -> Output {
        let order = WorkflowOrder {
            execution_id: root.to_string(),
            root_execution_id: root.to_string(),
            order: order.to_owned(),
            requested_by: "ann".to_owned(),
            requested_at_ms: self.clock.now_ms(),
            data: "{}".to_owned(),
        };
        Output::keyed(&pack::topics().requests(), root.as_str().as_bytes(), encode(&order))
    }
}
