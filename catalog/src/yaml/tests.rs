use super::*;

fn fails(text: &str) -> YamlError {
    match parse(text.as_bytes()) {
        Ok(node) => panic!("{text:?} was accepted: {:?}", node.to_json()),
        Err(error) => error,
    }
}

fn shown(text: &str) -> String {
    let e = fails(text);
    format!("{}:{}: {}", e.at.line, e.at.column, e.message)
}

#[test]
fn places_of_keys_and_values() {
    let node = parse(b"name: x\nlist:\n  - 1\n  - { a: 2.0, b: [true, null] }\ntext: |\n  hello\n").unwrap();
    let mut seen = Vec::new();
    walk(&node, "", &mut seen);
    assert_eq!(
        seen,
        [
            "1:1 : a mapping",
            "1:1/1:7 .name: a string",
            "2:1/3:3 .list: a list",
            "3:5 .list[0]: a number",
            "4:5 .list[1]: a mapping",
            "4:7/4:10 .list[1].a: a number",
            "4:15/4:18 .list[1].b: a list",
            "4:19 .list[1].b[0]: a boolean",
            "4:25 .list[1].b[1]: nothing",
            "5:1/6:3 .text: a string",
        ]
    );
}

fn walk(node: &Node, path: &str, seen: &mut Vec<String>) {
    if !path.contains('.') || path.ends_with(']') {
        seen.push(format!("{}:{} {path}: {}", node.at.line, node.at.column, node.kind()));
    }
    match &node.data {
        Data::List(items) => {
            items.iter().enumerate().for_each(|(i, item)| walk(item, &format!("{path}[{i}]"), seen));
        }
        Data::Map(entries) => {
            for (key, value) in entries {
                let path = format!("{path}.{}", key.text);
                seen.push(format!(
                    "{}:{}/{}:{} {path}: {}",
                    key.at.line,
                    key.at.column,
                    value.at.line,
                    value.at.column,
                    value.kind()
                ));
                walk(value, &path, seen);
            }
        }
        _ => {}
    }
}

#[test]
fn values_keep_their_types() {
    let node = parse(b"a: 95.0\nb: 7d\nc: '5'\nd: yes\ne: 1\nf: -3\ng: ~\nh: 18446744073709551615\n").unwrap();
    assert_eq!(
        node.to_json().to_string(),
        r#"{"a":95.0,"b":"7d","c":"5","d":"yes","e":1,"f":-3,"g":null,"h":18446744073709551615}"#
    );
}

#[test]
fn repeated_and_merge_keys_reach_the_walker() {
    let node = parse(b"a: 1\nb: &x { c: 1 }\na: 2\nd:\n  <<: *x\n").unwrap();
    let Data::Map(entries) = &node.data else { panic!("no mapping") };
    assert_eq!(entries.iter().map(|(k, _)| k.text.as_str()).collect::<Vec<_>>(), ["a", "b", "a", "d"]);
    let Data::Map(inner) = &entries[3].1.data else { panic!("no mapping") };
    assert_eq!(inner[0].0.text, "<<");
}

#[test]
fn billion_laughs_are_stopped() {
    let mut text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (previous, name) in ('a'..='i').zip('b'..='j') {
        let items = vec![format!("*{previous}"); 10].join(", ");
        text.push_str(&format!("{name}: &{name} [{items}]\n"));
    }
    let error = fails(&text);
    assert_eq!(error.code, Code::Yaml);
    assert!(error.at.line > 1, "{error:?}");
}

#[test]
fn refusals_have_places() {
    let seen: Vec<String> = REFUSALS.iter().map(|(text, _)| shown(text)).collect();
    let wanted: Vec<&str> = REFUSALS.iter().map(|(_, wanted)| *wanted).collect();
    assert_eq!(seen, wanted);
    let deep = "[".repeat(200) + &"]".repeat(200);
    assert!(shown(&deep).starts_with("1:"), "{}", shown(&deep));
    assert_eq!(fails(&"x".repeat(YAML_BYTES_MAX + 1)).code, Code::TooLarge);
    let error = parse(b"a: 1\nb: \xff\n").map(|n| n.to_json()).unwrap_err();
    assert_eq!((error.at.line, error.at.column), (2, 4));
}

const REFUSALS: &[(&str, &str)] = &[
    ("a: &x [*x]\n", "1:8: an alias must not stand inside of what it names"),
    ("a: [1, 2\nb: 3\n", "2:2: illegal placement of ':' indicator"),
    ("a: 1\n---\nb: 2\n", "2:1: a file holds one YAML document, this one has more"),
    ("a: .inf\n", "1:4: non-finite float `.inf` rejected by the configured policy"),
    ("a: *missing\n", "1:4: alias references unknown anchor"),
    ("", "1:1: the file is empty"),
    ("a: !!python/object:os.system x\n", "1:30: unsupported tag `!!python/object:os.system`"),
];
