//! The crate `quamina`, which reads JSON itself.

use anyhow::{Result, anyhow};
use quamina::QuaminaBuilder;

use super::Matcher;

/// Above what the largest set that it can hold takes.
const ARENA_BYTES_MAX: usize = 8 << 30;
const STATES_PER_PATTERN_MAX: usize = 1 << 20;

pub(super) fn build(texts: &[(u32, String)]) -> Result<Matcher> {
    let builder = QuaminaBuilder::<u32>::new().with_arena_byte_budget(ARENA_BYTES_MAX);
    let mut quamina =
        builder.with_max_states_per_pattern(STATES_PER_PATTERN_MAX).build().map_err(|error| anyhow!("{error}"))?;
    for (id, pattern) in texts {
        quamina.add_pattern(*id, pattern).map_err(|error| anyhow!("{pattern}: {error}"))?;
    }
    Ok(Box::new(move |event, found| {
        found.extend(quamina.matches_for_event(event).map_err(|error| anyhow!("{error}"))?);
        Ok(())
    }))
}
