use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn secret(text: &str) -> SecretValue {
    SecretValue::new(text.to_owned()).unwrap()
}

fn mask(secrets: &[&str]) -> Mask {
    let secrets: Vec<SecretValue> = secrets.iter().map(|text| secret(text)).collect();
    Mask::new(&secrets)
}

fn masked(mask: &Mask, text: &str) -> String {
    String::from_utf8(mask.bytes(text.as_bytes().to_vec(), false)).unwrap()
}

#[test]
fn every_common_form_is_found() {
    let pass = "pä ss/w&rd+'1'\"<x>";
    let mask = mask(&[pass]);
    assert_eq!(masked(&mask, "an escape that goes on: p%C3%A4%20ss%"), "an escape that goes on: p%C3%A4%20ss%");
    assert_eq!(
        String::from_utf8(mask.bytes(b"one that is cut: p%C3%A4%20ss%2".to_vec(), true)).unwrap(),
        "one that is cut: ********"
    );
    let form_encoded = "p%C3%A4+ss%2Fw%26rd%2B%271%27%22%3Cx%3E";
    let cases = [
        pass.to_owned(),
        form_encoded.to_owned(),
        form_encoded.replace('+', "%20"),
        "p%c3%a4%20ss/w%26rd%2b%271%27%22%3cx%3e".to_owned(),
        "p%C3%A4%20ss%2Fw%26rd%2B'1'%22%3Cx%3E".to_owned(),
        "pä ss/w&rd+'1'\\\"<x>".to_owned(),
        "p\\u00e4 ss\\/w&rd+'1'\\\"<x>".to_owned(),
        "pä ss/w\\u0026rd+\\u00271\\u0027\\\"\\u003cx\\u003e".to_owned(),
        "pä ss/w&rd+'1'\\\\\\\"<x>".to_owned(),
        "pä ss/w&rd+'\\''1'\\''\"<x>".to_owned(),
        "70c3a42073732f7726".to_owned() + "72642b2731" + "27223c783e",
        "70C3A42073732F7726".to_owned() + "72642B2731" + "27223C783E",
    ];
    for case in cases {
        assert_eq!(masked(&mask, &format!("<{case}>")), "<********>", "{case}");
        assert_eq!(masked(&mask, &case), "********", "{case}");
    }
}

/// The inside of a JSON text, as a library writes it that escapes these characters, in upper or lower case, and perhaps
/// everything beyond ASCII.
fn json_by(text: &str, escaped: &str, is_upper: bool, is_ascii: bool) -> String {
    let mut written = String::new();
    for c in text.chars() {
        match c {
            '"' | '\\' if !escaped.contains(c) => written.extend(['\\', c]),
            '/' if escaped.contains('/') => written.push_str("\\/"),
            _ if escaped.contains(c) || (is_ascii && !c.is_ascii()) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    written += &if is_upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
                }
            }
            c => written.push(c),
        }
    }
    written
}

#[test]
fn json_is_found_whoever_wrote_it_and_json_within_it() {
    let pass = "pä ss/w&rd+'1'\"<x>\\ \u{10348}`";
    let mask = mask(&[pass]);
    // Python, PHP, PHP with its options, Go, .NET, and serde.
    let libraries: [&dyn Fn(&str) -> String; 6] = [
        &|text| json_by(text, "", false, true),
        &|text| json_by(text, "/", false, true),
        &|text| json_by(text, "<>&'\"", true, true),
        &|text| json_by(text, "<>&", false, false),
        &|text| json_by(text, "<>&'\"+`", true, true),
        &|text| json_by(text, "", false, false),
    ];
    for inner in libraries {
        for outer in libraries {
            for third in libraries {
                let (once, twice) = (inner(pass), outer(&inner(pass)));
                for text in [once, third(&twice), twice] {
                    assert_eq!(masked(&mask, &format!("{{\"s\": \"{text}\"}}")), "{\"s\": \"********\"}", "{text}");
                }
            }
        }
    }
}

