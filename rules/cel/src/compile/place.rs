//! Where nodes stand in the source.

use cel::common::ast::SourceInfo;

/// The byte ranges of the tokens that nodes stand for: of `a + b` the `+`, of `f(x)` the bracket. The
/// parser numbers nodes from 1 without gaps, and limits keep sources below 64 KiB.
#[derive(Debug)]
pub(super) struct Places(Box<[(u16, u16)]>);

impl Places {
    pub fn new(info: &SourceInfo) -> Self {
        let short = |byte: u32| u16::try_from(byte).unwrap_or(u16::MAX);
        let of = |(start, last)| (short(start), short(u32::saturating_add(last, 1)));
        Self((1..).map_while(|id| info.offset_for(id)).map(of).collect())
    }

    /// The bytes of a node's token, cut to characters.
    pub fn bytes(&self, source: &str, id: u64) -> Option<(usize, usize)> {
        let at = usize::try_from(id.checked_sub(1)?).ok()?;
        let (start, end) = *self.0.get(at)?;
        let start = source.floor_char_boundary(usize::from(start));
        Some((start, source.ceil_char_boundary(usize::from(end)).max(start)))
    }
}
