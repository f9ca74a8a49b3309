//! The stage that a driver runs: lent by whoever keeps it from session to session, or its own.

use std::ops::{Deref, DerefMut};

pub(super) enum Held<'s, S> {
    Lent(&'s mut S),
    Own(S),
}

impl<S> Deref for Held<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        match self {
            Self::Lent(stage) => stage,
            Self::Own(stage) => stage,
        }
    }
}

impl<S> DerefMut for Held<'_, S> {
    fn deref_mut(&mut self) -> &mut S {
        match self {
            Self::Lent(stage) => stage,
            Self::Own(stage) => stage,
        }
    }
}
