//! What a workflow is told later: how children ended and what was asked while its revision was not here, or while it had
//! to wait for its permits. Each is a piece of its own, beside those of the workflow, and goes once it was told.
//!
//! While there are such pieces the workflow is not at hand: whoever restores it tells it first what was kept.

use petrel_schemas::ExecutionId;
use serde_json::{Value, json};

use super::{Effect, Owner};
use crate::limits::ASKED_LATER_MAX;
use crate::status::Status;
use crate::workflow::{Asked, Changed, ChildEnd, KEPT_PREFIX, Piece};

/// Prefix of those that tell how children ended, with their numbers.
const TOLD: &str = "owner/told/";

/// Prefix of those that tell which children rest, with their numbers.
const RESTS: &str = "owner/rests/";

/// Prefix of those that tell what was asked, in order.
const ASKED: &str = "owner/asked/";

/// What happens to a workflow that has begun.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Move {
    /// A child has ended.
    Ended { number: u32, end: ChildEnd },
    /// A child rests, or goes on.
    Rests { number: u32, rests: bool },
    /// Somebody asks something of it; where the workflow above does, nobody has to hear that it cannot.
    Asked { asked: Asked, by: String, from_above: bool },
    /// Its time has come.
    Time,
    /// Nothing but that it is looked at: somebody ends it.
    Nothing,
}

/// What was kept, and where.
pub(super) struct Kept {
    pub(super) key: String,
    pub(super) what: Move,
}

impl Owner<'_> {
    /// Keeps what happens until the workflow can be told; what follows from the time follows again.
    ///
    /// # Errors
    /// So much has been asked already that this is not kept, for people.
    pub(super) fn keep(&mut self, id: &ExecutionId, what: &Move) -> Result<(), String> {
        let (key, value) = match what {
            Move::Ended { number, end } => {
                (format!("{TOLD}{number}"), json!({ "status": end.status.as_str(), "result": end.result }))
            }
            Move::Rests { number, rests } => (format!("{RESTS}{number}"), json!(rests)),
            Move::Asked { asked, by, from_above } => {
                let value =
                    json!({ "asked": asked.as_str(), "data": asked.data(), "by": by, "from_above": from_above });
                (format!("{ASKED}{}", self.next_asked(id)?), value)
            }
            Move::Time | Move::Nothing => return Ok(()),
        };
        self.piece(id, Changed { key: key.clone(), value: Some(value.to_string()) });
        self.kept.push(Kept { key, what: what.clone() });
        Ok(())
    }

    /// The number of what is asked next.
    fn next_asked(&self, id: &ExecutionId) -> Result<u32, String> {
        let pieces = self.facts.workflows.pieces(id)?;
        let numbers: Vec<u32> = pieces.iter().filter_map(|piece| number_of(&piece.key, ASKED)).collect();
        match numbers.len() < ASKED_LATER_MAX {
            true => Ok(numbers.iter().max().map_or(1, |last| last.saturating_add(1))),
            false => Err(format!("it cannot be told now, and {ASKED_LATER_MAX} others have asked something already")),
        }
    }

    /// What was asked is of no account any more: it is forgotten, and handed back in order.
    pub(super) fn forget_asked(&mut self, id: &ExecutionId) -> Vec<Move> {
        // Who cannot be read is not told anything any more.
        let pieces = self.facts.workflows.pieces(id).unwrap_or_default();
        let mut forgotten = Vec::new();
        for piece in pieces.into_iter().filter(|piece| number_of(&piece.key, ASKED).is_some()) {
            self.piece(id, Changed { key: piece.key.clone(), value: None });
            forgotten.extend(kept(piece));
        }
        forgotten.sort_by_key(|(order, _)| *order);
        forgotten.into_iter().map(|(_, kept)| kept.what).collect()
    }

    pub(super) fn piece(&mut self, id: &ExecutionId, changed: Changed) {
        self.push(Effect::Piece { id: id.clone(), changed });
    }
}

/// The pieces of a workflow, and what was kept for it, in the order in which it is told: children first.
pub(super) fn apart(pieces: Vec<Piece>) -> (Vec<Piece>, Vec<Kept>) {
    let (own, pieces): (Vec<_>, Vec<_>) = pieces.into_iter().partition(|piece| piece.key.starts_with(KEPT_PREFIX));
    let mut kept: Vec<((u8, u32), Kept)> = own.into_iter().filter_map(kept).collect();
    kept.sort_by_key(|(order, _)| *order);
    (pieces, kept.into_iter().map(|(_, kept)| kept).collect())
}

/// What a piece keeps, and when it is told; nothing of one that keeps something else.
fn kept(piece: Piece) -> Option<((u8, u32), Kept)> {
    let Piece { key, value } = piece;
    let mut value: Value = serde_json::from_str(&value).unwrap_or_default();
    let (order, what) = if let Some(number) = number_of(&key, TOLD) {
        let status = value["status"].as_str().and_then(Status::parse)?;
        ((0, number), Move::Ended { number, end: ChildEnd { status, result: value["result"].take() } })
    } else if let Some(number) = number_of(&key, RESTS) {
        ((1, number), Move::Rests { number, rests: value.as_bool()? })
    } else {
        let number = number_of(&key, ASKED)?;
        let asked = Asked::parse(value["asked"].as_str()?, value["data"].as_str()?).ok()?;
        let by = value["by"].as_str().unwrap_or_default().to_owned();
        let from_above = value["from_above"].as_bool().unwrap_or_default();
        ((2, number), Move::Asked { asked, by, from_above })
    };
    Some((order, Kept { key, what }))
}

fn number_of(key: &str, prefix: &str) -> Option<u32> {
    key.strip_prefix(prefix)?.parse().ok()
}
