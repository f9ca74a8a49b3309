//! Random events, in the fields that random rules read and with the values that they compare.

use std::sync::LazyLock;

use crate::rng::Rng;
use crate::words::COMMON_NUMBERS;

/// Numbers as they stand in events, the common ones first.
static NUMBERS: LazyLock<Vec<&str>> = LazyLock::new(|| [COMMON_NUMBERS, BORDER_NUMBERS].concat());

/// Around every border of a type, and alike across types.
const BORDER_NUMBERS: &[&str] = &[
    "90",
    "90.0",
    "-0",
    "-0.0",
    "1e1",
    "5e-324",
    "100000",
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "9007199254740992.0",
    "-9007199254740993",
    "9223372036854775806",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "9223372036854775807.0",
    "18446744073709551615",
    "18446744073709551616",
    "1.7976931348623157e308",
    "0.1",
    "16777217",
    "1e39",
    "-1e39",
    "1e-46",
];

/// Strings, without their quotes, as they stand in events.
const STRINGS: &[&str] = &[
    "",
    "a",
    "b",
    "A",
    "ab",
    "db-1",
    "db-2",
    "web-1",
    "db-",
    "1",
    "true",
    "é",
    "e\\u0301",
    "日本",
    "\\ud83d\\udc31",
    "🐱",
    "\\u0061",
    "a\\nb",
    "a\\\"b",
    "k",
    "v",
    "x",
    "2001-02-03T04:05:06Z",
    "2001-02-03T04:05:06+01:00",
    "10s",
    "10.0.0.1",
    "a\\nb\\ndb-1",
    "DB-1",
    "db-1/sixty-four bytes and more of them: as many as make a comparison cost a step",
];

/// A JSON text in pieces.
#[derive(Debug, Clone)]
pub enum Json {
    /// A number, a string or a word.
    Scalar(String),
    List(Vec<Json>),
    /// Names without quotes, not always once each.
    Map(Vec<(String, Json)>),
}

impl Json {
    pub fn text(&self) -> String {
        match self {
            Self::Scalar(text) => text.clone(),
            Self::List(list) => format!("[{}]", list.iter().map(Self::text).collect::<Vec<_>>().join(",")),
            Self::Map(map) => {
                let member = |(name, value): &(String, Self)| format!("\"{name}\":{}", value.text());
                format!("{{{}}}", map.iter().map(member).collect::<Vec<_>>().join(","))
            }
        }
    }

    /// Smaller documents: without one of the members or elements, or with one of them smaller.
    pub fn smaller(&self) -> Vec<Json> {
        match self {
            Self::Scalar(_) => Vec::new(),
            Self::List(list) => {
                let without = (0..list.len()).map(|at| Self::List(but(list, at)));
                let inside = |(at, value): (usize, &Json)| value.smaller().into_iter().map(move |value| (at, value));
                let smaller = list.iter().enumerate().flat_map(inside).map(|(at, value)| {
                    let mut list = list.clone();
                    list[at] = value;
                    Self::List(list)
                });
                without.chain(smaller).collect()
            }
            Self::Map(map) => {
                let without = (0..map.len()).map(|at| Self::Map(but(map, at)));
                let inside = |(at, member): (usize, &(String, Json))| {
                    member.1.smaller().into_iter().map(move |value| (at, value))
                };
                let smaller = map.iter().enumerate().flat_map(inside).map(|(at, value)| {
                    let mut map = map.clone();
                    map[at].1 = value;
                    Self::Map(map)
                });
                without.chain(smaller).collect()
            }
        }
    }
}

fn but<T: Clone>(list: &[T], at: usize) -> Vec<T> {
    [&list[..at], &list[at + 1..]].concat()
}

/// An event. Most are objects with most fields in their usual types.
pub fn event(rng: &mut Rng) -> Json {
    if rng.chance(4) {
        return any(rng, 2);
    }
    let mut members = Vec::new();
    let mut field = |rng: &mut Rng, name: &str, usual: Make| {
        // Now and then a name stands there twice; the last one counts.
        let times = if rng.chance(80) { 1 + usize::from(rng.chance(2)) } else { 0 };
        for _ in 0..times {
            let value = if rng.chance(85) { usual(rng) } else { any(rng, 2) };
            members.push((name.to_owned(), value));
        }
    };
    for name in ["n", "m", "big", "price"] {
        field(rng, name, number);
    }
    for name in ["s", "host", "at", "a-b"] {
        field(rng, name, string);
    }
    field(rng, "b", boolean);
    field(rng, "d", |rng| object(rng, &[("x", number), ("y", number), ("name", string), ("ok", boolean)]));
    field(rng, "labels", |rng| object(rng, &[("k", string), ("a", string), ("1", number), ("é", any_small)]));
    field(rng, "tags", |rng| list(rng, string));
    field(rng, "nums", |rng| list(rng, number));
    field(rng, "items", |rng| list(rng, |rng| object(rng, &[("k", string), ("v", number), ("in", numbers)])));
    field(rng, "deep", |rng| object(rng, &[("er", |rng| object(rng, &[("x", number), ("s", string)]))]));
    // The order of fields must not matter.
    for at in (1..members.len()).rev() {
        members.swap(at, rng.below(at + 1));
    }
    Json::Map(members)
}

fn number(rng: &mut Rng) -> Json {
    // Small numbers, so that arithmetic has something to do.
    let small = &NUMBERS[..10];
    let of = if rng.chance(60) { small } else { &NUMBERS[..] };
    Json::Scalar((*rng.pick(of)).to_owned())
}

fn string(rng: &mut Rng) -> Json {
    Json::Scalar(format!("\"{}\"", rng.pick(STRINGS)))
}

fn boolean(rng: &mut Rng) -> Json {
    Json::Scalar((*rng.pick(&["true", "false"])).to_owned())
}

fn numbers(rng: &mut Rng) -> Json {
    list(rng, number)
}

fn list(rng: &mut Rng, of: Make) -> Json {
    let length = rng.below(4);
    let element = |rng: &mut Rng| if rng.chance(90) { of(rng) } else { any(rng, 1) };
    Json::List((0..length).map(|_| element(rng)).collect())
}

/// Makes a value.
type Make = fn(&mut Rng) -> Json;

fn object(rng: &mut Rng, fields: &[(&str, Make)]) -> Json {
    let mut members = Vec::new();
    for (name, usual) in fields {
        if rng.chance(80) {
            let value = if rng.chance(90) { usual(rng) } else { any(rng, 1) };
            members.push(((*name).to_owned(), value));
        }
    }
    Json::Map(members)
}

fn any_small(rng: &mut Rng) -> Json {
    any(rng, 1)
}

fn any(rng: &mut Rng, depth: usize) -> Json {
    match rng.below(if depth == 0 { 5 } else { 8 }) {
        0 => Json::Scalar("null".to_owned()),
        1 => boolean(rng),
        2 | 3 => number(rng),
        4 => string(rng),
        5 => Json::List((0..rng.below(3)).map(|_| any(rng, depth - 1)).collect()),
        6 => list(rng, string),
        _ => {
            let names = ["k", "x", "a", "name", "v"];
            Json::Map((0..rng.below(3)).map(|_| ((*rng.pick(&names)).to_owned(), any(rng, depth - 1))).collect())
        }
    }
}
