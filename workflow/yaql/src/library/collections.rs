//! Lists, dictionaries and sets.

mod dicts;
mod edits;
mod lists;
mod sets;

use crate::function::Register;

pub(super) fn register(library: &mut Register<'_>) {
    lists::register(library);
    dicts::register(library);
    edits::register(library);
    sets::register(library);
}

pub(super) use dicts::from_pairs;
pub(super) use lists::{chain, element, slice};
