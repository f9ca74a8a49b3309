//! How what the conductor does not know is stored, beside its own pieces.

use std::sync::Arc;

use petrel_execution::workflow::{Changed, Piece};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::children::Children;
use super::conducting::Conducting;
use crate::conductor::Conductor;
use crate::definition::Definition;
use crate::limits::Limits;

/// A part of what is remembered beside the conductor's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum OwnPiece {
    /// How many numbers of children have been given.
    Next,
    /// How many errors there were when the workflow was over. There is none before.
    Over,
    /// Which open children rest. There is none where none does.
    Rests,
    /// What an open child runs for.
    Child(u32),
    /// How a child has ended that ran for an item, until its task ends.
    Done(u32),
}

impl OwnPiece {
    fn key(self) -> String {
        match self {
            OwnPiece::Next => "next".to_owned(),
            OwnPiece::Over => "over".to_owned(),
            OwnPiece::Rests => "rests".to_owned(),
            OwnPiece::Child(number) => format!("child/{number}"),
            OwnPiece::Done(number) => format!("done/{number}"),
        }
    }

    /// The piece of a key; none for what is the conductor's.
    fn of(key: &str) -> Option<OwnPiece> {
        match key.split_once('/') {
            None if key == "next" => Some(OwnPiece::Next),
            None if key == "over" => Some(OwnPiece::Over),
            None if key == "rests" => Some(OwnPiece::Rests),
            Some(("child", number)) => number.parse().ok().map(OwnPiece::Child),
            Some(("done", number)) => number.parse().ok().map(OwnPiece::Done),
            _ => None,
        }
    }
}

fn json(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}

fn read<T: DeserializeOwned>(piece: &Piece) -> Result<T, String> {
    let unreadable =
        |error: serde_json::Error| format!("the piece {} of a workflow cannot be read: {error}", piece.key);
    serde_json::from_str(&piece.value).map_err(unreadable)
}

impl Conducting {
    /// What has changed since this was asked last: the conductor's pieces, then the others.
    pub(super) fn changes(&mut self) -> Vec<Changed> {
        let conductor = self.conductor.take_changes().into_iter();
        let mut changes: Vec<Changed> =
            conductor.map(|change| Changed { key: change.key, value: change.value }).collect();
        let own = self.children.take_changed();
        changes.extend(own.into_iter().map(|piece| Changed { key: piece.key(), value: self.own_piece(piece) }));
        if std::mem::take(&mut self.over_changed) {
            changes.push(Changed { key: OwnPiece::Over.key(), value: self.own_piece(OwnPiece::Over) });
        }
        changes
    }

    fn own_piece(&self, piece: OwnPiece) -> Option<String> {
        match piece {
            OwnPiece::Next => json(&self.children.next()),
            OwnPiece::Over => self.over.as_ref().and_then(json),
            OwnPiece::Rests => Some(self.children.rests()).filter(|rests| !rests.is_empty()).and_then(json),
            OwnPiece::Child(number) => self.children.get(number).and_then(json),
            OwnPiece::Done(number) => self.children.done(number).and_then(json),
        }
    }

    /// A workflow as its pieces tell it, in any order.
    ///
    /// # Errors
    /// Pieces that make none, for people.
    pub(super) fn restored(
        definition: &Arc<Definition>,
        limits: Limits,
        pieces: &[Piece],
    ) -> Result<Conducting, String> {
        let mut of_conductor = Vec::new();
        let mut children = Children::default();
        let mut next = None;
        let mut over = None;
        for piece in pieces {
            match OwnPiece::of(&piece.key) {
                Some(OwnPiece::Next) => next = Some(read(piece)?),
                Some(OwnPiece::Over) => over = Some(read(piece)?),
                Some(OwnPiece::Rests) => children.restore_rests(read(piece)?),
                Some(OwnPiece::Child(number)) => children.restore_open(number, read(piece)?),
                Some(OwnPiece::Done(number)) => children.restore_done(number, read(piece)?),
                None => of_conductor.push((piece.key.as_str(), piece.value.as_str())),
            }
        }
        let missing = || format!("the piece {} of a workflow is missing", OwnPiece::Next.key());
        children.restore_next(next.ok_or_else(missing)?);
        let conductor = Conductor::restore(Arc::clone(definition), limits, of_conductor);
        let mut conducting = Conducting::blank(conductor.map_err(|error| error.to_string())?, limits);
        conducting.children = children;
        conducting.over = over;
        Ok(conducting)
    }
}
