//! Where a program goes on behind a leaf.

use super::code::head_words;

/// The place that a jump leads to: so many words behind it, or one of the ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Jump(u32);

impl Jump {
    /// The rule is true.
    pub const TRUE: Self = Self(0xffff);
    /// The rule is false.
    pub const FALSE: Self = Self(0xfffe);
    /// Too far for a jump; no criterion of the greatest length gets there.
    pub const FAR: Self = Self(0xfffd);

    /// What a jump's word says for an outcome.
    #[inline(always)]
    pub fn of(word: u32, outcome: bool) -> Self {
        Self((word >> (16 * u32::from(!outcome))) & 0xffff)
    }

    /// How many words to leave out, unless it is an end.
    #[inline(always)]
    pub fn words(self) -> Option<usize> {
        (self.0 < Self::FAR.0).then_some(self.0 as usize)
    }
}

/// A place that is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(usize);

impl Label {
    pub const TRUE: Self = Self(0);
    pub const FALSE: Self = Self(1);
    const ENDS: usize = 2;
}

/// The jumps of one program, until its places are known.
#[derive(Debug, Default)]
pub(super) struct Jumps {
    /// By label, those of the ends left out.
    places: Vec<usize>,
    /// Where each jump's word stands, and where it leads if the leaf is true or false.
    jumps: Vec<(usize, Label, Label)>,
}

impl Jumps {
    /// A new label, to be placed.
    pub fn label(&mut self) -> Label {
        self.places.push(usize::MAX);
        Label(self.places.len() - 1 + Label::ENDS)
    }

    /// The condition that a label leads to begins at this word.
    pub fn place(&mut self, label: Label, word: usize) {
        self.places[label.0 - Label::ENDS] = word;
    }

    /// A jump's word.
    pub fn add(&mut self, word: usize, yes: Label, no: Label) {
        self.jumps.push((word, yes, no));
    }

    /// Writes the jumps, and forgets them.
    pub fn finish(&mut self, words: &mut [u32]) {
        for (word, yes, no) in self.jumps.drain(..) {
            let [yes, no] = [yes, no].map(|label| match label {
                Label::TRUE => Jump::TRUE,
                Label::FALSE => Jump::FALSE,
                Label(number) => Jump::to(first_leaf(words, self.places[number - Label::ENDS]) - word - 1),
            });
            words[word] = yes.0 | no.0 << 16;
        }
        self.places.clear();
    }
}

impl Jump {
    fn to(words: usize) -> Self {
        u32::try_from(words).ok().map(Self).filter(|jump| jump.0 < Self::FAR.0).unwrap_or(Self::FAR)
    }
}

/// The leaf with which the condition at this word begins.
pub(super) fn first_leaf(words: &[u32], mut at: usize) -> usize {
    while let Some(head) = head_words(words[at] & 0xff) {
        at += head;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_lead_where_they_are_placed() {
        // Words of leaves, which are no heads.
        let mut words = vec![super::super::code::HAS; 80_000];
        let mut jumps = Jumps::default();
        let [near, furthest, far] = [jumps.label(), jumps.label(), jumps.label()];
        jumps.add(1, near, Label::FALSE);
        jumps.add(5, Label::TRUE, furthest);
        jumps.add(7, far, furthest);
        jumps.place(near, 2);
        jumps.place(furthest, 6 + 0xfffc);
        jumps.place(far, 8 + 0xfffd);
        jumps.finish(&mut words);
        let both = |word: usize| [true, false].map(|outcome| Jump::of(words[word], outcome));
        assert_eq!(both(1).map(Jump::words), [Some(0), None]);
        assert_eq!(both(1)[1], Jump::FALSE);
        assert_eq!(both(5)[0], Jump::TRUE);
        assert_eq!(both(5)[1].words(), Some(0xfffc));
        assert_eq!(both(7)[0], Jump::FAR);
        assert_eq!(both(7)[1].words(), Some(0xfffa));
    }
}
