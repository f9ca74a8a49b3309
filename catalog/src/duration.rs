//! Durations as users write them: `500ms`, `10s`, `10m`, `2h`, `7d`.

/// Milliseconds of a written duration.
///
/// # Errors
/// A sentence that says what is expected.
pub(crate) fn parse_ms(text: &str) -> Result<i64, String> {
    let ms = petrel_execution::runner::parse_ms(text)?;
    i64::try_from(ms).map_err(|_| format!("the duration {text:?} is too long"))
}

/// A duration as users write it, in the largest unit that is exact.
pub(crate) fn show_ms(ms: i64) -> String {
    for (unit, unit_ms) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if ms != 0 && ms % unit_ms == 0 {
            return format!("{}{unit}", ms / unit_ms);
        }
    }
    format!("{ms}ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in [("500ms", 500), ("10s", 10_000), ("10m", 600_000), ("2h", 7_200_000), ("7d", 604_800_000)] {
            assert_eq!(parse_ms(text), Ok(ms));
            assert_eq!(parse_ms(&show_ms(ms)), Ok(ms));
        }
        for text in ["", "10", "s", "1.5s", "-1s", "10 s", "10S", "1h30m", "99999999999999999999s", "9999999999999999d"]
        {
            assert!(parse_ms(text).is_err(), "{text}");
        }
    }
}
