//! The standard library, as text.

use serde_json::json;

use crate::eval::tests::check;

#[test]
fn sizes_and_texts() {
    check(
        &json!({"s": "πέντε", "cat": "🐱b", "e": "", "l": [1, 2], "m": {"a": 1}, "n": 1, "re": "b+$", "bad": "(", "d": "\\d"}),
        &[
            ("size(trigger.s)", "5"),
            ("trigger.s.size()", "5"),
            ("size(trigger.cat)", "2"),
            ("size(trigger.e)", "0"),
            ("size(bytes)", "1"),
            ("size(trigger.l)", "2"),
            ("trigger.m.size()", "1"),
            ("size(trigger.n)", "! size does not take int"),
            ("size(none)", "! size does not take optional_type"),
            ("size(trigger.x)", "! no such field: x"),
            ("trigger.s.contains('έντ')", "true"),
            ("trigger.s.contains('')", "true"),
            ("trigger.e.contains('a')", "false"),
            ("trigger.s.startsWith('πέ')", "true"),
            ("trigger.s.startsWith('έ')", "false"),
            ("trigger.s.endsWith('τε')", "true"),
            ("trigger.cat.endsWith('🐱')", "false"),
            ("trigger.n.contains('1')", "! contains does not take int and string"),
            ("trigger.s.startsWith(1)", "! startsWith does not take string and int"),
            ("trigger.cat.matches('^.b$')", "true"),
            ("matches(trigger.cat, 'a')", "false"),
            ("trigger.n.matches('a')", "! matches does not take int"),
            ("trigger.cat.matches(trigger.re)", "true"),
            ("matches(trigger.e, trigger.re)", "false"),
            ("'٣'.matches(trigger.d)", "false"),
            ("'x'.matches(trigger.bad)", "! invalid argument of matches: no valid regular expression, or too large"),
            ("'x'.matches(trigger.n)", "! matches does not take string and int"),
        ],
    );
}

#[test]
fn computed_patterns_are_expensive() {
    let event = json!({"l": (0..200).collect::<Vec<_>>(), "re": "a", "nested": "((\\pL{100}){100}){100}"});
    check(
        &event,
        &[
            ("trigger.l.exists(x, string(x).matches(trigger.re))", "! more than 100000 steps"),
            ("'a'.matches(trigger.nested)", "! invalid argument of matches: no valid regular expression, or too large"),
        ],
    );
}

#[test]
fn to_integers() {
    check(
        &json!({
            "i": -7, "u": 18446744073709551615u64, "d": 2.9, "big": 9.3e18, "huge": 1e99, "neg": -0.9,
            "s": ["12", "-12", "+12", " 12", "1_2", "0x1", "12.0", "", "9223372036854775808", "-0", "٣"],
        }),
        &[
            ("int(trigger.i)", "-7"),
            ("int(trigger.u)", "! overflow in int"),
            ("int(trigger.d)", "2"),
            ("int(-trigger.d)", "-2"),
            ("int(trigger.big)", "! overflow in int"),
            ("int(9223372036854775807.0 + double(zero))", "! overflow in int"),
            ("int(-9223372036854775808.0 + double(zero))", "! overflow in int"),
            ("int(nan)", "! overflow in int"),
            ("int(zero == 0)", "! int does not take bool"),
            ("int(null)", "! int does not take null_type"),
            ("int(timestamp('2004-09-16T23:59:59.9Z'))", "1095379199"),
            ("int(timestamp('1969-12-31T23:59:59.5Z'))", "-1"),
            ("int(duration('1.5s'))", "1500000000"),
            ("int(trigger.s[0])", "12"),
            ("int(trigger.s[1])", "-12"),
            ("int(trigger.s[2])", "12"),
            ("trigger.s.filter(s, s.size() != 2 && int(s) == 1)", "! invalid argument of int: not an int in decimal"),
            (
                "trigger.s.exists(s, [' 12', '1_2', '0x1', '12.0', '', '9223372036854775808', '٣'].exists(t, t == s && int(s) == 0))",
                "! invalid argument of int: not an int in decimal",
            ),
            ("int(trigger.s[9])", "0"),
            ("uint(trigger.d)", "2u"),
            ("uint(trigger.neg)", "! overflow in uint"),
            ("uint(trigger.i)", "! overflow in uint"),
            ("uint(trigger.u)", "18446744073709551615u"),
            ("uint(trigger.big)", "9300000000000000000u"),
            ("uint(trigger.huge)", "! overflow in uint"),
            ("uint(trigger.s[0])", "12u"),
            ("uint(trigger.s[8])", "9223372036854775808u"),
            ("uint(trigger.s[1])", "! invalid argument of uint: not a uint in decimal"),
            ("uint(trigger.s[2])", "! invalid argument of uint: not a uint in decimal"),
            ("uint(duration('1s'))", "! uint does not take google.protobuf.Duration"),
        ],
    );
}

