//! From `requested` to `scheduled`: at once, or when a pause of all dispatch ends.

use petrel_bus::partition_of;
use petrel_schemas::ExecutionState;

use super::status::Status;
use super::turn::Turn;
use crate::view::ExecutorView;

/// Key prefix of those that wait for the end of a pause, in order of their request. It sorts behind
/// every execution id, which is hexadecimal.
const WAITING: &[u8] = b"waiting/";

impl<G: ExecutorView> Turn<'_, '_, G> {
    /// Hands the next attempt to the workers, or lets it wait while dispatch is paused.
    pub(super) fn dispatch(&mut self, mut state: ExecutionState) {
        if self.context.globals().dispatch_paused() {
            if let Err(error) = self.context.put(&waiting_key(&state), Vec::new()) {
                state.error = Some(error.to_string());
                return self.change(&mut state, Status::Failed);
            }
            self.change(&mut state, Status::Requested);
            return;
        }
        state.attempt += 1;
        state.token += 1;
        state.worker = None;
        state.started_at_ms = None;
        state.scheduled_at_ms.get_or_insert(self.context.now_ms());
        let partition = self.task_partition(&state);
        state.task_partition = i32::try_from(partition).ok();
        self.emit_task(&state, partition);
        self.change(&mut state, Status::Scheduled);
    }

    /// The executions that waited for the end of a pause, a bounded number at a time.
    pub(super) fn release_waiting(&mut self) {
        if self.context.globals().dispatch_paused() {
            return;
        }
        let most = self.options.release_batch_max;
        let keys: Vec<Vec<u8>> = self
            .context
            .scan(WAITING)
            .take_while(|(key, _)| key.starts_with(WAITING))
            .take(most)
            .map(|(key, _)| key.into_owned())
            .collect();
        let mut released = 0;
        for key in &keys {
            let id = key.rsplit(|b| *b == b'/').next().unwrap_or_default();
            // What cannot be read by this release waits on, for one that can.
            let Ok(state) = self.load(&String::from_utf8_lossy(id)) else { continue };
            self.context.delete(key);
            released += 1;
            if let Some(state) = state.filter(|s| s.status == Status::Requested.as_str()) {
                self.dispatch(state);
            }
        }
        if keys.len() == most && released > 0 {
            let now_ms = self.context.now_ms();
            self.context.set_timer(WAITING, now_ms);
        }
    }

    /// Takes an execution off the list of those that wait.
    pub(super) fn stop_waiting(&mut self, state: &ExecutionState) {
        self.context.delete(&waiting_key(state));
    }

    /// Spreads executions evenly, and sends each further attempt elsewhere than the one before.
    fn task_partition(&self, state: &ExecutionState) -> u32 {
        let partitions = self.options.task_partitions.max(1);
        let first = partition_of(state.execution_id.as_bytes(), partitions);
        let further = u32::try_from(state.attempt - 1).unwrap_or(0);
        first.wrapping_add(further) % partitions
    }
}

/// Whether a timer is not an execution's but the one that releases what waits.
pub(super) fn is_release_timer(key: &[u8]) -> bool {
    key == WAITING
}

fn waiting_key(state: &ExecutionState) -> Vec<u8> {
    // Twenty digits hold every instant, so that the order of the keys is that of the requests.
    let requested_ms = state.requested_at_ms.max(0);
    [WAITING, format!("{requested_ms:020}/{}", state.execution_id).as_bytes()].concat()
}
