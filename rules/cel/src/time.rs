//! Instants and spans of time, to the nanosecond (google.protobuf.Timestamp and Duration).

/// An instant between 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999999Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since the epoch.
    pub seconds: i64,
    /// Nanoseconds into that second, below 10⁹.
    pub nanos: u32,
}

/// A span of time, of at most about 290 years (cel-go's range: nanoseconds in 64 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration {
    /// Nanoseconds.
    pub nanos: i64,
}
