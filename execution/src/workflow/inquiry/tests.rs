//! What a question takes, how it ends, and that it survives its owner.

use super::*;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(entries) => entries,
        other => panic!("no object: {other}"),
    }
}

fn begin(parameters: Value) -> Result<Box<dyn Conduct>, Note> {
    let (parameters, about) = (object(parameters), Map::new());
    Inquirer.begin(Begin { parameters: &parameters, about: &about, depth: 1, now_ms: 1_000 })
}

fn begun(parameters: Value) -> Box<dyn Conduct> {
    begin(parameters).unwrap_or_else(|note| panic!("{note:?}"))
}

/// Another owner goes on with it.
fn restored(mut one: Box<dyn Conduct>, now_ms: i64) -> Box<dyn Conduct> {
    let changes = one.take_changes();
    let pieces: Vec<Piece> =
        changes.into_iter().map(|one| Piece { key: one.key, value: one.value.expect("it is there") }).collect();
    let mut one = Inquirer.restore(&pieces).unwrap();
    one.set_now(now_ms);
    one
}

fn over(one: &dyn Conduct) -> (Status, Option<String>, Value) {
    match one.standing() {
        Standing::Over { status, note, result } => (status, note.code, result),
        other => panic!("it is not over: {other:?}"),
    }
}

#[test]
fn an_answer_ends_it_with_the_result_that_stackstorm_has() {
    let mut one = begun(json!({ "question": "Go on?", "route": "developers" }));
    assert_eq!((one.standing(), one.open(), one.starts(9).len()), (Standing::Pending, vec![], 0));
    assert_eq!(one.due_ms(), Some(1_000 + 1_440 * 60_000));
    one.ask(&Asked::Pause).unwrap();
    one.ask(&Asked::Resume).unwrap();
    assert_eq!(one.standing(), Standing::Pending);
    let mut one = restored(one, 5_000);
    one.ask(&Asked::Answer(json!({ "continue": true }))).unwrap();
    let expected = json!({
        "response": { "continue": true },
        "schema": answer_schema(&Map::new()),
        "route": "developers",
        "users": [],
        "roles": [],
        "ttl": 1440,
    });
    assert_eq!((over(one.as_ref()), one.due_ms()), ((Status::Succeeded, None, expected.clone()), None));
    let again = one.ask(&Asked::Answer(json!(1))).unwrap_err();
    assert_eq!(again, "The question has been answered already.");
    assert!(one.ask(&Asked::Cancel).is_err());
    let one = restored(one, 9_000);
    assert_eq!(over(one.as_ref()), (Status::Succeeded, None, expected));
}

#[test]
fn it_waits_for_as_long_as_its_ttl_says() {
    let mut one = restored(begun(json!({ "ttl": 2 })), 2_000);
    assert_eq!(one.due_ms(), Some(121_000));
    one.set_now(120_999);
    one.time_passed();
    assert_eq!(one.standing(), Standing::Pending);
    one.set_now(121_000);
    one.time_passed();
    let (status, code, result) = over(one.as_ref());
    assert_eq!((status, code.as_deref(), result.get("response")), (Status::Timeout, Some("unanswered"), None));
    assert!(one.ask(&Asked::Answer(json!(1))).unwrap_err().contains("expired"));
    for ttl in [json!(0), json!(null)] {
        let mut one = begun(json!({ "ttl": ttl }));
        assert_eq!(one.due_ms(), None, "{ttl}");
        one.set_now(i64::MAX);
        one.time_passed();
        assert_eq!(one.standing(), Standing::Pending, "{ttl}");
    }
}

#[test]
fn it_is_withdrawn_by_a_cancel_and_takes_nothing_else() {
    let mut one = begun(json!({}));
    for asked in [Asked::Rerun(Vec::new()), Asked::Decide(super::super::Decision::Rollback)] {
        assert!(one.ask(&asked).is_err(), "{asked:?}");
    }
    assert!(one.child_ended(1, ChildEnd { status: Status::Succeeded, result: Value::Null }).is_err());
    one.ask(&Asked::Cancel).unwrap();
    let (status, code, _) = over(one.as_ref());
    assert_eq!((status, code.as_deref()), (Status::Canceled, Some(code::CANCELED)));
    assert!(one.ask(&Asked::Answer(json!(1))).unwrap_err().contains("withdrawn"));
}

