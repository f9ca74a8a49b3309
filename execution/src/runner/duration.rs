//! Durations as users write them, where they may come of an expression: `500ms`, `10s`, `10m`, `2h`, `7d`.

/// Milliseconds of a written duration.
///
/// # Errors
/// A sentence that says what is expected.
pub(super) fn parse_ms(text: &str) -> Result<u64, String> {
    let expected =
        || format!("{text:?} is not a duration: write a whole number and a unit (ms, s, m, h, d), such as 10s or 7d");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(expected()),
    };
    let number: u64 = number.parse().map_err(|_| expected())?;
    number.checked_mul(unit_ms).ok_or_else(|| format!("the duration {text:?} is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in [("500ms", 500), ("10s", 10_000), ("10m", 600_000), ("2h", 7_200_000), ("7d", 604_800_000)] {
            assert_eq!(parse_ms(text), Ok(ms));
        }
        for text in ["", "10", "s", "1.5s", "-1s", "10 s", "10S", "1h30m", "99999999999999999999s"] {
            assert!(parse_ms(text).is_err(), "{text}");
        }
    }
}
