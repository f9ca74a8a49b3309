//! Small pieces of workflows, those of a transition in one record.
//!
//! A transition changes a handful of small pieces, and each record costs an owner, the log and its cache as much as the
//! whole transition does. So they are written together, in a *page*. Of a piece that several pages have, the page that
//! was begun last counts; a page of which nothing counts any more is written anew with what changes next, and a workflow
//! whose pages are mostly out of date is written into fresh ones (docs/adr/0053).

use std::collections::{BTreeMap, HashMap};

use petrel_bus::{Context, StateTooLarge};
use petrel_execution::workflow::Piece;
use petrel_schemas::{ExecutionId, PagedPiece, WorkflowPage, encode};

use super::pieces;

/// Largest value of a piece that stands in a page, in bytes of JSON; a larger one has a record of its own.
pub(super) const PAGED_BYTES_MAX: usize = 1_024;

/// So many bytes of keys and values a page has at most, but for a piece that is larger alone.
pub(super) const PAGE_BYTES_MAX: usize = 4_096;

/// Room for a page in a record, with all that stands around it. Where records are smaller, each piece has one of its own.
pub(super) const PAGE_RECORD_BYTES: usize = 8_192;

/// So many pages more than twice those that it would need, and a workflow is written into fresh ones.
const PAGES_SPARE: usize = 64;

/// How long the number of a page is in its name.
const NUMBER_DIGITS: usize = 6;

/// The pages of one workflow, as the open transaction has them.
#[derive(Debug, Default)]
pub(super) struct Pages {
    /// Which page counts for a piece.
    of: HashMap<String, Word>,
    /// For how many pieces each page counts.
    counting: Vec<u32>,
    /// Pages that count for nothing.
    free: Vec<u32>,
    /// How many were begun.
    begun: i64,
    /// How many there were when they were written last all together.
    compact: usize,
    /// The latest ones, which are not stored as they are.
    unwritten: Vec<Page>,
    /// The latest, as long as its transaction is open.
    open: Option<Page>,
}

/// What counts for a piece.
#[derive(Debug, Clone, Copy)]
struct Word {
    page: u32,
    /// It says that there is none.
    is_gone: bool,
    /// No other page has anything of the piece.
    is_only: bool,
}

#[derive(Debug, Clone)]
struct Page {
    number: u32,
    sequence: i64,
    transaction: u64,
    bytes: usize,
    pieces: BTreeMap<String, Option<String>>,
    is_stored: bool,
}