#[test]
fn an_answer_over_the_limit_is_refused_and_another_one_taken() {
    let mut one = begun(json!({ "schema": {} }));
    one.take_changes();
    let refused = one.ask(&Asked::Answer(json!("x".repeat(RESULT_BYTES_MAX)))).unwrap_err();
    assert!(refused.contains("RESULT_BYTES_MAX"), "{refused}");
    assert_eq!((one.standing(), one.take_changes().len()), (Standing::Pending, 0));
    one.ask(&Asked::Answer(json!("x"))).unwrap();
    assert_eq!(over(one.as_ref()).0, Status::Succeeded);
}

#[test]
fn what_cannot_be_asked_is_refused_with_the_reason() {
    for (parameters, why) in [
        (json!({ "users": ["ann"] }), "\"users\" is not supported in this version, until identities exist"),
        (json!({ "roles": ["admin"] }), "\"roles\" is not supported in this version, until identities exist"),
        (json!({ "roles": "admin" }), "\"roles\" must be a list of strings, found \"admin\""),
        (json!({ "route": 5 }), "\"route\" must be a string, found 5"),
        (json!({ "ttl": -1 }), "INQUIRY_TTL_MINUTES_MAX"),
        (json!({ "ttl": INQUIRY_TTL_MINUTES_MAX + 1 }), "INQUIRY_TTL_MINUTES_MAX"),
        (json!({ "schema": 5 }), "\"schema\" is the JSON schema of the answer, found 5"),
        (json!({ "schema": { "type": "bool" } }), "\"schema\" is no schema of an answer: it is no JSON schema: "),
        (json!({ "schema": { "$ref": "#" } }), "\"schema\" is no schema of an answer: it refers to itself"),
        (json!({ "schema": { "title": "x".repeat(RESULT_BYTES_MAX) } }), "\"schema\" leaves no room for an answer"),
    ] {
        let Err(note) = begin(parameters.clone()) else { panic!("{parameters} is asked") };
        assert_eq!(note.code.as_deref(), Some(code::INVALID_PARAMETERS));
        assert!(note.error.as_deref().unwrap_or_default().contains(why), "{note:?}");
    }
    assert!(begin(json!({ "ttl": INQUIRY_TTL_MINUTES_MAX, "users": [], "roles": null, "schema": true })).is_ok());
}

#[test]
fn properties_that_say_of_themselves_that_they_are_required_are() {
    let old = json!({
        "type": "object",
        "properties": {
            "go": { "type": "boolean", "required": true },
            "why": { "type": "string", "required": false },
            "who": { "type": "object", "properties": { "name": { "type": "string", "required": true } } },
            "all": { "type": "array", "items": { "properties": { "n": { "required": true } } } },
        },
        "required": ["why"],
    });
    let new = json!({
        "type": "object",
        "properties": {
            "go": { "type": "boolean" },
            "why": { "type": "string" },
            "who": { "type": "object", "properties": { "name": { "type": "string" } }, "required": ["name"] },
            "all": { "type": "array", "items": { "properties": { "n": {} }, "required": ["n"] } },
        },
        "required": ["why", "go"],
    });
    assert_eq!(answer_schema(&object(json!({ "schema": old }))), new);
    assert_eq!(answer_schema(&object(json!({ "schema": new }))), new);
    assert_eq!(answer_schema(&object(json!({ "schema": {} }))), json!({}));
}

#[test]
fn pieces_that_make_no_question_are_refused() {
    assert!(Inquirer.restore(&[]).is_err());
    let bad = Piece { key: PIECE.to_owned(), value: "{".to_owned() };
    let Err(why) = Inquirer.restore(&[bad]) else { panic!("it is one") };
    assert!(why.starts_with("the piece inquiry of a question cannot be read"), "{why}");
}
