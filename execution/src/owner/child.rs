//! A child ended. Nothing starts children yet; what a parent makes of it will be for workflows to say.

use super::{Counted, Effect, Owner};
use crate::execution::Known;
use crate::family::ChildEnded;

impl Owner<'_> {
    /// Its parent is told, in the same step.
    pub fn child_ended(&mut self, _: &ChildEnded, parent: Option<Known>) {
        match parent {
            Some(Known::Live(mut parent)) if parent.core().children_open > 0 => {
                parent.core_mut().children_open -= 1;
                self.push(Effect::Update(parent));
            }
            _ => self.count(Counted::Orphan),
        }
    }
}
