//! The release after this one, as far as its records go: each of them has one more field, and so one more version.
//!
//! It shows that two releases run side by side (tests/e2e, `upgrade`). Any build with debug assertions can be told
//! to be it, before it reads or writes its first record; a build without has nothing of this. Being told, rather
//! than being built, spares the gate a second build of everything, and tests the same: which schemas a process
//! knows is all that tells the two apart.

use apache_avro::Schema;
use serde_json::{Value, json};

use crate::codec::{Known, Registry, be};

/// What every record of that release says in its additional field.
const SAID: &str = "written by the next release";

/// From now on this process is one of the next release.
///
/// # Panics
/// If it has read or written a record already.
pub fn be_the_next_release() {
    assert!(be(Registry::shipped().with_next()), "a process is of one release from its beginning");
}

impl Registry {
    /// With one more version of every record.
    pub(crate) fn with_next(mut self) -> Self {
        let since = self.newest_format() + 1;
        let next: Vec<Known> = self.newest_of_all().map(|newest| next_of(newest, since)).collect();
        next.into_iter().for_each(|known| self.add(known));
        self
    }
}

fn next_of(newest: &Known, since: u32) -> Known {
    // A parsed schema can be written as JSON, and what a test appends to it can be parsed; a test does both.
    #[allow(clippy::expect_used)]
    let mut text = serde_json::to_value(&newest.schema).expect("a schema is JSON");
    if let Some(Value::Array(fields)) = text.get_mut("fields") {
        fields.push(json!({ "name": "next_release", "type": "string", "default": "" }));
    }
    #[allow(clippy::expect_used)]
    let schema = Schema::parse(&text).expect("one more field is a schema");
    // A string is its length, zigzag, and its bytes.
    let mut beyond = vec![u8::try_from(SAID.len() * 2).unwrap_or_default()];
    beyond.extend_from_slice(SAID.as_bytes());
    Known::new(newest.name, newest.version + 1, since, schema, beyond)
}
