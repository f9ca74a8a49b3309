//! Documents of one producer look alike: what stood between two values last time stands there again.
//!
//! The *glue* between two values of an object is everything from the end of the first to the beginning of
//! the second: comma, key, colon and white space; or what closes the object. A glue that was once parsed
//! means the same wherever the same bytes stand at the same place, so comparing it replaces parsing it.
//! A prediction that does not hold costs that comparison and never changes a result.

use petrel_cel::SlotId;

/// Longest glue that is remembered, in bytes.
const GLUE_BYTES_MAX: usize = 32;

/// Most pieces of glue that are remembered for one layout. When there are more, all are forgotten.
const GLUES_MAX: usize = 1024;

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
}

/// No glue.
const NONE: u32 = u32::MAX;

impl Shape {
    /// Nothing is known yet of documents with so many slots.
    pub fn new(slots: usize) -> Self {
        Self { glues: Vec::new(), guesses: vec![[NONE; 2]; slots], newest: vec![NONE; slots] }
    }

    /// The place behind an object's opening brace.
    #[inline(always)]
    pub fn start(&self, object: SlotId) -> Place {
        Place(object.0)
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
        if glue.len() > GLUE_BYTES_MAX {
            return Place::UNKNOWN;
        }
        let number = match self.find(object, glue) {
            Some(number) => number,
            None if self.glues.len() == GLUES_MAX => {
                *self = Self::new(self.newest.len());
                return Place::UNKNOWN;
            }
            None => self.add(object, glue, next),
        };
        if let Some(guesses) = self.guesses.get_mut(place.0 as usize) {
            *guesses = [number, guesses[0]];
        }
        Place(self.newest.len() as u32 + number)
    }

    fn find(&self, object: SlotId, glue: &[u8]) -> Option<u32> {
        let mut number = self.newest[object.index()];
        while let Some(known) = self.glues.get(number as usize) {
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
