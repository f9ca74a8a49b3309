//! What an action takes of its worker while it runs, and what a worker has: memory and processors.

use std::fmt;

/// Memory and processors: what an action needs, or what a worker has. Nothing is limited or measured by it: it is what
/// workers reckon with when they claim.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Processors, in thousandths.
    pub cpu_milli: u64,
}

/// Units of memory as people write them, the largest first.
const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl Needs {
    /// Whether it is nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether there is room for it.
    pub fn fits(&self, room: &Self) -> bool {
        self.memory_bytes <= room.memory_bytes && self.cpu_milli <= room.cpu_milli
    }

    /// Whether there is room for it when `other` has had its share; of what it does not need itself it takes
    /// nothing away.
    pub fn fits_beside(&self, other: &Self, room: &Self) -> bool {
        let fits = |own: u64, other: u64, room: u64| own == 0 || own.saturating_add(other) <= room;
        fits(self.memory_bytes, other.memory_bytes, room.memory_bytes)
            && fits(self.cpu_milli, other.cpu_milli, room.cpu_milli)
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
            cpu_milli: self.cpu_milli.saturating_add(other.cpu_milli),
        }
    }

    /// What is left without the other.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self {
            memory_bytes: self.memory_bytes.saturating_sub(other.memory_bytes),
            cpu_milli: self.cpu_milli.saturating_sub(other.cpu_milli),
        }
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory_bytes, cpu_milli } = self;
        let unit = UNITS.iter().find(|(_, bytes)| *memory_bytes > 0 && memory_bytes % bytes == 0);
        match unit {
            Some((unit, bytes)) => write!(f, "{} {unit} of memory", memory_bytes / bytes)?,
            None if *memory_bytes > 0 || *cpu_milli == 0 => write!(f, "{memory_bytes} bytes of memory")?,
            None => {}
        }
        let and = if *memory_bytes > 0 { " and " } else { "" };
        match cpu_milli {
            0 => Ok(()),
            1_000 => write!(f, "{and}1 processor"),
            milli => write!(f, "{and}{} processors", *milli as f64 / 1_000.0),
        }
    }
}

/// Reads an amount of memory: a whole number of a unit, such as `2GiB` or `512 MiB`.
pub fn memory_bytes(text: &str) -> Option<u64> {
    let (number, bytes) = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)))?;
    let number = number.trim_end();
    // A number may begin with a sign elsewhere; here nothing but digits does.
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<u64>().ok().filter(|_| is_number)?.checked_mul(bytes)
}

/// Processors in thousandths, from 0.01 to 4096 of them.
pub fn cpu_milli(cpus: f64) -> Option<u64> {
    // Within these bounds it is a small positive number.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (0.01..=4_096.0).contains(&cpus).then(|| (cpus * 1_000.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_written_with_a_unit() {
        for (text, bytes) in [
            ("2GiB", Some(2 << 30)),
            ("512 MiB", Some(512 << 20)),
            ("1KiB", Some(1 << 10)),
            ("3TiB", Some(3 << 40)),
            ("2GB", None),
            ("2", None),
            ("-2GiB", None),
            ("+2GiB", None),
            ("1.5GiB", None),
            ("GiB", None),
            ("99999999999TiB", None),
        ] {
            assert_eq!(memory_bytes(text), bytes, "{text}");
        }
        assert_eq!([cpu_milli(0.5), cpu_milli(0.0), cpu_milli(f64::NAN)], [Some(500), None, None]);
    }

    #[test]
    fn needs_fit_each_by_itself_and_are_told_in_whole_units() {
        let of = |memory_bytes: u64, cpu_milli: u64| Needs { memory_bytes, cpu_milli };
        assert!(of(2, 1_000).fits(&of(2, 1_000)) && !of(3, 0).fits(&of(2, 9)) && !of(0, 2).fits(&of(9, 1)));
        // Who waits for memory keeps nobody from a processor.
        let (waits, room) = (of(8, 0), of(4, 2_000));
        assert!(of(0, 1_000).fits_beside(&waits, &room) && !of(1, 0).fits_beside(&waits, &room));
        assert_eq!(of(2 << 30, 1_500).to_string(), "2 GiB of memory and 1.5 processors");
        assert_eq!([of(0, 500), of(3, 0)].map(|needs| needs.to_string()), ["0.5 processors", "3 bytes of memory"]);
    }
}
