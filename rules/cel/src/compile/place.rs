//! Where nodes stand in the source.

use cel::common::ast::SourceInfo;
use cel::parser::Expression;

use super::lex::outside_strings;
use super::parse::each_child;

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
    pub fn token(&self, source: &str, id: u64) -> Option<(usize, usize)> {
        let at = usize::try_from(id.checked_sub(1)?).ok()?;
        let (start, end) = *self.0.get(at)?;
        let start = source.floor_char_boundary(usize::from(start));
        Some((start, source.ceil_char_boundary(usize::from(end)).max(start)))
    }

    /// The bytes of everything that a node is made of.
    pub fn extent(&self, source: &str, root: &Expression, id: u64) -> Option<(usize, usize)> {
        let (start, end) = self.hull(source, find(root, id)?)?;
        let (mut start, mut end) = (with_name(source, start), with_field(source, end));
        // Brackets come in pairs; those around are no nodes.
        let pairs = brackets(source);
        loop {
            let cut = |&&(open, close): &&(usize, usize)| {
                let inside = |at: usize| start <= at && at < end;
                inside(open) != inside(close)
            };
            let Some(&(open, close)) = pairs.iter().find(cut) else { return Some((start, end)) };
            (start, end) = (start.min(open), end.max(close + 1));
        }
    }

    /// From the first to the last token of a node and of those below it.
    fn hull(&self, source: &str, node: &Expression) -> Option<(usize, usize)> {
        let mut hull = self.token(source, node.id);
        each_child(node, &mut |child| {
            hull = match (hull, self.hull(source, child)) {
                (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
                (a, b) => a.or(b),
            };
        });
        hull
    }
}

fn find(node: &Expression, id: u64) -> Option<&Expression> {
    if node.id == id {
        return Some(node);
    }
    let mut found = None;
    each_child(node, &mut |child| found = found.or_else(|| find(child, id)));
    found
}

/// A function's token is its bracket: from there back to its name.
fn with_name(source: &str, start: usize) -> usize {
    if !source[start..].starts_with('(') {
        return start;
    }
    let before = source[..start].trim_end();
    before.trim_end_matches(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.')).len()
}

/// A field's token is its dot: from there on to its name.
fn with_field(source: &str, end: usize) -> usize {
    if !source[..end].ends_with('.') {
        return end;
    }
    let rest = source[end..].trim_start_matches(|c: char| c.is_whitespace() || c == '?');
    let behind = match rest.strip_prefix('`') {
        Some(quoted) => &quoted[quoted.find('`').map_or(quoted.len(), |at| at + 1)..],
        None => rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'),
    };
    source.len() - behind.len()
}

/// The pairs of brackets, by their bytes.
fn brackets(source: &str) -> Vec<(usize, usize)> {
    let (mut open, mut pairs) = (Vec::new(), Vec::new());
    for (at, c) in outside_strings(source) {
        match c {
            '(' | '[' | '{' => open.push(at),
            ')' | ']' | '}' => pairs.extend(open.pop().map(|start| (start, at))),
            _ => {}
        }
    }
    pairs
}
