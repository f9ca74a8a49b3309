//! Workflows that have ended, and run again.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::conduct::Missing;
use super::enter::Left;
use super::kept::{Move, apart};
use super::{Effect, Owner};
use crate::codec;
use crate::execution::{Ended, Execution, Known};
use crate::state::{In, Resuming};
use crate::subject::Note;
use crate::timer::TimerKind;
use crate::windows::instant_text;
use crate::workflow::{Asked, Changed, Piece};

/// The piece that keeps what of an execution its end leaves nowhere else: what it was asked for, and its terms.
const ENDED: &str = "owner/ended";

/// The piece that says when the last rerun was asked for that was taken, by the clock of whoever asked, in milliseconds since
/// the epoch.
const TAKEN: &str = "owner/taken";

/// The piece that is kept of a workflow that has ended; of one that cannot be run again there is none.
pub(super) fn kept_for_rerun(ended: &Execution) -> Option<Changed> {
    let core = ended.core();
    if !core.is_conducted() || !core.has_begun() || core.id().parent().is_some() {
        return None;
    }
    let mut core = core.clone();
    (core.note, core.children_open) = (Note::NONE, 0);
    let again = In { core, state: Resuming { runs_again: true, awaits: None } };
    let value = STANDARD.encode(codec::to_bytes(&again.into()));
    Some(Changed { key: ENDED.to_owned(), value: Some(value) })
}

fn read(pieces: &[Piece]) -> Option<In<Resuming>> {
    let piece = pieces.iter().find(|piece| piece.key == ENDED)?;
    let bytes = STANDARD.decode(&piece.value).ok()?;
    match codec::from_bytes(&bytes) {
        Ok(Known::Live(Execution::Resuming(resuming))) => Some(resuming),
        _ => None,
    }
}

fn taken_at_ms(pieces: &[Piece]) -> Option<i64> {
    pieces.iter().find(|piece| piece.key == TAKEN)?.value.parse().ok()
}

impl Owner<'_> {
    /// Somebody wants one that has ended to run again.
    ///
    /// # Errors
    /// Why it cannot, for people.
    pub(super) fn rerun(&mut self, ended: &Ended, asked: &Asked, by: &str, at_ms: i64) -> Result<(), String> {
        let id = &ended.id;
        if id.parent().is_some() {
            return Err(format!("it is a part of another workflow: run {} again", id.root()));
        }
        if !ended.conducted {
            return Err("it is no workflow".to_owned());
        }
        let ended_at = instant_text(ended.ended_at_ms);
        if at_ms < ended.ended_at_ms {
            // Read again, it would run what has been run again already.
            return Err(format!("it was asked before the workflow ended, at {ended_at}"));
        }
        if self.now_ms().saturating_sub(ended.ended_at_ms) > self.limits().rerun_within_ms {
            return Err(format!("it ended too long ago, at {ended_at}: what is stored of it is being removed"));
        }
        let pieces = self.facts.workflows.pieces(id)?;
        if taken_at_ms(&pieces).is_some_and(|taken_at_ms| at_ms <= taken_at_ms) {
            // The same one perhaps, of somebody whose clock is ahead of that by which the workflow has ended since.
            return Err("it was not asked after the rerun that was taken last".to_owned());
        }
        let Some(resuming) = read(&pieces) else {
            return Err("too little is stored of it: it never began, or its state was too large".to_owned());
        };
        let resuming = resuming.again(ended, self.now_ms(), asked.told(by));
        // What cannot be is said at once, where its revision is here.
        match self.restored(&resuming.core.subject, apart(pieces).0) {
            Ok(mut conduct) => conduct.ask(asked)?,
            Err(Missing::NotNow(..)) => {}
            Err(Missing::Never(why)) => return Err(why),
        }
        self.keep(id, &Move::Asked { asked: asked.clone(), by: by.to_owned(), from_above: false })?;
        self.piece(id, Changed { key: TAKEN.to_owned(), value: Some(at_ms.to_string()) });
        self.push(Effect::CancelTimer { id: id.clone(), kind: TimerKind::Remember });
        self.watch_deadline(&resuming.core);
        self.enter(Left::nothing(), resuming.clone());
        self.pass_again(resuming);
        Ok(())
    }
}
