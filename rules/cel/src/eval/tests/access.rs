//! Fields, indexes, `has`, optionals.

use serde_json::json;

use super::check;

#[test]
fn paths_of_the_event() {
    let event = json!({
        "host": {"name": "web-1", "tags": ["a", "b"], "rack": null, "cpu": 7},
        "empty": {},
    });
    check(
        &event,
        &[
            ("trigger.host.name", "'web-1'"),
            ("trigger.host['name']", "'web-1'"),
            ("trigger.host.rack", "null"),
            ("trigger.host.tags[1]", "'b'"),
            ("trigger.host.tags[2]", "! list index out of bounds"),
            ("trigger.empty", "{}"),
            ("trigger.host", "{'cpu': 7, 'name': 'web-1', 'rack': null, 'tags': ['a', 'b']}"),
            ("size(trigger)", "2"),
            ("type(trigger.host)", "map"),
            // The first step that is missing is named.
            ("trigger.host.gone", "! no such field: gone"),
            ("trigger.gone.far.away", "! no such field: gone"),
            ("trigger.empty.gone.away", "! no such field: gone"),
            // What is no map has no fields.
            ("trigger.host.name.x", "! . does not take string"),
            ("trigger.host.rack.x.y", "! . does not take null_type"),
            ("trigger.host.tags.x", "! . does not take list"),
            ("trigger.host.cpu.x.y.z", "! . does not take int"),
            // Missing is a fault wherever it stands.
            ("trigger.host.gone == null", "! no such field: gone"),
            ("trigger.host.gone != 'a'", "! no such field: gone"),
            ("!(trigger.host.gone == 'a')", "! no such field: gone"),
        ],
    );
    for (event, expected) in [(json!([1]), "! . does not take list"), (json!(null), "! . does not take null_type")] {
        check(&event, &[("trigger.a.b", expected)]);
    }
}

#[test]
fn has_of_paths() {
    let event = json!({"a": {"b": 1, "nil": null, "text": "x", "list": [{"x": 1}], "map": {}}});
    let cases = [
        ("has(trigger.a)", "true"),
        ("has(trigger.a.b)", "true"),
        ("has(trigger.a.nil)", "true"),
        ("has(trigger.a.map)", "true"),
        ("has(trigger.a.c)", "false"),
        ("has(trigger.c)", "false"),
        ("has(trigger.a.map.x)", "false"),
        ("has(trigger.a.b.x)", "false"),
        ("has(trigger.a.nil.x)", "false"),
        ("has(trigger.a.text.x)", "false"),
        ("has(trigger.a.list.x)", "! has does not take list"),
        ("has(trigger.c.x)", "! no such field: c"),
        ("has(trigger.c.x.y)", "! no such field: c"),
        ("has(trigger.a.c.x)", "! no such field: c"),
        ("has(trigger.a.b.x.y)", "! . does not take int"),
    ];
    check(&event, &cases);
    // The same where the event is read whole, and on values.
    let whole = cases.map(|(source, expected)| (source.replace("trigger", "[trigger][zero]"), expected));
    check(&event, &whole.each_ref().map(|(source, expected)| (&**source, *expected)));
}

#[test]
fn indexes() {
    let event = json!({"list": [7, 8, 9], "map": {"a": 1}, "text": "x"});
    check(
        &event,
        &[
            ("trigger.list[0]", "7"),
            ("trigger.list[2u]", "9"),
            ("trigger.list[0.0]", "7"),
            ("trigger.list[-0.0]", "7"),
            ("trigger.list[0.1]", "! invalid argument of []: the index is not whole"),
            ("trigger.list[nan]", "! invalid argument of []: the index is not whole"),
            ("trigger.list[-1]", "! list index out of bounds"),
            ("trigger.list[3]", "! list index out of bounds"),
            ("trigger.list[1e18]", "! list index out of bounds"),
            ("trigger.list[1e300]", "! invalid argument of []: the index is not whole"),
            ("trigger.list['0']", "! . does not take list"),
            ("trigger.list[string(zero)]", "! [] does not take list and string"),
            ("trigger.list[true]", "! [] does not take list and bool"),
            ("trigger.map['a']", "1"),
            ("trigger.map['b']", "! no such field: b"),
            ("trigger.map[1]", "! no such key"),
            ("trigger.map[b'a']", "! no such key"),
            ("trigger.text[0]", "! [] does not take string and int"),
            ("{1: 'a', 2u: 'b'}[zero + 1.0 == 1.0 ? 1u : 2u]", "! + does not take int and double"),
            ("{1: 'a', 2u: 'b', true: 'c'}[1.0 + double(zero)]", "'a'"),
            ("{1: 'a', 2u: 'b', true: 'c'}[2 + zero]", "'b'"),
            ("{1: 'a', 2u: 'b', true: 'c'}[zero == 0]", "'c'"),
            ("{1: 'a'}[1.5 + double(zero)]", "! no such key"),
        ],
    );
}

