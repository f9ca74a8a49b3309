//! Memory of one event: handed out quickly, given back all at once.

use bumpalo::Bump;

/// Where the values of one event live. Nothing in it is dropped one by one; [`Arena::reset`] keeps the
/// memory for the next event, so that steady state allocates nothing.
#[derive(Debug, Default)]
pub struct Arena {
    bump: Bump,
}

impl Arena {
    /// An empty arena.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything. The borrow checker sees to it that nobody still looks.
    pub fn reset(&mut self) {
        self.bump.reset();
    }

    /// The allocator, for `bumpalo`'s own collections.
    pub fn bump(&self) -> &Bump {
        &self.bump
    }

    /// Copies a text.
    pub fn str(&self, text: &str) -> &str {
        self.bump.alloc_str(text)
    }

    /// Copies a slice of things that need no drop.
    pub fn slice<T: Copy>(&self, items: &[T]) -> &[T] {
        self.bump.alloc_slice_copy(items)
    }

    /// Stores one thing.
    pub fn store<T: Copy>(&self, item: T) -> &T {
        self.bump.alloc(item)
    }
}
