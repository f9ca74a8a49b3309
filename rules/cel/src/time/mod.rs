//! Instants and spans of time, to the nanosecond (google.protobuf.Timestamp and Duration).

mod civil;
mod text;

pub(crate) use civil::Civil;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// An instant between 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999999Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since the epoch.
    pub seconds: i64,
    /// Nanoseconds into that second, below 10⁹.
    pub nanos: u32,
}

/// A span of time, of at most about 292 years (cel-go's range: nanoseconds in 64 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration {
    /// Nanoseconds.
    pub nanos: i64,
}

impl Timestamp {
    /// The first second: 0001-01-01T00:00:00Z.
    pub const SECONDS_MIN: i64 = -62_135_596_800;
    /// The last second: 9999-12-31T23:59:59Z.
    pub const SECONDS_MAX: i64 = 253_402_300_799;

    /// An instant, if it is in range.
    pub fn new(seconds: i64, nanos: u32) -> Option<Self> {
        let fits = (Self::SECONDS_MIN..=Self::SECONDS_MAX).contains(&seconds) && i64::from(nanos) < NANOS_PER_SECOND;
        fits.then_some(Self { seconds, nanos })
    }

    /// The instant so many milliseconds after the epoch, if it is in range.
    pub fn from_millis(millis: i64) -> Option<Self> {
        // A remainder of 1000 fits.
        let nanos = u32::try_from(millis.rem_euclid(1000)).ok()? * 1_000_000;
        Self::new(millis.div_euclid(1000), nanos)
    }

    /// Later by a span, if that is in range.
    pub fn checked_add(self, by: Duration) -> Option<Self> {
        Self::from_nanos(self.to_nanos() + i128::from(by.nanos))
    }

    /// Earlier by a span, if that is in range.
    pub fn checked_sub(self, by: Duration) -> Option<Self> {
        Self::from_nanos(self.to_nanos() - i128::from(by.nanos))
    }

    /// The span from another instant to this one, if it is in range.
    pub fn since(self, other: Self) -> Option<Duration> {
        let nanos = i64::try_from(self.to_nanos() - other.to_nanos()).ok()?;
        Some(Duration { nanos })
    }

    fn to_nanos(self) -> i128 {
        i128::from(self.seconds) * i128::from(NANOS_PER_SECOND) + i128::from(self.nanos)
    }

    fn from_nanos(nanos: i128) -> Option<Self> {
        let seconds = nanos.div_euclid(i128::from(NANOS_PER_SECOND));
        let rest = nanos.rem_euclid(i128::from(NANOS_PER_SECOND));
        Self::new(i64::try_from(seconds).ok()?, u32::try_from(rest).ok()?)
    }
}

impl Duration {
    /// Both spans, one after the other, if that is in range.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.nanos.checked_add(other.nanos).map(|nanos| Self { nanos })
    }

    /// This span without another, if that is in range.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.nanos.checked_sub(other.nanos).map(|nanos| Self { nanos })
    }
}
