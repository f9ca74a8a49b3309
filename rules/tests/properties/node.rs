//! A piece of a rule's text with the pieces inside it: what is generated, and made smaller.

/// What kind of value a piece has, as far as shrinking needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Bool,
    Other,
}

/// A piece of CEL.
#[derive(Debug, Clone)]
pub struct Node {
    sort: Sort,
    /// The text around the inner pieces: one more than there are pieces.
    parts: Vec<String>,
    inner: Vec<Node>,
}

impl Node {
    /// A piece by a template in which each `§` is the place of an inner one.
    pub fn new(sort: Sort, template: &str, inner: Vec<Node>) -> Self {
        let parts: Vec<String> = template.split('§').map(str::to_owned).collect();
        assert_eq!(parts.len(), inner.len() + 1, "{template}");
        Self { sort, parts, inner }
    }

    pub fn bool(template: &str, inner: Vec<Node>) -> Self {
        Self::new(Sort::Bool, template, inner)
    }

    pub fn other(template: &str, inner: Vec<Node>) -> Self {
        Self::new(Sort::Other, template, inner)
    }

    /// The text in CEL.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) {
        for (at, part) in self.parts.iter().enumerate() {
            text.push_str(part);
            if let Some(inner) = self.inner.get(at) {
                inner.write(text);
            }
        }
    }

    /// Smaller pieces that may stand in its place, the smallest first. Some may have no meaning.
    pub fn smaller(&self) -> Vec<Node> {
        let mut found = Vec::new();
        if self.sort == Sort::Bool && !self.is_constant() {
            found.extend(["true", "false"].map(|text| Node::bool(text, Vec::new())));
        }
        found.extend(self.inner.iter().filter(|inner| inner.sort == self.sort).cloned());
        for (at, inner) in self.inner.iter().enumerate() {
            for smaller in inner.smaller() {
                let mut changed = self.clone();
                changed.inner[at] = smaller;
                found.push(changed);
            }
        }
        found
    }

    fn is_constant(&self) -> bool {
        self.inner.is_empty() && ["true", "false"].contains(&&*self.parts[0])
    }
}
