//! An owner that believes too much.

use std::borrow::Cow;

use petrel_bus::{Batch, Context, DueTimer, InputTopic, Record, Stage, StageSpec, Taken};
use petrel_execution::{Known, TimerKind, codec, parse_timer_key};
use petrel_executor::owner::OwnerStage;
use petrel_executor::worker::OwnerInputs;
use petrel_schemas::{ExecutionId, PagedPiece, RequestsRecord, ResultsRecord, WorkflowPage, decode, encode};

use super::Planted;
use crate::pack::{self, Known as View};

/// What owners know.
type Catalog = OwnerInputs<View>;

/// The owners' stage, behind something that changes what it is told.
pub struct GullibleOwner {
    inner: OwnerStage<Catalog>,
    planted: Option<Planted>,
}

impl GullibleOwner {
    /// Around the stage; without a mistake it is the stage.
    pub fn new(inner: OwnerStage<Catalog>, planted: Option<Planted>) -> Self {
        Self { inner, planted }
    }

    /// A result as it would have to be to be of the current attempt.
    fn as_current(record: &Record<'_>, context: &Context<'_, Catalog>) -> Option<Vec<u8>> {
        let Ok(ResultsRecord::TaskResult(mut result)) = ResultsRecord::decode(record.value?) else { return None };
        let bytes: Cow<'_, [u8]> = context.get(result.execution_id.as_bytes())?;
        let Ok(Known::Live(execution)) = codec::from_bytes(&bytes) else { return None };
        let current = execution.core().attempt;
        (result.attempt, result.token) = (current.number, current.token);
        Some(encode(&result))
    }

    /// Forgets the execution that a request asks for.
    fn forget(record: &Record<'_>, context: &mut Context<'_, Catalog>) {
        if let Ok(RequestsRecord::ActionRequest(request)) = RequestsRecord::decode(record.value.unwrap_or_default()) {
            context.delete(request.execution_id.as_bytes());
        }
    }
}

/// One child fewer of the workflow of a result is open.
fn tell_before(record: &Record<'_>, context: &mut Context<'_, Catalog>) {
    let Some(id) = execution_of(record) else { return };
    let Some(parent) = id.parent().map(String::from) else { return };
    let Some(Ok(Known::Live(mut parent))) = context.get(parent.as_bytes()).map(|bytes| codec::from_bytes(&bytes))
    else {
        return;
    };
    parent.core_mut().children_open = parent.core().children_open.saturating_sub(1);
    // It is not larger than it was.
    let _ = context.put(parent.id().as_str().as_bytes(), codec::to_bytes(&parent));
}

/// Of the workflow of a result a piece is gone that tells of an open child.
fn lose_piece(record: &Record<'_>, context: &mut Context<'_, Catalog>) {
    let Some(parent) = execution_of(record).and_then(|id| id.parent()) else { return };
    let prefix = format!("{}/w/~", parent.as_str()).into_bytes();
    let pages = context.scan(&prefix).take_while(|(key, _)| key.starts_with(&prefix));
    let pages: Vec<_> = pages.map(|(key, value)| (key.into_owned(), decode::<WorkflowPage>(&value))).collect();
    for (key, page) in pages {
        let Ok(mut page) = page else { continue };
        let is_open = |piece: &PagedPiece| piece.key.starts_with("child/") && piece.value.is_some();
        if let Some(place) = page.pieces.iter().position(is_open) {
            page.pieces.remove(place);
            // It is smaller than it was.
            let _ = context.put(&key, encode(&page));
            return;
        }
    }
}

fn execution_of(record: &Record<'_>) -> Option<ExecutionId> {
    let Ok(ResultsRecord::TaskResult(result)) = ResultsRecord::decode(record.value?) else { return None };
    ExecutionId::parse(&result.execution_id).ok()
}

impl Stage for GullibleOwner {
    type Globals = Catalog;

    fn spec(&self) -> &StageSpec {
        self.inner.spec()
    }

    fn inputs(&self, globals: &Catalog) -> Vec<InputTopic> {
        self.inner.inputs(globals)
    }

    fn records(&mut self, batch: Batch<'_>, context: &mut Context<'_, Catalog>) -> Taken {
        let is_request = *batch.topic == pack::topics().requests();
        match self.planted {
            Some(Planted::StaleResult | Planted::ToldTwice | Planted::LostPiece) if !is_request => {}
            Some(Planted::DuplicateRequest) if is_request => {}
            _ => return self.inner.records(batch, context),
        }
        for (consumed, record) in batch.records.iter().enumerate() {
            let mut changed = None;
            match self.planted {
                Some(Planted::StaleResult) => changed = Self::as_current(record, context),
                Some(Planted::ToldTwice) => tell_before(record, context),
                Some(Planted::LostPiece) => lose_piece(record, context),
                _ => Self::forget(record, context),
            }
            let one = [Record { value: changed.as_deref().or(record.value), ..*record }];
            if let Taken::Blocked { reason, .. } = self.inner.records(Batch { records: &one, ..batch }, context) {
                return Taken::Blocked { consumed, reason };
            }
        }
        Taken::All
    }

    fn timers(&mut self, due: &[DueTimer], context: &mut Context<'_, Catalog>) {
        if self.planted == Some(Planted::ForgottenWithoutPieces) {
            let of = due.iter().filter_map(|timer| parse_timer_key(&timer.key));
            let remembered = of.filter(|(_, kind)| *kind == TimerKind::Remember);
            remembered.for_each(|(id, _)| context.delete(id.as_str().as_bytes()));
        }
        self.inner.timers(due, context);
    }

    fn globals_changed(&mut self, context: &mut Context<'_, Catalog>) {
        self.inner.globals_changed(context);
    }

    fn told(&mut self, globals: &Catalog, mine: &[u32]) -> Vec<u32> {
        self.inner.told(globals, mine)
    }

    fn take_told(&mut self, context: &mut Context<'_, Catalog>) {
        self.inner.take_told(context);
    }

    fn committed(&mut self) {
        self.inner.committed();
    }

    fn aborted(&mut self) {
        if self.planted == Some(Planted::KeptConductors) {
            return;
        }
        self.inner.aborted();
    }

    fn revoked(&mut self, partition: u32) {
        self.inner.revoked(partition);
    }
}
