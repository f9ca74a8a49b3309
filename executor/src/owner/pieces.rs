//! How the pieces of workflows are stored: small ones in pages (`pages`), others each at a key of its own, and one that
//! is larger than a record in parts.
//!
//! The first record of a piece stands at the piece's key and says how many parts follow; those stand at that key, `/+` and
//! their number, so that they come behind it and before any other piece. All of them are written and removed in one
//! transaction, and a piece of which a part is not there is none.

use std::collections::HashMap;

use petrel_bus::{Context, StateTooLarge};
use petrel_execution::workflow::{Changed, Piece};
use petrel_schemas::{ExecutionId, Stored as StoredRecord, WorkflowPage, WorkflowPiece, decode, encode};

use super::pages::{self, Pages};

/// Largest piece of a workflow, in bytes of JSON. What a workflow remembers is bounded by limits of its own, which count
/// before anything is written as JSON; this one holds for whatever becomes longer by that.
pub(super) const PIECE_BYTES_MAX: usize = 16 << 20;

/// Most parts of a piece beside its first record. Their numbers have four digits, so that they are in order.
const PARTS_MAX: usize = 9_999;

/// What stands between a piece's key and the number of a part. No piece has it in its key.
const PART: &str = "/+";

/// Bytes of a record, and of its key, that are neither the execution's id, nor the piece's key, nor its value; rounded up.
const ENVELOPE_BYTES: usize = 64;

/// Least room for a value in a record for which a piece is divided.
const ROOM_BYTES_MIN: usize = 256;

/// Why a piece cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PieceTooLarge {
    /// It is over the limit of pieces.
    #[error("the piece {key} of its workflow has {bytes} bytes, the limit PIECE_BYTES_MAX is {PIECE_BYTES_MAX}")]
    Piece {
        /// Its key.
        key: String,
        /// Its size.
        bytes: usize,
    },
    /// The records of the log have no room for a part worth the name.
    #[error(transparent)]
    Record(#[from] StateTooLarge),
}

/// What is stored of a workflow.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// By key.
    pub(super) pieces: Vec<Piece>,
    /// Those that have records of their own, and how many beside the first.
    pub(super) parts: HashMap<String, usize>,
    /// Where the others stand.
    pub(super) pages: Pages,
}

/// What the keys of an execution's pieces begin with.
pub(super) fn prefix(id: &ExecutionId) -> Vec<u8> {
    format!("{id}/w/").into_bytes()
}

/// State key of a piece, a part or a page.
pub(super) fn key(id: &ExecutionId, piece: &str) -> Vec<u8> {
    format!("{id}/w/{piece}").into_bytes()
}

fn part_name(piece: &str, number: usize) -> String {
    format!("{piece}{PART}{number:04}")
}

/// The piece that a part belongs to, and its number; none for a piece.
fn part_of(name: &str) -> Option<(&str, usize)> {
    let (piece, number) = name.rsplit_once(PART)?;
    Some((piece, number.parse().ok()?))
}

/// Writes a piece, or removes one that is gone, and says how many parts it has now. It had so many before; those that it
/// has no more are removed.
///
/// # Errors
/// [`PieceTooLarge`], and the piece is as it was.
pub(super) fn write<G>(
    context: &mut Context<'_, G>,
    id: &ExecutionId,
    changed: &Changed,
    parts_before: usize,
) -> Result<usize, PieceTooLarge> {
    let parts = match &changed.value {
        Some(value) => put(context, id, &changed.key, value)?,
        None => {
            context.delete(&key(id, &changed.key));
            0
        }
    };
    for number in parts + 1..=parts_before {
        context.delete(&key(id, &part_name(&changed.key, number)));
    }
    Ok(parts)
}