impl Pages {
    /// Whether a page counts for that piece and has it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.of.get(key).is_some_and(|word| !word.is_gone)
    }

    /// A piece is that now, or gone. It is stored by [`Self::store`].
    pub(super) fn put(&mut self, key: &str, value: Option<&str>, transaction: u64) {
        let word = self.of.get(key).copied();
        if value.is_none() && word.is_none_or(|word| word.is_gone) {
            return;
        }
        let bytes = key.len() + value.map_or(0, str::len);
        let page = self.open(bytes, transaction);
        let number = page.number;
        let is_only = word.is_none_or(|word| word.is_only && word.page == number);
        if value.is_none() && is_only {
            // Nothing is stored of it but for what this page says.
            let page = self.open(0, transaction);
            let before = page.pieces.remove(key);
            page.bytes -= key.len() + before.flatten().map_or(0, |value| value.len());
            page.is_stored = false;
            self.of.remove(key);
            self.counts_less(number);
            return;
        }
        let before = page.pieces.insert(key.to_owned(), value.map(str::to_owned));
        page.is_stored = false;
        page.bytes += bytes;
        if let Some(before) = before {
            page.bytes -= key.len() + before.map_or(0, |value| value.len());
        }
        self.of.insert(key.to_owned(), Word { page: number, is_gone: value.is_none(), is_only });
        self.counting[number as usize] += 1;
        if let Some(word) = word {
            self.counts_less(word.page);
        }
    }

    /// The page that what changes is written into.
    fn open(&mut self, bytes: usize, transaction: u64) -> &mut Page {
        let page = match self.open.take() {
            Some(page) if page.transaction == transaction && page.bytes + bytes <= PAGE_BYTES_MAX => page,
            other => {
                self.close(other);
                self.begin(transaction)
            }
        };
        self.open.insert(page)
    }

    fn begin(&mut self, transaction: u64) -> Page {
        let number = self.free.pop().unwrap_or_else(|| {
            self.counting.push(0);
            u32::try_from(self.counting.len() - 1).unwrap_or(u32::MAX)
        });
        let sequence = self.begun;
        self.begun += 1;
        Page { number, sequence, transaction, bytes: 0, pieces: BTreeMap::new(), is_stored: false }
    }

    fn close(&mut self, page: Option<Page>) {
        let Some(page) = page else { return };
        if self.counting[page.number as usize] == 0 {
            self.free.push(page.number);
        }
        if !page.is_stored {
            self.unwritten.push(page);
        }
    }

    fn counts_less(&mut self, page: u32) {
        let counting = &mut self.counting[page as usize];
        *counting -= 1;
        let is_open = self.open.as_ref().is_some_and(|open| open.number == page);
        if *counting == 0 && !is_open {
            self.free.push(page);
        }
    }

    /// Stores what has changed.
    ///
    /// # Errors
    /// If a record has no room for a page.
    pub(super) fn store<G>(&mut self, context: &mut Context<'_, G>, id: &ExecutionId) -> Result<(), StateTooLarge> {
        for page in std::mem::take(&mut self.unwritten) {
            write(context, id, page.number, page.sequence, &page.pieces)?;
        }
        if let Some(page) = self.open.as_mut().filter(|page| !page.is_stored) {
            write(context, id, page.number, page.sequence, &page.pieces)?;
            page.is_stored = true;
        }
        if self.counting.len() - self.free.len() > 2 * self.compact + PAGES_SPARE {
            self.compact(context, id)?;
        }
        Ok(())
    }

    /// Writes all of it into fresh pages.
    fn compact<G>(&mut self, context: &mut Context<'_, G>, id: &ExecutionId) -> Result<(), StateTooLarge> {
        // What cannot be read stays as it is, for whoever restores the workflow to tell.
        let Ok(stored) = pieces::read(&*context, id) else { return Ok(()) };
        let paged = stored.pieces.into_iter().filter(|piece| self.has(&piece.key));
        let paged: Vec<Piece> = paged.collect();
        for number in 0..self.counting.len() {
            context.delete(&pieces::key(id, &name(u32::try_from(number).unwrap_or(u32::MAX))));
        }
        *self = Self { begun: self.begun, ..Self::default() };
        // In a transaction of their own, so to speak: what changes next gets a page of its own.
        for piece in &paged {
            self.put(&piece.key, Some(&piece.value), u64::MAX);
        }
        let last = self.open.take();
        self.close(last);
        self.compact = self.counting.len();
        for page in std::mem::take(&mut self.unwritten) {
            write(context, id, page.number, page.sequence, &page.pieces)?;
        }
        Ok(())
    }

    /// What pages say, all together, and how they stand.
    pub(super) fn of(mut pages: Vec<(u32, WorkflowPage)>) -> (Self, Vec<Piece>) {
        pages.sort_by_key(|(_, page)| page.sequence);
        let mut this = Self::default();
        let mut values: HashMap<String, Option<String>> = HashMap::new();
        for (number, page) in pages {
            let place = number as usize;
            this.counting.resize(this.counting.len().max(place + 1), 0);
            this.begun = this.begun.max(page.sequence + 1);
            for PagedPiece { key, value } in page.pieces {
                let word = Word { page: number, is_gone: value.is_none(), is_only: false };
                if let Some(before) = this.of.insert(key.clone(), word) {
                    this.counting[before.page as usize] -= 1;
                }
                this.counting[place] += 1;
                values.insert(key, value);
            }
        }
        let is_free =
            |(number, counting): (usize, &u32)| (*counting == 0).then(|| u32::try_from(number).ok()).flatten();
        this.free = this.counting.iter().enumerate().filter_map(is_free).collect();
        let pieces = values.into_iter().filter_map(|(key, value)| Some(Piece { key, value: value? }));
        (this, pieces.collect())
    }
}

/// The name of a page, as a piece has a key. No piece's begins so.
fn name(number: u32) -> String {
    format!("~{number:0NUMBER_DIGITS$}")
}

/// The number of a page of that name; none for anything else.
pub(super) fn number(name: &str) -> Option<u32> {
    name.strip_prefix('~').filter(|digits| digits.len() == NUMBER_DIGITS)?.parse().ok()
}

fn write<G>(
    context: &mut Context<'_, G>,
    id: &ExecutionId,
    number: u32,
    sequence: i64,
    pieces: &BTreeMap<String, Option<String>>,
) -> Result<(), StateTooLarge> {
    let pieces = pieces.iter().map(|(key, value)| PagedPiece { key: key.clone(), value: value.clone() }).collect();
    let page = WorkflowPage { execution_id: id.to_string(), sequence, pieces };
    context.put(&pieces::key(id, &name(number)), encode(&page))
}
