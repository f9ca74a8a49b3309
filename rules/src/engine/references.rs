//! The references of rules, in little memory.

/// Texts by number, one behind the other.
#[derive(Debug, Default)]
pub(super) struct References {
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl References {
    /// Room for so many.
    pub fn with_capacity(rules: usize) -> Self {
        Self { text: String::new(), ends: Vec::with_capacity(rules) }
    }

    pub fn push(&mut self, reference: &str) {
        self.text.push_str(reference);
        self.ends.push(self.text.len());
    }

    /// Gives back memory that was kept for growing.
    pub fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn get(&self, number: usize) -> &str {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[number]]
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|number| self.get(number))
    }
}