#[test]
fn to_doubles_and_bools() {
    check(
        &json!({
            "u": 18446744073709551615u64, "i": 9223372036854775807i64,
            "d": ["1e3", "-.5", "1.", "1e400", "1e-400", "inf", "-Infinity", "NaN", "", "1,5", "1e", "0x1p4", " 1"],
            "t": ["1", "t", "T", "true", "TRUE", "True"], "f": ["0", "f", "F", "false", "FALSE", "False"],
            "odd": ["TrUe", "yes", "", " true"],
        }),
        &[
            ("double(trigger.u)", "1.8446744073709552e19"),
            ("double(trigger.i)", "9.223372036854776e18"),
            ("double(trigger.d[0])", "1000.0"),
            ("double(trigger.d[1])", "-0.5"),
            ("double(trigger.d[2])", "1.0"),
            ("double(trigger.d[3])", "! overflow in double"),
            ("double(trigger.d[4])", "0.0"),
            ("double(trigger.d[5])", "inf"),
            ("double(trigger.d[6])", "-inf"),
            ("double(trigger.d[7])", "NaN"),
            ("double(trigger.d[8])", "! invalid argument of double: not a number"),
            ("double(trigger.d[9])", "! invalid argument of double: not a number"),
            ("double(trigger.d[10])", "! invalid argument of double: not a number"),
            ("double(trigger.d[11])", "! invalid argument of double: not a number"),
            ("double(trigger.d[12])", "! invalid argument of double: not a number"),
            ("double(bytes)", "! double does not take bytes"),
            ("trigger.t.map(s, bool(s))", "[true, true, true, true, true, true]"),
            ("trigger.f.map(s, bool(s))", "[false, false, false, false, false, false]"),
            ("trigger.odd.exists(s, bool(s) || !bool(s))", "! invalid argument of bool: neither true nor false"),
            ("bool(zero == 0)", "true"),
            ("bool(zero)", "! bool does not take int"),
        ],
    );
}