#[test]
fn urls_pages_and_shells_are_read_as_they_are_meant() {
    let mask = mask(&["pä ss/w&rd+'1'\"<x>;:@=$!"]);
    let cases = [
        // encodeURI, Go's PathEscape, a user's part, WHATWG's form, and what mixes the cases of its digits.
        "p%C3%A4%20ss/w&rd+'1'%22%3Cx%3E;:@=$!",
        "p%C3%A4%20ss%2Fw&rd+%271%27%22%3Cx%3E%3B:@=$%21",
        "p%C3%A4%20ss%2Fw&rd+'1'%22%3Cx%3E%3B%3A%40%3D$!",
        "p%C3%A4+ss%2Fw%26rd%2B%271%27%22%3Cx%3E%3B%3A%40%3D%24%21",
        "p%c3%A4%20ss%2fw%26rd%2B'1'%22%3cx%3E;:@=$!",
        // Encoded twice, the inner one as a form, too.
        "p%25C3%25A4%2520ss%252Fw%2526rd%252B%25271%2527%2522%253Cx%253E%253B%253A%2540%253D%2524%2521",
        "p%25C3%25A4%2Bss%252Fw%2526rd%252B%25271%2527%2522%253Cx%253E%253B%253A%2540%253D%2524%2521",
        // HTML and XML.
        "pä ss/w&amp;rd+&#39;1&#39;&quot;&lt;x&gt;;:@=$!",
        "p&#228; ss&#x2F;w&amp;rd&#43;&apos;1&apos;&#34;&lt;x&gt;;:@=$!",
        "pä ss/w\\u0026amp;rd+\\u0026#39;1\\u0026#39;\\u0026quot;\\u0026lt;x\\u0026gt;;:@=$!",
        // printf %q, and ANSI-C quotes.
        "pä\\ ss/w\\&rd+\\'1\\'\\\"\\<x\\>\\;:@=\\$\\!",
        "p\\303\\244 ss/w&rd+\\'1\\'\"<x>;:@=$!",
        // JSON in a query.
        "p%C3%A4+ss%2Fw%26rd%2B%271%27%5C%22%3Cx%3E%3B%3A%40%3D%24%21",
        "pä ss/w&rd+'\"'\"'1'\"'\"'\"<x>;:@=$!",
    ];
    for case in cases {
        assert_eq!(masked(&mask, &format!("<{case}>")), "<********>", "{case}");
    }
    // What is no escape stays as it is.
    for clear in ["100% \\d \\", "%", "&", "a&b;", "%%41", "\\u00", "x=%zz&y=\\\\"] {
        assert_eq!(masked(&mask, clear), clear);
    }
}

#[test]
fn base64_is_found_whatever_stands_around_it() {
    let mask = mask(&["correct horse battery staple"]);
    for before in ["", "u", "us", "user:", "another user:"] {
        for behind in ["", "\n", " and", "more of it"] {
            let text = format!("{before}correct horse battery staple{behind}");
            for encoded in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                let out = masked(&mask, &format!("Authorization: Basic {encoded}"));
                assert!(out.starts_with("Authorization: Basic ") && out.contains(MASK), "{out}");
                // At most two characters at each end hold bits of both.
                let left = out.len() - "Authorization: Basic ".len() - MASK.len();
                let around = encoded.len() - "correct horse battery staple".len() * 4 / 3;
                assert!(left <= around + 4, "{before:?} {behind:?}: {out}");
            }
        }
    }
}

#[test]
fn folded_and_printed_line_by_line_it_is_found() {
    let key = "-----BEGIN KEY-----\nMIIEowIBAAKCAQEAx1\nQ2hlY2sgdGhpcyBvdX\n-----END KEY-----\n";
    let mask = mask(&[key]);
    assert_eq!(masked(&mask, &format!("a {key}b")), "a ********\nb");
    assert_eq!(masked(&mask, &format!("a {}b", key.replace('\n', "\r\n"))), "a ********\r\nb");
    assert_eq!(masked(&mask, "> MIIEowIBAAKCAQEAx1\n> Q2hlY2sgdGhpcyBvdX\n"), "> ********\n> ********\n");
    let wrapped: String =
        STANDARD.encode(key).as_bytes().chunks(16).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect();
    let out = masked(&mask, &wrapped);
    assert!(out.starts_with(MASK) && out.len() <= MASK.len() + 6, "{out}");
    assert_eq!(masked(&mask, &key.replace('\n', "\\n")), format!("{MASK}\\n"));
    // Text that only happens to go on elsewhere is none.
    assert_eq!(masked(&self::mask(&["abcdefghij"]), "abcde\n\n\nfghij"), "abcde\n\n\nfghij");
}

