//! How many hosts may fail.

use serde_json::Value;

use super::super::keys::{Keys, Mistake};

/// When it has failed: hosts that have not begun by then are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailAt {
    /// With the first host that fails.
    Any,
    /// Only when every host has failed.
    All,
    /// When so many of a hundred hosts have failed, rounded up.
    Percent(u32),
}

impl FailAt {
    /// Whether it has failed, with so many of so many hosts.
    pub fn is_reached(self, failed: usize, hosts: usize) -> bool {
        match self {
            Self::Any => failed > 0,
            Self::All => failed >= hosts,
            Self::Percent(percent) => failed > 0 && (failed as u128) * 100 >= u128::from(percent) * (hosts as u128),
        }
    }

    pub(super) fn read(keys: &mut Keys<'_>) -> Self {
        let Some(value) = keys.get("fail_at") else { return Self::Any };
        let percent = |text: &str| {
            let number = text.strip_suffix('%')?.trim_end().parse::<u32>().ok()?;
            (1..=100).contains(&number).then_some(Self::Percent(number))
        };
        let read = match value.as_str() {
            Some("any") => Some(Self::Any),
            Some("all") => Some(Self::All),
            Some(text) => percent(text),
            None => None,
        };
        if read.is_none() {
            let found = match value {
                Value::String(text) => format!("{text:?}"),
                other => other.to_string(),
            };
            let message = format!("\"fail_at\" must be any, all, or a share from 1% to 100%, found {found}");
            keys.error("/fail_at", Mistake::BadValue, message);
        }
        read.unwrap_or(Self::Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_up() {
        for (fail_at, hosts, fewest) in [
            (FailAt::Any, 5, 1),
            (FailAt::All, 5, 5),
            (FailAt::Percent(1), 5, 1),
            (FailAt::Percent(20), 5, 1),
            (FailAt::Percent(21), 5, 2),
            (FailAt::Percent(50), 3, 2),
            (FailAt::Percent(100), 3, 3),
        ] {
            for failed in 0..=hosts {
                assert_eq!(fail_at.is_reached(failed, hosts), failed >= fewest, "{fail_at:?}: {failed} of {hosts}");
            }
        }
    }
}
