use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn master(n: u8) -> MasterKey {
    MasterKey::parse(&STANDARD.encode([n; 32])).unwrap()
}

fn keys(current: u8, earlier: &[u8]) -> MasterKeys {
    MasterKeys::new(master(current), earlier.iter().map(|n| master(*n)).collect()).unwrap()
}

fn fresh(n: u8) -> Fresh {
    Fresh { data_key: Zeroizing::new([n; 32]), value_nonce: [n; 12], key_nonce: [n + 1; 12] }
}

fn origin(name: &str, version: i64) -> Origin {
    Origin { name: name.to_owned(), version, set_at_ms: 5, set_by: "eve".to_owned(), expires_at_ms: None }
}

fn value() -> SecretValue {
    SecretValue::new("correct horse battery".to_owned()).unwrap()
}

#[test]
fn what_is_sealed_opens_under_its_name_and_key_alone() {
    let sealed = seal(&value(), origin("disk.token", 1), &master(1), &fresh(9));
    assert_eq!(open(&sealed, "disk.token", &keys(1, &[])).unwrap(), value());
    assert_eq!(open(&sealed, "disk.token", &keys(2, &[1])).unwrap(), value());
    let stored = petrel_schemas::encode(&sealed);
    assert!(!stored.windows(7).any(|part| part == b"correct"));
    let other = open(&sealed, "disk.token", &keys(2, &[])).unwrap_err();
    let needed = master(1).id().to_owned();
    assert_eq!(other, OpenError::OtherKey { name: "disk.token".to_owned(), needed });
    // The same values and keys are other bytes with other random ones.
    assert_ne!(seal(&value(), origin("disk.token", 1), &master(1), &fresh(7)).content, sealed.content);
}

#[test]
fn a_value_cannot_be_moved_or_changed() {
    let keys = keys(1, &[]);
    let sealed = seal(&value(), origin("disk.token", 2), &master(1), &fresh(9));
    let other = seal(&value(), origin("disk.other", 2), &master(1), &fresh(3));
    let damaged = |sealed: &SecretSealed, name: &str| {
        assert_eq!(open(sealed, name, &keys), Err(OpenError::Damaged { name: name.to_owned() }), "{sealed:?}");
    };
    // Under another name, whatever the record says of itself; as another version; with parts of another one.
    damaged(&sealed, "disk.other");
    damaged(&SecretSealed { name: "disk.other".to_owned(), ..sealed.clone() }, "disk.other");
    damaged(&SecretSealed { name: "disk.other".to_owned(), ..sealed.clone() }, "disk.token");
    damaged(&SecretSealed { version: 3, ..sealed.clone() }, "disk.token");
    // Nor can it be said that somebody else set it, or another time, or that it is kept for longer.
    damaged(&SecretSealed { set_by: "kim".to_owned(), ..sealed.clone() }, "disk.token");
    damaged(&SecretSealed { set_at_ms: 6, ..sealed.clone() }, "disk.token");
    for (given, said) in [(None, Some(0)), (Some(0), None), (Some(7), Some(8))] {
        let origin = Origin { expires_at_ms: given, ..origin("disk.token", 2) };
        let sealed = seal(&value(), origin, &master(1), &fresh(9));
        assert!(open(&sealed, "disk.token", &keys).is_ok());
        damaged(&SecretSealed { expires_at_ms: said, ..sealed }, "disk.token");
    }
    damaged(&SecretSealed { content: other.content.clone(), ..sealed.clone() }, "disk.token");
    damaged(&SecretSealed { wrapped_key: other.wrapped_key, ..sealed.clone() }, "disk.token");
    for length in 0..sealed.content.len() {
        damaged(&SecretSealed { content: sealed.content[..length].to_vec(), ..sealed.clone() }, "disk.token");
        let mut flipped = sealed.clone();
        flipped.content[length] ^= 1;
        damaged(&flipped, "disk.token");
    }
    for at in 0..sealed.wrapped_key.len() {
        let mut flipped = sealed.clone();
        flipped.wrapped_key[at] ^= 0x80;
        damaged(&flipped, "disk.token");
    }
    let newer = SecretSealed { cipher: "XYZ".to_owned(), ..sealed };
    assert!(matches!(open(&newer, "disk.token", &keys), Err(OpenError::OtherCipher { .. })));
}

#[test]
fn another_master_key_wraps_anew_and_leaves_the_value_as_it_is() {
    let sealed = seal(&value(), origin("disk.token", 4), &master(1), &fresh(9));
    let both = keys(2, &[1]);
    let moved = rewrap(&sealed, "disk.token", &both, [6; 12]).unwrap().unwrap();
    assert_eq!((&moved.content, moved.version), (&sealed.content, 4));
    assert_eq!(open(&moved, "disk.token", &keys(2, &[])).unwrap(), value());
    assert!(matches!(open(&moved, "disk.token", &keys(1, &[])), Err(OpenError::OtherKey { .. })));
    assert_eq!(rewrap(&moved, "disk.token", &both, [7; 12]), Ok(None));
    // What cannot be opened is not wrapped anew either.
    assert!(matches!(rewrap(&sealed, "disk.token", &keys(2, &[]), [7; 12]), Err(OpenError::OtherKey { .. })));
    assert!(matches!(rewrap(&sealed, "disk.other", &both, [7; 12]), Err(OpenError::Damaged { .. })));
    // One that says that it is another would be written there.
    let misnamed = SecretSealed { name: "disk.other".to_owned(), ..sealed };
    assert!(matches!(rewrap(&misnamed, "disk.token", &both, [7; 12]), Err(OpenError::Damaged { .. })));
}
