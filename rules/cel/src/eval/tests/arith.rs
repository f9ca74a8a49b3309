//! Arithmetic at its edges.

use serde_json::json;

use super::check;

#[test]
fn integers() {
    check(
        &json!({"max": i64::MAX, "min": i64::MIN, "n": 7}),
        &[
            ("trigger.n + 1", "8"),
            ("trigger.max + 1", "! overflow in +"),
            ("trigger.min - 1", "! overflow in -"),
            ("trigger.max * 2", "! overflow in *"),
            ("trigger.min * -1", "! overflow in *"),
            ("trigger.min / -1", "! overflow in /"),
            ("trigger.min % -1", "! overflow in %"),
            ("-trigger.min", "! overflow in -"),
            ("-trigger.max", "-9223372036854775807"),
            ("(zero - 5) / 2", "-2"),
            ("(zero - 5) % 3", "-2"),
            ("(zero + 5) % -3", "2"),
            ("trigger.n / zero", "! division by zero"),
            ("trigger.n % zero", "! remainder of a division by zero"),
            ("uint(trigger.n) - 7u", "0u"),
            ("uint(trigger.n) - 8u", "! overflow in -"),
            ("uint(trigger.max) * 3u", "! overflow in *"),
            ("uint(trigger.n) / 2u", "3u"),
            ("uint(trigger.n) % 4u", "3u"),
            ("uint(trigger.n) / uint(zero)", "! division by zero"),
            ("uint(trigger.n) % uint(zero)", "! remainder of a division by zero"),
            ("-uint(trigger.n)", "! - does not take uint"),
            // One type only.
            ("trigger.n + 1u", "! + does not take int and uint"),
            ("trigger.n + 0.5", "! + does not take int and double"),
            ("trigger.n * 2.0", "! * does not take int and double"),
            ("trigger.n - '1'", "! - does not take int and string"),
            ("trigger.n + null", "! + does not take int and null_type"),
            ("-(trigger.n == 1)", "! - does not take bool"),
        ],
    );
}

#[test]
fn doubles() {
    check(
        &json!({"d": 1.5, "zero": 0.0, "max": f64::MAX}),
        &[
            ("trigger.d + 0.25", "1.75"),
            ("trigger.d - 2.0", "-0.5"),
            ("trigger.d * -2.0", "-3.0"),
            ("trigger.d / trigger.zero", "inf"),
            ("-trigger.d / trigger.zero", "-inf"),
            ("trigger.zero / trigger.zero", "NaN"),
            ("trigger.max * 2.0", "inf"),
            ("-trigger.zero", "-0.0"),
            ("trigger.d % 1.0", "! % does not take double and double"),
        ],
    );
}

#[test]
fn concatenation() {
    check(
        &json!({"a": "ä", "e": "", "l": [1, 2], "m": {}}),
        &[
            ("trigger.a + 'b' + trigger.a", "'äbä'"),
            ("trigger.e + trigger.e", "''"),
            ("bytes + b'a'", "b'\\xffa'"),
            ("trigger.l + [3] + []", "[1, 2, 3]"),
            ("[] + trigger.l", "[1, 2]"),
            ("trigger.l + trigger.l", "[1, 2, 1, 2]"),
            ("trigger.a + 1", "! + does not take string and int"),
            ("trigger.a + bytes", "! + does not take string and bytes"),
            ("trigger.m + trigger.m", "! + does not take map and map"),
            ("trigger.l - trigger.l", "! - does not take list and list"),
        ],
    );
}

#[test]
fn time() {
    let event = json!({
        "t": "2009-02-13T23:31:30Z", "first": "0001-01-01T00:00:00Z", "last": "9999-12-31T23:59:59.999999999Z", "d": "90s",
    });
    check(
        &event,
        &[
            ("timestamp(trigger.t) + duration(trigger.d)", "2009-02-13T23:33:00Z"),
            ("duration(trigger.d) + timestamp(trigger.t)", "2009-02-13T23:33:00Z"),
            ("timestamp(trigger.t) - duration('0.5s')", "2009-02-13T23:31:29.5Z"),
            ("timestamp(trigger.t) - timestamp('2009-02-13T23:31:00Z')", "30s"),
            ("timestamp('2009-02-13T23:31:00Z') - timestamp(trigger.t)", "-30s"),
            ("timestamp(trigger.last) - timestamp(trigger.first)", "! overflow in -"),
            ("timestamp(trigger.last) + duration('1ns')", "! overflow in +"),
            ("timestamp(trigger.first) - duration('1ns')", "! overflow in -"),
            ("timestamp(trigger.first) + duration('-1ns')", "! overflow in +"),
            (
                "timestamp(trigger.t) + timestamp(trigger.t)",
                "! + does not take google.protobuf.Timestamp and google.protobuf.Timestamp",
            ),
            (
                "duration(trigger.d) - timestamp(trigger.t)",
                "! - does not take google.protobuf.Duration and google.protobuf.Timestamp",
            ),
            ("duration(trigger.d) + duration('10s')", "100s"),
            ("duration(trigger.d) - duration('100s')", "-10s"),
            ("duration('2562047h') + duration('1h') + duration(trigger.d)", "! overflow in +"),
            ("duration(trigger.d) < duration('2m')", "true"),
            ("duration(trigger.d) == duration('1m30s')", "true"),
            ("timestamp(trigger.t) > timestamp('2009-02-14T00:00:00+01:00')", "true"),
            ("timestamp(trigger.t) == timestamp('2009-02-14T00:31:30+01:00')", "true"),
            (
                "timestamp(trigger.t) < duration(trigger.d)",
                "! < does not take google.protobuf.Timestamp and google.protobuf.Duration",
            ),
            ("-duration(trigger.d)", "! - does not take google.protobuf.Duration"),
        ],
    );
}