#[test]
fn literals_of_lists_and_maps() {
    check(
        &json!({"a": 1}),
        &[
            ("[trigger.a, 'x', [zero]]", "[1, 'x', [0]]"),
            ("[trigger.a, trigger.b]", "! no such field: b"),
            ("{'b': zero, 'a': trigger.a, 3: 1, true: 2, 2u: 0}", "{true: 2, 2u: 0, 3: 1, 'a': 1, 'b': 0}"),
            ("{zero: 1, 0: 2}", "! a map has the same key twice"),
            ("{zero: 1, 0u: 2}", "! a map has the same key twice"),
            ("{double(zero): 1}", "! double is no map key"),
            ("{null: zero}", "! null_type is no map key"),
            ("{[zero]: 1}", "! list is no map key"),
            ("{bytes: 1}", "! bytes is no map key"),
            ("[?none, ?trigger.?a, 2]", "[1, 2]"),
            ("{?'n': none, ?'a': trigger.?a, 'b': 2}", "{'a': 1, 'b': 2}"),
            ("[?zero]", "! [?] does not take int"),
            ("{?'a': zero}", "! {?:} does not take int"),
        ],
    );
}

#[test]
fn optionals() {
    let event = json!({"a": {"b": {"c": 1}, "nil": null, "list": [5]}, "text": "x"});
    let cases = [
        ("trigger.?a.b.c", "some(1)"),
        ("trigger.a.?b.c", "some(1)"),
        ("trigger.a.b.?c", "some(1)"),
        ("trigger.?a.?b.?c", "some(1)"),
        ("trigger.?a.nil", "some(null)"),
        ("trigger.?x", "none"),
        ("trigger.?x.y.z", "none"),
        ("trigger.a.?x.y", "none"),
        ("trigger.?a.b.x", "none"),
        ("trigger.a[?'b'].c", "some(1)"),
        ("trigger.a[?'x']", "none"),
        // What stands before the first question mark must be there.
        ("trigger.x.?y", "! no such field: x"),
        ("trigger.text.?y", "! .? does not take string"),
        // What is no map has no fields, optional or not.
        ("trigger.?a.nil.x", "! .? does not take null_type"),
        ("trigger.?text.x.y", "! .? does not take string"),
        ("trigger.?a.list.x", "! .? does not take list"),
        ("trigger.a.list[?0]", "some(5)"),
        ("trigger.a.list[?1]", "none"),
        ("trigger.a.list[?-1]", "none"),
        ("trigger.a.list[?'x']", "! [] does not take list and string"),
        ("trigger.?a.list[0]", "some(5)"),
        ("trigger.?a.list[1]", "none"),
        ("trigger.text[?0]", "! [?] does not take string and int"),
        ("has(trigger.?a.b)", "true"),
        ("has(trigger.?a.x)", "false"),
        ("has(trigger.?x.y)", "false"),
        ("none.x.y[0]", "none"),
        ("none[?0]", "none"),
        ("trigger.?a.b.optMap(v, v.c + 1)", "some(2)"),
        ("trigger.?a.x.optMap(v, v.c + 1)", "none"),
        ("trigger.?a.optMap(v, v.x)", "! no such field: x"),
        ("trigger.?a.optFlatMap(v, v.?b)", "some({'c': 1})"),
        ("trigger.?a.optFlatMap(v, v.?x)", "none"),
        ("trigger.?a.optFlatMap(v, v.b)", "! optFlatMap does not take map"),
        ("zero.optMap(v, v)", "! optMap does not take int"),
        ("none == none", "true"),
        ("none == null", "false"),
        ("trigger.?a.b == trigger.a.?b", "true"),
        ("trigger.?x < none", "! < does not take optional_type and optional_type"),
    ];
    check(&event, &cases);
    // The same where the event is read whole.
    let whole = cases.map(|(source, expected)| (source.replace("trigger", "[trigger][zero]"), expected));
    check(&event, &whole.each_ref().map(|(source, expected)| (&**source, *expected)));
}
