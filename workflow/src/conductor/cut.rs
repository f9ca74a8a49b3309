//! What is too much to call people with, cut, so that they are called all the same.

use serde_json::{Map, Value};

/// Least room, in bytes, for which a value is cut and not left out; what is told of what is missing has room in it, too.
const CUT_BYTES_MIN: usize = 64;

/// A value that has at most so many bytes as JSON, which are at least [`CUT_BYTES_MIN`]. Of texts and lists the beginning
/// is kept; of an object what is small is kept whole, and what is large shares what that leaves. Wherever something is
/// missing it is told how much.
pub(super) fn cut(value: Value, bytes_max: usize) -> Value {
    if bytes(&value) <= bytes_max {
        return value;
    }
    match value {
        Value::String(text) => cut_text(&text, bytes_max),
        Value::Array(items) => cut_list(items, bytes_max),
        Value::Object(entries) => cut_object(entries, bytes_max),
        // Nothing of it can be left out, and it is short.
        other => other,
    }
}

fn bytes(value: &Value) -> usize {
    value.to_string().len()
}

fn cut_text(text: &str, bytes_max: usize) -> Value {
    let told = format!("… (cut: all of it has {} bytes)", text.len());
    let mut kept_bytes = bytes_max.saturating_sub(told.len() + 2);
    loop {
        let kept = &text[..text.floor_char_boundary(kept_bytes)];
        let cut = Value::String(format!("{kept}{told}"));
        if kept_bytes == 0 || bytes(&cut) <= bytes_max {
            return cut;
        }
        // What JSON escapes is longer than it is.
        kept_bytes /= 2;
    }
}

fn cut_list(items: Vec<Value>, bytes_max: usize) -> Value {
    let count = items.len();
    let mut room = bytes_max.saturating_sub(CUT_BYTES_MIN);
    let mut kept = Vec::new();
    for item in items {
        // With a comma.
        let item_bytes = bytes(&item) + 1;
        if item_bytes > room {
            if room > CUT_BYTES_MIN {
                kept.push(cut(item, room - 1));
            }
            break;
        }
        room -= item_bytes;
        kept.push(item);
    }
    if kept.len() < count {
        kept.push(format!("… (cut: {} more of {count})", count - kept.len()).into());
    }
    Value::Array(kept)
}

fn cut_object(entries: Map<String, Value>, bytes_max: usize) -> Value {
    let count = entries.len();
    let mut by_size: Vec<(usize, String, Value)> =
        entries.into_iter().map(|(name, value)| (bytes(&value), name, value)).collect();
    by_size.sort_by(|(one, name, _), (other, other_name, _)| (one, name).cmp(&(other, other_name)));
    let mut room = bytes_max.saturating_sub(CUT_BYTES_MIN);
    let mut kept = Map::new();
    for (number, (value_bytes, name, value)) in by_size.into_iter().enumerate() {
        // In quotes, with a colon and a comma.
        let name_bytes = bytes(&Value::from(name.as_str())) + 2;
        // What is small is kept whole for as long as there is room.
        let share = (room / (count - number)).max(name_bytes + CUT_BYTES_MIN);
        let share = share.min(room).saturating_sub(name_bytes);
        if value_bytes > share && share < CUT_BYTES_MIN {
            break;
        }
        let value = cut(value, share);
        room = room.saturating_sub(name_bytes + bytes(&value));
        kept.insert(name, value);
    }
    if kept.len() < count {
        kept.insert("left_out".to_owned(), format!("{} of {count}", count - kept.len()).into());
    }
    Value::Object(kept)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_small_stays_whole_and_what_is_large_is_cut() {
        let tasks = json!([{ "task": "drain", "status": "failed" }]);
        let small = json!({ "title": "web waits for you", "tasks": tasks });
        assert_eq!(cut(small.clone(), 1_000), small);
        let large =
            json!({ "title": "web waits for you", "tasks": tasks, "known": { "log": "x".repeat(5_000), "n": 1 } });
        let shown = cut(large, 1_000);
        assert_eq!((&shown["title"], &shown["tasks"], &shown["known"]["n"]), (&small["title"], &tasks, &json!(1)));
        let log = shown["known"]["log"].as_str().unwrap();
        assert!(log.starts_with("xxxx") && log.ends_with("x… (cut: all of it has 5000 bytes)"), "{log}");
        assert!(log.len() > 500, "there is room for more: {}", log.len());
    }

    #[test]
    fn of_lists_and_many_names_it_is_told_how_many_are_missing() {
        let numbers: Vec<u32> = (0..1_000).collect();
        let shown = cut(json!(numbers), 200);
        let shown = shown.as_array().unwrap();
        assert_eq!((&shown[0], &shown[9]), (&json!(0), &json!(9)));
        let told = format!("… (cut: {} more of 1000)", 1_000 - (shown.len() - 1));
        assert_eq!(shown.last().unwrap(), &json!(told));
        let names: Map<String, Value> = numbers.iter().map(|n| (format!("name{n}"), json!(n))).collect();
        let shown = cut(Value::Object(names), 400);
        let kept = shown.as_object().unwrap().len() - 1;
        assert!(kept > 10, "{shown}");
        assert_eq!(shown["left_out"], json!(format!("{} of 1000", 1_000 - kept)));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "[a\"\\\\é\u{1}]{0,400}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 60, 12, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..12).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,30}", inner, 0..12)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_cut_has_room(value in value(), bytes_max in CUT_BYTES_MIN..2_000) {
            let is_small = bytes(&value) <= bytes_max;
            let shown = cut(value.clone(), bytes_max);
            prop_assert!(bytes(&shown) <= bytes_max, "{} of {bytes_max}: {shown}", bytes(&shown));
            prop_assert_eq!(shown == value, is_small);
        }
    }
}
