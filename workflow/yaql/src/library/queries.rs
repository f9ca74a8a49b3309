//! Queries over collections. Most are computed only while what they give is read.

mod aggregate;
mod combine;
mod generate;
mod group;
mod merge;
mod order;
mod pieces;
mod search;
mod select;

use crate::function::Register;

pub(super) use generate::counted;

pub(super) fn register(library: &mut Register<'_>) {
    select::register(library);
    combine::register(library);
    search::register(library);
    aggregate::register(library);
    order::register(library);
    group::register(library);
    pieces::register(library);
    merge::register(library);
    generate::register(library);
}