fn put<G>(context: &mut Context<'_, G>, id: &ExecutionId, piece: &str, value: &str) -> Result<usize, PieceTooLarge> {
    let bytes = value.len();
    if bytes > PIECE_BYTES_MAX {
        return Err(PieceTooLarge::Piece { key: piece.to_owned(), bytes });
    }
    let limit_bytes = context.record_bytes_max();
    // The id and the piece's key stand in the record and in its key.
    let room = limit_bytes.saturating_sub(2 * (id.as_str().len() + piece.len()) + ENVELOPE_BYTES);
    let texts = match bytes <= room {
        true => vec![value],
        false if room < ROOM_BYTES_MIN => return Err(StateTooLarge { bytes, limit_bytes }.into()),
        false => split(value, room),
    };
    let parts = texts.len() - 1;
    let Some(told) = i32::try_from(parts).ok().filter(|_| parts <= PARTS_MAX) else {
        return Err(StateTooLarge { bytes, limit_bytes }.into());
    };
    for (number, text) in texts.into_iter().enumerate() {
        let (name, parts) = if number == 0 { (piece.to_owned(), told) } else { (part_name(piece, number), 0) };
        let at = key(id, &name);
        let record = WorkflowPiece { execution_id: id.to_string(), key: name, value: text.to_owned(), parts };
        context.put(&at, encode(&record))?;
    }
    Ok(parts)
}

/// A text in pieces of at most so many bytes, each of which ends between two characters.
fn split(mut text: &str, bytes_max: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    while text.len() > bytes_max {
        let (piece, rest) = text.split_at(text.floor_char_boundary(bytes_max));
        pieces.push(piece);
        text = rest;
    }
    pieces.push(text);
    pieces
}

/// What is stored of a workflow, each piece whole.
///
/// # Errors
/// A record that cannot be read or a part that is missing, for people.
pub(super) fn read<G>(context: &Context<'_, G>, id: &ExecutionId) -> Result<Stored, String> {
    let prefix = prefix(id);
    let mut stored = Stored::default();
    let mut open: Option<Open> = None;
    let mut of_pages = Vec::new();
    for (at, value) in context.scan(&prefix).take_while(|(key, _)| key.starts_with(&prefix)) {
        let name = std::str::from_utf8(at.get(prefix.len()..).unwrap_or_default()).unwrap_or_default();
        if let Some(number) = pages::number(name) {
            of_pages.push((number, read_at::<WorkflowPage>(&at, &value)?));
            continue;
        }
        let record: WorkflowPiece = read_at(&at, &value)?;
        match part_of(&record.key) {
            None => {
                open.take().map_or(Ok(()), |open| open.close(&mut stored))?;
                open = Some(Open::of(record));
            }
            Some((piece, number)) => match open.as_mut().filter(|open| open.piece.key == piece) {
                Some(open) => open.add(number, &record.value)?,
                None => {
                    return Err(format!(
                        "of the piece {piece} the first record is missing, its part {number} is there"
                    ));
                }
            },
        }
    }
    open.map_or(Ok(()), |open| open.close(&mut stored))?;
    let (pages, paged) = Pages::of(of_pages);
    stored.pages = pages;
    stored.pieces.extend(paged);
    stored.pieces.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(stored)
}

fn read_at<T: StoredRecord>(at: &[u8], value: &[u8]) -> Result<T, String> {
    decode(value).map_err(|error| format!("what is stored at {} cannot be read: {error}", String::from_utf8_lossy(at)))
}

/// A piece that is being read.
struct Open {
    piece: Piece,
    parts: usize,
    /// How many of them have been read.
    read: usize,
}

impl Open {
    fn of(record: WorkflowPiece) -> Self {
        let WorkflowPiece { key, value, parts, .. } = record;
        Self { piece: Piece { key, value }, parts: usize::try_from(parts).unwrap_or_default(), read: 0 }
    }

    /// The next part that there is. One behind the last is what a piece had when it was larger, and nothing of it.
    fn add(&mut self, number: usize, value: &str) -> Result<(), String> {
        if number > self.parts {
            return Ok(());
        }
        if number != self.read + 1 {
            return Err(self.missing());
        }
        self.read = number;
        self.piece.value.push_str(value);
        Ok(())
    }

    fn close(self, stored: &mut Stored) -> Result<(), String> {
        if self.read < self.parts {
            return Err(self.missing());
        }
        stored.parts.insert(self.piece.key.clone(), self.parts);
        stored.pieces.push(self.piece);
        Ok(())
    }

    fn missing(&self) -> String {
        let Self { piece: Piece { key, .. }, parts, read } = self;
        format!(
            "of the piece {key}, which is stored in {parts} parts behind its first record, the part {} is missing",
            read + 1
        )
    }
}
