//! Lots of a city as GeoJSON features, shaped like the file that pattern matchers like to be measured on.
//!
//! All properties are texts. Lots come in order of their blocks in the real file; here they are shuffled,
//! so that a prefix of the corpus is a fair sample of it.

use std::fmt::Write;

use crate::corpus::{EVENTS, SEED};
use crate::random::{Random, Zipf, distinct, word};

const STREETS: usize = 2_000;
const TYPES: [&str; 10] = ["ST", "AVE", "WAY", "BLVD", "DR", "TER", "CT", "LN", "PL", "ALY"];

pub(super) fn lines(events: usize) -> String {
    let mut random = Random::new(SEED ^ 0xC171);
    let streets = distinct(&mut random, STREETS, |random| {
        let syllables = 2 + random.below(3);
        word(random, syllables).to_uppercase()
    });
    let of_streets = Zipf::new(streets.len(), 1.0);
    let of_types = Zipf::new(TYPES.len(), 1.3);
    let lots = lots(&mut random);
    let mut lines = String::with_capacity(events * 700);
    for &(block, lot) in &lots[..events] {
        let numbers = house_numbers(&mut random);
        // Streets cluster by block.
        let street =
            if random.chance(0.7) { (block * 7919 + (lot % 3) * 131) % STREETS } else { of_streets.draw(&mut random) };
        let street_type = if random.chance(0.03) {
            None
        } else if random.chance(0.8) {
            Some(TYPES[street % 10 % 3])
        } else {
            Some(TYPES[of_types.draw(&mut random)])
        };
        let odd_even = if random.chance(0.5) { "E" } else { "O" };
        properties(&mut lines, (block, lot), numbers, &streets[street], street_type, odd_even);
        geometry(&mut lines, &mut random);
    }
    lines
}

/// Block and lot of every event, shuffled.
fn lots(random: &mut Random) -> Vec<(usize, usize)> {
    let (mut block, mut lot, mut block_lots) = (1, 0, 20);
    let mut lots = Vec::with_capacity(EVENTS);
    for _ in 0..EVENTS {
        lot += 1;
        if lot > block_lots {
            block += 1;
            lot = 1;
            block_lots = 4 + (random.unit() * random.unit() * 120.0) as usize;
        }
        lots.push((block, lot));
    }
    random.shuffle(&mut lots);
    lots
}

/// From and to; nothing is known of 2 % of the lots.
fn house_numbers(random: &mut Random) -> Option<(usize, usize)> {
    if random.chance(0.02) {
        return None;
    }
    let from = 1 + (random.unit() * random.unit() * 4900.0) as usize;
    let more = if random.chance(0.8) { 0 } else { 2 * random.below(6) };
    Some((from, from + more))
}

fn properties(
    lines: &mut String,
    (block, lot): (usize, usize),
    numbers: Option<(usize, usize)>,
    street: &str,
    street_type: Option<&str>,
    odd_even: &str,
) {
    let (from, to) = match numbers {
        Some((from, to)) => (format!("\"{from}\""), format!("\"{to}\"")),
        None => ("null".to_owned(), "null".to_owned()),
    };
    let street_type = street_type.map(|name| format!(", \"ST_TYPE\": \"{name}\"")).unwrap_or_default();
    // Writing to a string does not fail.
    let _ = write!(
        lines,
        "{{ \"type\": \"Feature\", \"properties\": {{ \"MAPBLKLOT\": \"{block:04}{lot:03}\", \
         \"BLKLOT\": \"{block:04}{lot:03}\", \"BLOCK_NUM\": \"{block:04}\", \"LOT_NUM\": \"{lot:03}\", \
         \"FROM_ST\": {from}, \"TO_ST\": {to}, \"STREET\": \"{street}\"{street_type}, \
         \"ODD_EVEN\": \"{odd_even}\" }}, "
    );
}

fn geometry(lines: &mut String, random: &mut Random) {
    let several = random.chance(0.02);
    let (name, open, close) =
        if several { ("MultiPolygon", "[ ", " ] ] ] } }\n") } else { ("Polygon", "", " ] ] } }\n") };
    let _ = write!(lines, "\"geometry\": {{ \"type\": \"{name}\", \"coordinates\": [ {open}[ ");
    let (longitude, latitude) = (-122.5 + random.unit() * 0.13, 37.70 + random.unit() * 0.11);
    let corners = 6 + (random.unit() * random.unit() * 7.0) as usize;
    for corner in 0..corners {
        let angle = corner as f64 * std::f64::consts::TAU / corners as f64;
        if corner > 0 {
            lines.push_str(", ");
        }
        let x = longitude + angle.cos() * 1e-4 + random.unit() * 1e-6;
        let y = latitude + angle.sin() * 1e-4 + random.unit() * 1e-6;
        let _ = write!(lines, "[ {x:.15}, {y:.15}, 0.0 ]");
    }
    lines.push_str(close);
}
