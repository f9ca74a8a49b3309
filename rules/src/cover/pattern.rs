//! The text that every match of a regular expression contains.

use petrel_cel::SlotId;
use regex_syntax::hir::{Hir, HirKind, Look};

use crate::index::Literal;

/// What a string must have for the pattern to match it: a prefix, a part, or only to be there.
pub(super) fn pattern_literal(slot: SlotId, pattern: &str) -> Literal {
    let Ok(hir) = regex_syntax::parse(pattern) else { return Literal::Present(slot) };
    if let Some(prefix) = anchored_prefix(&hir) {
        return Literal::Prefix(slot, prefix);
    }
    match required(&hir) {
        Some(text) => Literal::Substring(slot, text),
        None => Literal::Present(slot),
    }
}

/// The text behind a `^` at the very beginning.
fn anchored_prefix(hir: &Hir) -> Option<Box<str>> {
    let HirKind::Concat(parts) = hir.kind() else { return None };
    match (parts.first()?.kind(), parts.get(1)?.kind()) {
        (HirKind::Look(Look::Start), HirKind::Literal(literal)) => text(&literal.0),
        _ => None,
    }
}

/// The longest text that every match contains.
fn required(hir: &Hir) -> Option<Box<str>> {
    match hir.kind() {
        HirKind::Literal(literal) => text(&literal.0),
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().filter_map(required).max_by_key(|text| text.len()),
        _ => None,
    }
}

fn text(bytes: &[u8]) -> Option<Box<str>> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty()).map(Into::into)
}
