//! Documents of one producer look alike: what stood between two values last time stands there again.
//!
//! The *glue* between two values of an object is everything from the end of the first to the beginning of
//! the second: comma, key, colon and white space; or what closes the object. A glue that was once parsed
//! means the same wherever the same bytes stand at the same place, so comparing it replaces parsing it.
//! A prediction that does not hold costs that comparison and never changes a result.

use petrel_cel::SlotId;

/// Longest glue that is remembered, in bytes.
const GLUE_BYTES_MAX: usize = 32;

/// Most pieces of glue that are remembered for one layout. Then all are forgotten, between two documents.
const GLUES_MAX: usize = 1024;

/// How many pieces of glue of an object are looked at to find one that is known.
const LOOK_BACK: usize = 16;

/// Most surprises in a document that is still said to look like the last ones.
const SURPRISES_MAX: u32 = 3;

/// Documents in a row without likeness after which predicting rests.
const STRANGERS_MAX: u32 = 8;

/// Documents for which predicting then rests.
const REST_DOCUMENTS: u32 = 1000;

/// What follows a piece of glue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// A value that somebody reads.
    Slot(SlotId),
    /// A value that nobody reads.
    Unread,
    /// The end of the object.
    End,
}

/// A place between two values: behind an object's opening brace, or behind a piece of glue and the value
/// that follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u32);

impl Place {
    /// Where nothing is remembered.
    const UNKNOWN: Self = Self(u32::MAX);

    /// Any place while predicting rests.
    const RESTING: Self = Self(u32::MAX - 1);
}

#[derive(Debug)]
struct Glue {
    words: [u64; GLUE_BYTES_MAX / 8],
    /// The bytes of `words` that count.
    mask: [u64; GLUE_BYTES_MAX / 8],
    length: u32,
    next: Next,
    /// The glue of the same object that was learnt before.
    older: u32,
}

/// Two guesses at a place, the last ones that were right for the first time.
type Guesses = [u32; 2];

/// What the last documents of one layout looked like.
#[derive(Debug)]
pub(super) struct Shape {
    glues: Vec<Glue>,
    /// Of each object's beginning, then of the place behind each glue.
    guesses: Vec<Guesses>,
    /// Of each object the glue that was learnt last.
    newest: Vec<u32>,
    /// What was learnt from the document at hand.
    surprises: u32,
    /// Documents in a row that had too many surprises.
    strangers: u32,
    /// Documents for which predicting still rests.
    rest: u32,
}

/// No glue.
const NONE: u32 = u32::MAX;

impl Shape {
    /// Nothing is known yet of documents with so many slots.
    pub fn new(slots: usize) -> Self {
        Self {
            glues: Vec::new(),
            guesses: vec![[NONE; 2]; slots],
            newest: vec![NONE; slots],
            surprises: 0,
            strangers: 0,
            rest: 0,
        }
    }

    /// Before a document. Only here may something be forgotten: a [`Place`] holds for one document.
    #[inline(always)]
    pub fn begin(&mut self) {
        if self.surprises > 0 || self.rest > 0 || self.strangers > 0 {
            self.reconsider();
        }
    }

    /// Documents that never look alike would pay for being learnt and gain nothing.
    fn reconsider(&mut self) {
        self.rest = self.rest.saturating_sub(1);
        self.strangers = if self.surprises > SURPRISES_MAX { self.strangers + 1 } else { 0 };
        self.surprises = 0;
        if self.strangers == STRANGERS_MAX {
            self.strangers = 0;
            self.rest = REST_DOCUMENTS;
        }
        if self.glues.len() == GLUES_MAX {
            *self = Self { rest: self.rest, strangers: self.strangers, ..Self::new(self.newest.len()) };
        }
    }

    /// The place behind an object's opening brace.
    #[inline(always)]
    pub fn start(&self, object: SlotId) -> Place {
        if self.rest > 0 { Place::RESTING } else { Place(object.0) }
    }

    /// What the bytes at an offset mean if they were seen at this place before: what follows, the offset
    /// behind the glue, and the place behind the value that follows.
    #[inline(always)]
    pub fn predict(&self, place: Place, bytes: &[u8], at: usize) -> Option<(Next, usize, Place)> {
        let guesses = self.guesses.get(place.0 as usize)?;
        for guess in guesses {
            let glue = self.glues.get(*guess as usize)?;
            if glue.stands(bytes, at) {
                let place = Place(self.newest.len() as u32 + *guess);
                return Some((glue.next, at + glue.length as usize, place));
            }
        }
        None
    }

    /// Remembers what stood at a place of an object; gives the place behind the value that follows.
    #[cold]
    pub fn learn(&mut self, place: Place, object: SlotId, glue: &[u8], next: Next) -> Place {
        if place == Place::RESTING || glue.len() > GLUE_BYTES_MAX {
            return if place == Place::RESTING { place } else { Place::UNKNOWN };
        }
        self.surprises += 1;
        let number = match self.find(object, glue) {
            Some(number) => number,
            None if self.glues.len() == GLUES_MAX => return Place::UNKNOWN,
            None => self.add(object, glue, next),
        };
        if let Some(guesses) = self.guesses.get_mut(place.0 as usize) {
            *guesses = [number, guesses[0]];
        }
        Place(self.newest.len() as u32 + number)
    }

    fn find(&self, object: SlotId, glue: &[u8]) -> Option<u32> {
        let mut number = self.newest[object.index()];
        for _ in 0..LOOK_BACK {
            let known = self.glues.get(number as usize)?;
            if known.length as usize == glue.len() && known.stands(glue, 0) {
                return Some(number);
            }
            number = known.older;
        }
        None
    }

    fn add(&mut self, object: SlotId, glue: &[u8], next: Next) -> u32 {
        let number = self.glues.len() as u32;
        let padded = |fill: &dyn Fn(usize) -> u8| {
            let word = |w: usize| u64::from_le_bytes(std::array::from_fn(|b| fill(w * 8 + b)));
            std::array::from_fn(word)
        };
        let newest = &mut self.newest[object.index()];
        self.glues.push(Glue {
            words: padded(&|i| glue.get(i).copied().unwrap_or(0)),
            mask: padded(&|i| if i < glue.len() { 0xff } else { 0 }),
            length: glue.len() as u32,
            next,
            older: *newest,
        });
        *newest = number;
        self.guesses.push([NONE; 2]);
        number
    }
}

impl Glue {
    /// Whether these bytes stand at an offset.
    #[inline(always)]
    fn stands(&self, bytes: &[u8], at: usize) -> bool {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(window) = rest.first_chunk::<GLUE_BYTES_MAX>() else { return self.stands_near_end(rest) };
        self.equals(window)
    }

    fn stands_near_end(&self, rest: &[u8]) -> bool {
        let mut window = [0; GLUE_BYTES_MAX];
        window[..rest.len()].copy_from_slice(rest);
        rest.len() >= self.length as usize && self.equals(&window)
    }

    #[inline(always)]
    fn equals(&self, window: &[u8; GLUE_BYTES_MAX]) -> bool {
        let (words, _) = window.as_chunks::<8>();
        let differing = |i: usize| (u64::from_le_bytes(words[i]) ^ self.words[i]) & self.mask[i];
        differing(0) | differing(1) | differing(2) | differing(3) == 0
    }
}