#[test]
fn a_cut_stream_ends_before_the_beginning_of_a_secret() {
    let mask = mask(&["correct horse"]);
    let cut = |text: &str| String::from_utf8(mask.bytes(text.as_bytes().to_vec(), true)).unwrap();
    assert_eq!(cut("it is correct hor"), "it is ********");
    assert_eq!(cut("it is correct\n hor"), "it is ********");
    assert_eq!(cut("it is correct horse"), "it is ********");
    assert_eq!(cut("it is wrong"), "it is wrong");
    assert_eq!(masked(&mask, "it is correct hor"), "it is correct hor");
}

#[test]
fn json_is_masked_in_texts_names_and_numbers() {
    let mask = mask(&["correct horse", "1234567890"]);
    let value = json!({"a correct horse": ["x correct horse", 1, null], "n": 1_234_567_890_u64, "f": 0.5});
    assert_eq!(mask.json(value), json!({"a ********": ["x ********", 1, null], "n": "********", "f": 0.5}));
    assert_eq!(mask.text("a correct horse".to_owned()), "a ********");
    assert_eq!(Mask::new([]).text("a correct horse".to_owned()), "a correct horse");
}

#[test]
fn what_is_clear_is_not_held_back() {
    let mask = mask(&["correct horse"]);
    let (mut stream, mut out) = (mask.stream(), Vec::new());
    for (chunk, seen) in [("a line\n", "a line\n"), ("corr", "a line\n"), ("ugated", "a line\ncorrugated")] {
        stream.push(chunk.as_bytes(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), seen);
    }
}

#[test]
fn the_longest_beginning_of_a_secret_at_the_end_is_masked() {
    let secret: String = (0..3_000).map(|n| format!("{n:04}x")).collect();
    let mask = mask(&[&secret]);
    let text = format!("{}%{}", &secret[..14_000], &secret[..14_990]);
    let masked = mask.bytes(text.into_bytes(), true);
    assert_eq!(String::from_utf8(masked).unwrap(), format!("{}%{MASK}", &secret[..14_000]));
}

#[test]
fn a_secret_that_overlaps_itself_is_masked_in_linear_time() {
    let text = "abcd".repeat(4_000);
    let mask = mask(&[&text]);
    let long = "abcd".repeat(100_000);
    assert_eq!(masked(&mask, &long), MASK);
}

/// Some way in which a program may write a secret.
fn written(secret: &str, how: u8, noise: &str) -> String {
    match how {
        0 => secret.to_owned(),
        1 => STANDARD.encode(format!("{noise}{secret}{noise}")),
        2 => {
            STANDARD.encode(secret).as_bytes().chunks(19).map(|l| format!("{}\n", String::from_utf8_lossy(l))).collect()
        }
        3 => json!(secret).to_string(),
        4 => json!(json!({ "s": secret }).to_string()).to_string(),
        5 => json_by(&json_by(secret, "<>&'\"+", true, true), "/", false, true),
        6 => secret.bytes().map(|b| format!("%25{b:02x}")).collect(),
        7 => secret.chars().map(|c| format!("&#{};", u32::from(c))).collect(),
        _ => secret
            .bytes()
            .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
            .collect(),
    }
}

/// The same stream in chunks.
fn in_chunks(mask: &Mask, text: &[u8], cuts: &[usize], truncated: bool) -> Vec<u8> {
    let (mut stream, mut out, mut at) = (mask.stream(), Vec::new(), 0);
    for cut in cuts {
        let next = (at + cut).min(text.len());
        stream.push(&text[at..next], &mut out);
        at = next;
    }
    stream.push(&text[at..], &mut out);
    stream.finish(truncated, &mut out);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_stream_is_masked_alike_wherever_it_is_split(
        one in "[a-zA-Z0-9 /+é\n'\"]{12,40}",
        two in "ab[ab]cd[ab]{6,20}",
        parts in vec(("[a-d =\n&+;]{0,12}", any::<bool>(), 0_u8..9), 0..8),
        cuts in vec(0_usize..12, 0..60),
        truncated: bool,
    ) {
        let Ok(first) = SecretValue::new(one.clone()) else { return Ok(()) };
        let mask = Mask::new([&first, &secret(&two)]);
        let text: String = parts
            .iter()
            .map(|(noise, is_first, how)| format!("{noise}{}", written(if *is_first { &one } else { &two }, *how, noise)))
            .collect();
        let whole = mask.bytes(text.as_bytes().to_vec(), truncated);
        prop_assert_eq!(&in_chunks(&mask, text.as_bytes(), &cuts, truncated), &whole);
        let whole = String::from_utf8_lossy(&whole).into_owned();
        prop_assert!(!whole.contains(&one) && !whole.contains(&two), "{:?} left in {:?}", (one, two), whole);
        prop_assert!(parts.is_empty() || whole.contains(MASK), "{:?} became {:?}", text, whole);
        // Nothing of it is left that could be found in what came out.
        prop_assert_eq!(mask.bytes(whole.clone().into_bytes(), false), whole.into_bytes());
    }

    #[test]
    fn what_holds_no_secret_stays_as_it_is(text in vec(any::<u8>(), 0..400), cuts in vec(0_usize..30, 0..20)) {
        let mask = mask(&["\u{10348} no random bytes \u{10348} make this"]);
        prop_assert_eq!(in_chunks(&mask, &text, &cuts, false), text);
    }
}

