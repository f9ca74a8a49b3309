//! The two corpora and the fields that rules read.

use std::fmt;

/// What a field holds when it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// A number with two digits behind the point.
    Float,
    Int,
    /// A list of texts.
    Tags,
}

/// A field that rules may read. A rule names it by its number in the corpus.
#[derive(Debug)]
pub(crate) struct Field {
    pub path: &'static [&'static str],
    pub kind: Kind,
}

impl Field {
    const fn new(path: &'static [&'static str], kind: Kind) -> Self {
        Self { path, kind }
    }

    /// `labels.team`
    pub(crate) fn dotted(&self) -> String {
        self.path.join(".")
    }

    /// `labels_team`, for engines whose events are flat.
    #[cfg(any(feature = "rivals", test))]
    pub(crate) fn flat(&self) -> String {
        self.path.join("_")
    }
}

/// Where events come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Corpus {
    /// Lots of a city as GeoJSON features.
    City,
    /// Alerts of a monitoring system.
    Ops,
}

impl Corpus {
    pub(crate) const ALL: [Corpus; 2] = [Corpus::City, Corpus::Ops];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::City => "city",
            Self::Ops => "ops",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|corpus| corpus.name() == name)
    }

    pub(crate) fn fields(self) -> &'static [Field] {
        match self {
            Self::City => &city::FIELDS,
            Self::Ops => &ops::FIELDS,
        }
    }
}

impl fmt::Display for Corpus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The numbers of a lot's fields.
pub(crate) mod city {
    use super::{Field, Kind};

    pub(crate) const MAP_LOT: usize = 0;
    pub(crate) const LOT: usize = 1;
    pub(crate) const BLOCK_NUM: usize = 2;
    pub(crate) const LOT_NUM: usize = 3;
    /// Null in 2 % of the events, as in the real file.
    pub(crate) const FROM_ST: usize = 4;
    pub(crate) const TO_ST: usize = 5;
    pub(crate) const STREET: usize = 6;
    /// Absent in 3 %.
    pub(crate) const ST_TYPE: usize = 7;
    pub(crate) const ODD_EVEN: usize = 8;
    pub(crate) const GEOMETRY: usize = 9;

    pub(super) static FIELDS: [Field; 10] = [
        Field::new(&["properties", "MAPBLKLOT"], Kind::Text),
        Field::new(&["properties", "BLKLOT"], Kind::Text),
        Field::new(&["properties", "BLOCK_NUM"], Kind::Text),
        Field::new(&["properties", "LOT_NUM"], Kind::Text),
        Field::new(&["properties", "FROM_ST"], Kind::Text),
        Field::new(&["properties", "TO_ST"], Kind::Text),
        Field::new(&["properties", "STREET"], Kind::Text),
        Field::new(&["properties", "ST_TYPE"], Kind::Text),
        Field::new(&["properties", "ODD_EVEN"], Kind::Text),
        Field::new(&["geometry", "type"], Kind::Text),
    ];
}

/// The numbers of an alert's fields.
pub(crate) mod ops {
    use super::{Field, Kind};

    pub(crate) const HOST: usize = 0;
    pub(crate) const SERVICE: usize = 1;
    pub(crate) const SEVERITY: usize = 2;
    pub(crate) const CPU: usize = 3;
    pub(crate) const COUNT: usize = 4;
    pub(crate) const TEAM: usize = 5;
    pub(crate) const ENV: usize = 6;
    pub(crate) const DC: usize = 7;
    /// Absent in 20 %.
    pub(crate) const CLUSTER: usize = 8;
    pub(crate) const TAGS: usize = 9;
    pub(crate) const MESSAGE: usize = 10;

    pub(super) static FIELDS: [Field; 11] = [
        Field::new(&["host"], Kind::Text),
        Field::new(&["service"], Kind::Text),
        Field::new(&["severity"], Kind::Text),
        Field::new(&["cpu"], Kind::Float),
        Field::new(&["count"], Kind::Int),
        Field::new(&["labels", "team"], Kind::Text),
        Field::new(&["labels", "env"], Kind::Text),
        Field::new(&["labels", "dc"], Kind::Text),
        Field::new(&["labels", "cluster"], Kind::Text),
        Field::new(&["tags"], Kind::Tags),
        Field::new(&["message"], Kind::Text),
    ];
}
