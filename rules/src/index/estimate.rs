//! How likely an event is to satisfy a test, guessed from the rules themselves: what many rules ask for is
//! what many events have.

use super::atoms::{Atoms, Kind, Test, What};

/// Imagined tests of a group beside those that exist: a lonely value is rare rather than certain.
const UNSEEN: f32 = 8.0;
/// How many elements a list is taken to have.
const ELEMENTS: f32 = 3.0;
const PRESENT: f32 = 0.9;
const ABSENT: f32 = 0.2;

/// Guesses for everything that is in the rules.
#[derive(Debug)]
pub struct Estimates {
    atoms: Vec<f32>,
    /// Per group the finite ends of all ranges, sorted.
    ends: Vec<Vec<f32>>,
}

impl Estimates {
    pub fn new(atoms: &Atoms) -> Self {
        let mut counts = vec![0u32; atoms.hashes.len()];
        let mut totals = vec![0u32; atoms.groups.len()];
        let mut ends = vec![Vec::new(); atoms.groups.len()];
        for test in &atoms.tests {
            let group = usize::from(test.group);
            match test.what {
                What::Any { from, count } => {
                    totals[group] += count;
                    for atom in &atoms.pool[from as usize..(from + count) as usize] {
                        counts[*atom as usize] += 1;
                    }
                }
                What::Range { low, high } => ends[group].extend([low, high].into_iter().filter(|end| end.is_finite())),
            }
        }
        ends.iter_mut().for_each(|ends| ends.sort_unstable_by(f32::total_cmp));
        let guess = |(atom, (_, group)): (usize, &(u64, u16))| {
            let share = counts[atom] as f32 / (totals[usize::from(*group)] as f32 + UNSEEN);
            match atoms.kind(*group) {
                Kind::Present => PRESENT,
                Kind::Absent => ABSENT,
                Kind::Element => (share * ELEMENTS).min(1.0),
                _ => share,
            }
        };
        let mut estimates = Self { atoms: atoms.hashes.iter().enumerate().map(guess).collect(), ends };
        estimates.texts(atoms);
        estimates
    }

    /// A prefix is as likely as all prefixes that begin with it; a substring the likelier the shorter it is.
    fn texts(&mut self, atoms: &Atoms) {
        let mut sorted: Vec<(u16, &[u8], u32)> =
            atoms.texts.iter().map(|(group, text, atom)| (*group, &**text, *atom)).collect();
        sorted.sort_unstable();
        for same in sorted.chunk_by(|a, b| a.0 == b.0) {
            let total = same.len() as f32 + UNSEEN;
            let substring = atoms.kind(same[0].0) == Kind::Substring;
            for (i, (_, text, atom)) in same.iter().enumerate() {
                let guess = &mut self.atoms[*atom as usize];
                if substring {
                    *guess = guess.max(0.4 / (text.len() * text.len()) as f32).min(1.0);
                } else {
                    let below = same[i..].partition_point(|(_, other, _)| other.starts_with(text));
                    // Of equal ones the first counts them all.
                    *guess = guess.max(below as f32 / total);
                }
            }
        }
    }

    /// The chance of one atom.
    pub fn atom(&self, atom: u32) -> f32 {
        self.atoms[atom as usize]
    }

    /// The chance of a range.
    pub fn range(&self, group: u16, low: f32, high: f32) -> f32 {
        let ends = &self.ends[usize::from(group)];
        let inside = ends.partition_point(|end| *end <= high) - ends.partition_point(|end| *end < low);
        (inside as f32 + 1.0) / (ends.len() as f32 + 2.0)
    }

    /// The chance of a test.
    pub fn test(&self, atoms: &Atoms, test: &Test) -> f32 {
        match test.what {
            What::Any { from, count } => {
                let any = &atoms.pool[from as usize..(from + count) as usize];
                any.iter().map(|atom| self.atom(*atom)).sum::<f32>().min(1.0)
            }
            What::Range { low, high } => self.range(test.group, low, high),
        }
    }
}