#[test]
fn to_strings_and_bytes() {
    let doubles = [
        ("0.0", "0"),
        ("-0.0", "-0"),
        ("1.0", "1"),
        ("123.456", "123.456"),
        ("-4.5e-3", "-0.0045"),
        ("0.0001", "0.0001"),
        ("0.00001", "1e-05"),
        ("123456.0", "123456"),
        ("1000000.0", "1e+06"),
        ("1234567.0", "1.234567e+06"),
        ("9007199254740993.0", "9.007199254740992e+15"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("5e-324", "5e-324"),
        ("1.0 / 0.0", "+Inf"),
        ("-1.0 / 0.0", "-Inf"),
        ("nan", "NaN"),
    ];
    for (double, expected) in doubles {
        check(&json!({}), &[(&format!("string({double} * double(zero + 1))"), &format!("'{expected}'"))]);
    }
    check(
        &json!({"s": "é", "b": true, "u": 18446744073709551615u64, "n": null}),
        &[
            ("string(trigger.s)", "'é'"),
            ("string(trigger.b)", "'true'"),
            ("string(!trigger.b)", "'false'"),
            ("string(zero - 5)", "'-5'"),
            ("string(trigger.u)", "'18446744073709551615'"),
            ("string(timestamp('2009-02-14T00:31:30.120+01:00'))", "'2009-02-13T23:31:30.12Z'"),
            ("string(duration('1h'))", "'3600s'"),
            ("string(duration('-1500ms'))", "'-1.5s'"),
            ("string(bytes(trigger.s))", "'é'"),
            ("string(bytes)", "! invalid argument of string: the bytes are no UTF-8"),
            ("string(trigger.n)", "! string does not take null_type"),
            ("string([trigger.s])", "! string does not take list"),
            ("bytes(trigger.s)", "b'\\xc3\\xa9'"),
            ("bytes(bytes)", "b'\\xff'"),
            ("bytes(zero)", "! bytes does not take int"),
            ("dyn(trigger.s)", "'é'"),
            ("type(trigger.s)", "string"),
            ("type(trigger.s) == string", "true"),
            ("type(type(trigger.n))", "type"),
            ("type(trigger.n) == type(zero)", "false"),
        ],
    );
}

#[test]
fn to_timestamps_and_durations() {
    let wrong = "! invalid argument of timestamp: no RFC 3339 with an offset, of the years 1 to 9999";
    let too_long = "! invalid argument of duration: no duration like 1h30m, of h, m, s, ms, us, ns, or too long";
    check(
        &json!({"t": "2009-02-13T23:31:30Z", "wrong": "2009-02-13", "year0": "0000-01-01T00:00:00Z", "d": "1d", "long": "320000000000s"}),
        &[
            ("timestamp(trigger.t)", "2009-02-13T23:31:30Z"),
            ("timestamp(timestamp(trigger.t))", "2009-02-13T23:31:30Z"),
            ("timestamp(zero + 1234567890)", "2009-02-13T23:31:30Z"),
            ("timestamp(zero - 62135596800)", "0001-01-01T00:00:00Z"),
            ("timestamp(zero - 62135596801)", "! overflow in timestamp"),
            ("timestamp(zero + 253402300800)", "! overflow in timestamp"),
            ("timestamp(trigger.wrong)", wrong),
            ("timestamp(trigger.year0)", wrong),
            ("timestamp(1.0)", "! timestamp does not take double"),
            ("duration(trigger.d)", too_long),
            ("duration(trigger.long)", too_long),
            ("duration('1h30m')", "5400s"),
            ("duration(duration('1ms'))", "0.001s"),
            ("duration(zero)", "! duration does not take int"),
        ],
    );
}

#[test]
fn parts_of_timestamps() {
    let parts = |zone: &str| {
        let names = [
            "FullYear",
            "Month",
            "Date",
            "DayOfMonth",
            "DayOfWeek",
            "DayOfYear",
            "Hours",
            "Minutes",
            "Seconds",
            "Milliseconds",
        ];
        let calls: Vec<_> = names.iter().map(|name| format!("timestamp(trigger.t).get{name}({zone})")).collect();
        format!("[{}]", calls.join(", "))
    };
    let cases = [
        ("2009-02-13T23:31:20.123456789Z", "", "[2009, 1, 13, 12, 5, 43, 23, 31, 20, 123]"),
        ("2009-02-14T00:31:20+01:00", "", "[2009, 1, 13, 12, 5, 43, 23, 31, 20, 0]"),
        ("2009-02-13T23:31:20.5Z", "'UTC'", "[2009, 1, 13, 12, 5, 43, 23, 31, 20, 500]"),
        ("2009-02-13T23:31:20Z", "''", "[2009, 1, 13, 12, 5, 43, 23, 31, 20, 0]"),
        ("2009-02-13T23:31:20Z", "'+05:30'", "[2009, 1, 14, 13, 6, 44, 5, 1, 20, 0]"),
        ("2009-02-13T23:31:20Z", "'02:00'", "[2009, 1, 14, 13, 6, 44, 1, 31, 20, 0]"),
        ("2009-02-13T02:00:00Z", "'-02:30'", "[2009, 1, 12, 11, 4, 42, 23, 30, 0, 0]"),
        ("2009-02-13T02:00:00Z", "'-00:30'", "[2009, 1, 13, 12, 5, 43, 1, 30, 0, 0]"),
        ("2009-02-13T23:31:30Z", "'Australia/Sydney'", "[2009, 1, 14, 13, 6, 44, 10, 31, 30, 0]"),
        ("2009-02-13T23:31:30Z", "'Asia/Kathmandu'", "[2009, 1, 14, 13, 6, 44, 5, 16, 30, 0]"),
        // Summer time began that hour.
        ("2026-03-08T06:59:59Z", "'America/New_York'", "[2026, 2, 8, 7, 0, 66, 1, 59, 59, 0]"),
        ("2026-03-08T07:00:00Z", "'America/New_York'", "[2026, 2, 8, 7, 0, 66, 3, 0, 0, 0]"),
        // Outside of the years 1 to 9999 there is still a date.
        ("0001-01-01T00:00:00Z", "'-01:00'", "[0, 11, 31, 30, 0, 365, 23, 0, 0, 0]"),
        ("9999-12-31T23:59:59Z", "'Asia/Tokyo'", "[10000, 0, 1, 0, 6, 0, 8, 59, 59, 0]"),
    ];
    for (at, zone, expected) in cases {
        check(&json!({"t": at}), &[(&parts(zone), expected)]);
    }
    for zone in ["Mars/Olympus", "Local", "+24:00", "+01:60", "+1:00", "+01:0", "++1:00", "+01:00:00", ":", "é:00"] {
        let source = format!("timestamp(trigger.t).getHours('{zone}')");
        let expected = "! invalid argument of getHours: unknown time zone";
        check(&json!({"t": "2009-02-13T23:31:30Z"}), &[(&source, expected)]);
    }
    check(
        &json!({"s": "2009-02-13T23:31:30Z"}),
        &[
            ("trigger.s.getHours()", "! getHours does not take string"),
            ("timestamp(trigger.s).getHours(1)", "! getHours does not take google.protobuf.Timestamp and int"),
            ("zero.getMilliseconds('UTC')", "! getMilliseconds does not take int and string"),
        ],
    );
}

#[test]
fn parts_of_durations() {
    check(
        &json!({"d": "3h2m1.5s", "n": "-90.25s"}),
        &[
            ("duration(trigger.d).getHours()", "3"),
            ("duration(trigger.d).getMinutes()", "182"),
            ("duration(trigger.d).getSeconds()", "10921"),
            ("duration(trigger.d).getMilliseconds()", "500"),
            ("duration(trigger.n).getHours()", "0"),
            ("duration(trigger.n).getMinutes()", "-1"),
            ("duration(trigger.n).getSeconds()", "-90"),
            ("duration(trigger.n).getMilliseconds()", "-250"),
            ("duration(trigger.d).getHours('UTC')", "! getHours does not take google.protobuf.Duration and string"),
            ("duration(trigger.d).getFullYear()", "! getFullYear does not take google.protobuf.Duration"),
        ],
    );
}