/// While an action runs, its secrets are all that is kept of them.
#[test]
fn what_finds_secrets_is_made_when_something_is_masked() {
    let mask = Mask::new([&secret("correct horse")]);
    let is_made = |mask: &Mask| mask.0.as_ref().unwrap().search.get().is_some();
    assert!(!is_made(&mask) && !mask.is_nothing());
    assert_eq!(mask.text("a correct horse".to_owned()), "a ********");
    assert!(is_made(&mask));
}

#[test]
fn secrets_that_touch_are_masked_together() {
    let mask = Mask::new([&secret("correct horse")]).with(&[secret("battery staple")]);
    assert_eq!(mask.text("a correct horsebattery staple".to_owned()), "a ********");
    assert_eq!(Mask::NOTHING.with(&[secret("battery staple")]).text("battery staple".to_owned()), "********");
    assert!(Mask::NOTHING.with(&[]).is_nothing());
    // The end of one is the beginning of the other.
    let mask = Mask::new([&secret("correct horse")]).with(&[secret("horseradish")]);
    assert_eq!(mask.text("a correct horseradish".to_owned()), "a ********");
}

/// Wherever it is cut, nothing of a secret is left there, whatever lies between.
#[test]
fn neither_the_beginning_nor_the_end_of_a_secret_stays_at_a_cut() {
    let token = "Zq7kV-9xR2mBwT";
    let mask = mask(&[token]);
    let text = format!("{}{token}{}", ".".repeat(400), ".".repeat(400));
    let bytes = text.as_bytes();
    let lead_bytes = mask.lead_bytes();
    assert!(lead_bytes > 0 && Mask::NOTHING.lead_bytes() == 0);
    for head in 380..430_usize {
        for omitted in [1, 5, 14, 20, 350] {
            let (tail_at, lead_at) = (head + omitted, (head + omitted).saturating_sub(lead_bytes).max(head));
            let (lead, tail) = (&bytes[lead_at..tail_at], bytes[tail_at..].to_vec());
            let (first, last) = mask.ends(bytes[..head].to_vec(), lead, tail, lead_at == head, false);
            for end in [first, last] {
                let end = String::from_utf8(end).unwrap();
                assert!(end.replace(MASK, "").chars().all(|c| c == '.'), "{head} {omitted}: {end}");
            }
        }
    }
}

/// Of a stream that begins in the middle, what is written with escapes is found as well behind a lead.
#[test]
fn a_lead_is_long_enough_for_what_is_escaped() {
    let token = "Zq7kV\"9xR2mBwT";
    let mask = std::sync::Arc::new(mask(&[token]));
    let json = serde_json::to_string(&json!({ "t": serde_json::to_string(&json!({ "u": token })).unwrap() })).unwrap();
    let url: String = token.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let lead = mask.lead_bytes();
    for written in [json, url] {
        let text = format!("{}{written}{}", ".".repeat(2 * lead), ".".repeat(50));
        let shown_from = 2 * lead;
        for at in shown_from..shown_from + written.len() {
            let mut stream = OwnMaskStream::new(mask.clone(), lead);
            let mut out = Vec::new();
            text.as_bytes()[at - lead..].chunks(3).for_each(|chunk| stream.push(chunk, &mut out));
            stream.finish(false, &mut out);
            let out = String::from_utf8(out).unwrap();
            assert!(!out.contains("mBwT") && !out.contains("%6D%42") && out.ends_with(".........."), "{at}: {out}");
        }
    }
}
