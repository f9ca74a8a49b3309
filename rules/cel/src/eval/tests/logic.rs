//! `&&`, `||`, `!`, conditionals, comparisons.

use serde_json::json;

use super::check;

#[test]
fn what_decides_absorbs_faults_on_either_side() {
    let missing = "! no such field: m";
    check(
        &json!({"t": true, "f": false, "text": "x", "n": 1}),
        &[
            ("trigger.f && trigger.m", "false"),
            ("trigger.m && trigger.f", "false"),
            ("trigger.m && trigger.t", missing),
            ("trigger.t && trigger.m", missing),
            ("trigger.m || trigger.t", "true"),
            ("trigger.t || trigger.m", "true"),
            ("trigger.m || trigger.f", missing),
            ("trigger.f || trigger.m", missing),
            // What is no bool is a fault as well.
            ("trigger.text && trigger.f", "false"),
            ("trigger.f && trigger.text", "false"),
            ("trigger.text || trigger.t", "true"),
            ("trigger.text && trigger.t", "! && does not take string"),
            ("trigger.t && trigger.n", "! && does not take int"),
            ("trigger.f || trigger.n", "! || does not take int"),
            ("trigger.text && trigger.text", "! && does not take string"),
            // The first of several stays; the decisive one is found behind all of them.
            ("trigger.n && trigger.m && trigger.text", "! && does not take int"),
            ("trigger.m && trigger.n && trigger.text && trigger.f", "false"),
            ("trigger.m || trigger.n || trigger.text || trigger.t", "true"),
            ("(trigger.m || trigger.t) && (trigger.f || trigger.n == 1)", "true"),
            ("1 / zero == 1 || trigger.n == 1", "true"),
            ("1 / zero == 1 && trigger.n == 1", "! division by zero"),
            ("!trigger.f", "true"),
            ("!trigger.n", "! ! does not take int"),
            ("!trigger.m", missing),
            ("!(trigger.m && trigger.f)", "true"),
            ("trigger.t ? 1 : trigger.m", "1"),
            ("trigger.f ? trigger.m : 'b'", "'b'"),
            ("trigger.m ? 1 : 1", missing),
            ("trigger.text ? 1 : 1", "! ?: does not take string"),
        ],
    );
}

#[test]
fn comparisons() {
    check(
        &json!({"n": 5, "d": 5.0, "big": 18446744073709551615u64, "s": "b", "nil": null, "l": [1, "a", 2.0]}),
        &[
            ("trigger.n == trigger.d", "true"),
            ("trigger.n == '5'", "false"),
            ("trigger.n != '5'", "true"),
            ("trigger.n < 5.5", "true"),
            ("trigger.n <= trigger.d", "true"),
            ("trigger.n > trigger.d", "false"),
            ("trigger.big > trigger.n", "true"),
            ("trigger.big > -1", "true"),
            ("trigger.s < 'c'", "true"),
            ("trigger.s >= 'b'", "true"),
            ("trigger.nil == null", "true"),
            ("trigger.nil != 1", "true"),
            ("trigger.nil < 1", "! < does not take null_type and int"),
            ("trigger.s < 1", "! < does not take string and int"),
            ("trigger.l < trigger.l", "! < does not take list and list"),
            ("trigger.l == [1.0, 'a', 2]", "true"),
            ("trigger.l == [1.0, 'a', 3]", "false"),
            ("nan == nan", "false"),
            ("nan != nan", "true"),
            ("nan < 1.0", "! < does not take double and double"),
            ("[nan] == [nan]", "false"),
            ("nan in [nan]", "false"),
            ("false < (zero == 0)", "true"),
            ("bytes > b'a'", "true"),
            ("trigger.m == trigger.n", "! no such field: m"),
            // The left fault is the one that is told.
            ("trigger.m == trigger.k", "! no such field: m"),
        ],
    );
}

#[test]
fn membership() {
    check(
        &json!({"l": [1, "a", 2.5], "m": {"a": 1}, "s": "abc", "n": 3, "big": 9007199254740993u64}),
        &[
            ("1 in trigger.l", "true"),
            ("1.0 in trigger.l", "true"),
            ("'a' in trigger.l", "true"),
            ("'b' in trigger.l", "false"),
            ("trigger.x in trigger.l", "! no such field: x"),
            ("trigger.x in []", "! no such field: x"),
            ("'a' in trigger.m", "true"),
            ("'b' in trigger.m", "false"),
            ("1 in trigger.m", "false"),
            ("null in trigger.m", "false"),
            ("[1] in trigger.m", "false"),
            ("1.0 + double(zero) in {1: 'x'}", "true"),
            ("'a' in trigger.s", "! in does not take string and string"),
            ("1 in trigger.n", "! in does not take int and int"),
            ("1 in trigger.x", "! no such field: x"),
            // Eight constants are a set.
            ("trigger.n in [1, 2, 3.0, 4, 5, 6, 7, 8]", "true"),
            ("trigger.n in [1, 2, 'a', 4, 5, 6, 7, 8]", "false"),
            ("trigger.s in ['a', 'b', 'c', 'd', 'e', 'abc', 'f', 'g']", "true"),
            ("trigger.m in ['a', 'b', 'c', 'd', 'e', 'abc', 'f', 'g']", "false"),
            ("nan in [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]", "false"),
            // Beyond 2^53 an int is rounded, and no set can be made.
            ("trigger.big in [1, 2, 3, 4, 5, 6, 7, 9007199254740992.0]", "true"),
            ("trigger.big in [1, 2, 3, 4, 5, 6, 7, 9007199254740992]", "false"),
        ],
    );
}
