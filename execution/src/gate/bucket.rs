//! A token bucket in whole numbers: nothing is lost or won by rounding, however often it is asked.

/// A bucket. Its level is counted in parts of a token, of which [`Bucket::per_ms`] make a whole one: in each millisecond
/// come as many parts as tokens come in `per_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Parts that were in it then.
    pub parts: i64,
    /// When that was, by the gate's clock.
    pub at_ms: i64,
    /// Parts of a whole token.
    pub per_ms: i64,
}

/// How a bucket fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fill {
    pub(super) tokens: u32,
    pub(super) per_ms: i64,
    pub(super) burst: u32,
}

impl Fill {
    fn per_ms(self) -> i64 {
        self.per_ms.max(1)
    }

    fn full(self) -> i64 {
        i64::from(self.burst).saturating_mul(self.per_ms())
    }

    /// When a bucket will hold so many parts, by the gate's clock; never, as the end of time, where
    /// none come or it never holds as many.
    fn when(self, bucket: Bucket, parts: i64) -> i64 {
        let missing = parts.saturating_sub(bucket.parts);
        match i64::from(self.tokens) {
            _ if missing <= 0 => bucket.at_ms,
            0 => i64::MAX,
            _ if parts > self.full() => i64::MAX,
            tokens => bucket.at_ms.saturating_add(missing.saturating_add(tokens - 1) / tokens),
        }
    }
}

impl Bucket {
    /// A full one.
    pub(super) fn full(fill: Fill, now_ms: i64) -> Self {
        Self { parts: fill.full(), at_ms: now_ms, per_ms: fill.per_ms() }
    }

    /// The same at a later time, under the terms that hold now.
    pub(super) fn at(self, fill: Fill, now_ms: i64) -> Self {
        let parts = match self.per_ms == fill.per_ms() {
            true => self.parts,
            false => {
                let scaled = i128::from(self.parts) * i128::from(fill.per_ms()) / i128::from(self.per_ms.max(1));
                i64::try_from(scaled).unwrap_or(i64::MAX)
            }
        };
        let at_ms = self.at_ms.max(now_ms);
        let come = at_ms.saturating_sub(self.at_ms).saturating_mul(i64::from(fill.tokens));
        Self { parts: parts.saturating_add(come).clamp(0, fill.full()), at_ms, per_ms: fill.per_ms() }
    }

    /// When it holds a whole token, by the gate's clock.
    pub(super) fn token_at_ms(self, fill: Fill) -> i64 {
        fill.when(self, fill.per_ms())
    }

    /// When it is full, by the gate's clock.
    pub(super) fn full_at_ms(self, fill: Fill) -> i64 {
        fill.when(self, fill.full())
    }

    /// A token less.
    pub(super) fn take(self) -> Self {
        debug_assert!(self.parts >= self.per_ms, "a token is taken only where there is one");
        Self { parts: self.parts - self.per_ms, ..self }
    }

    /// How many parts it lacks.
    pub(super) fn missing(self, fill: Fill) -> i64 {
        fill.full().saturating_sub(self.parts).max(0)
    }

    /// So much of a token that was not used comes back, unless it is full.
    pub(super) fn put_back(self, fill: Fill, parts: i64) -> Self {
        Self { parts: self.parts.saturating_add(parts).min(fill.full()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_comes_when_it_is_due_and_not_a_millisecond_before() {
        // Three tokens in ten milliseconds: the first is whole after four, the second after seven, the third after ten.
        let fill = Fill { tokens: 3, per_ms: 10, burst: 3 };
        let empty = Bucket { parts: 0, at_ms: 100, per_ms: 10 };
        assert_eq!(empty.token_at_ms(fill), 104);
        let tokens = |now_ms| empty.at(fill, now_ms).parts / 10;
        assert_eq!([103, 104, 106, 107, 109, 110, 999].map(tokens), [0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(empty.full_at_ms(fill), 110);
        assert_eq!((empty.put_back(fill, 10).parts, empty.missing(fill)), (10, 30));
        assert_eq!(empty.at(fill, 999).put_back(fill, 10).parts, 30, "a full one holds no more");
        let none = Fill { tokens: 0, ..fill };
        assert_eq!(empty.token_at_ms(none), i64::MAX);
        assert_eq!(empty.token_at_ms(Fill { burst: 0, ..fill }), i64::MAX);
    }

    #[test]
    fn other_terms_keep_the_tokens_that_are_in_it() {
        let half = Bucket { parts: 500, at_ms: 0, per_ms: 1_000 };
        let minute = Fill { tokens: 1, per_ms: 60_000, burst: 5 };
        assert_eq!(half.at(minute, 0).parts, 30_000);
        let small = Fill { tokens: 1, per_ms: 1_000, burst: 1 };
        assert_eq!(Bucket { parts: 5_000, ..half }.at(small, 0).parts, 1_000, "what is over the burst is lost");
    }

    proptest! {
        #[test]
        fn asking_often_is_as_asking_once(
            tokens in 1..50_u32, per_ms in 1..5_000_i64, burst in 1..20_u32, steps in prop::collection::vec(0..300_i64, 1..40)
        ) {
            let fill = Fill { tokens, per_ms, burst };
            let empty = Bucket { parts: 0, at_ms: 0, per_ms };
            let end: i64 = steps.iter().sum();
            let mut now_ms = 0;
            let often = steps.iter().fold(empty, |bucket, step| { now_ms += step; bucket.at(fill, now_ms) });
            prop_assert_eq!(often, empty.at(fill, end));
            let due_ms = empty.token_at_ms(fill);
            prop_assert!(empty.at(fill, due_ms).parts >= per_ms);
            prop_assert!(empty.at(fill, due_ms - 1).parts < per_ms);
        }
    }
}
