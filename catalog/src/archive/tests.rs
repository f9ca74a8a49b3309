use super::*;

fn file(path: &str, text: &str, executable: bool) -> PackFile {
    PackFile { path: path.to_owned(), bytes: text.as_bytes().to_vec(), executable }
}

fn sample() -> Vec<PackFile> {
    vec![
        file("rules/b.yaml", "name: b\n", false),
        file("actions/run.sh", "#!/bin/sh\necho hi\n", true),
        file("pack.yaml", "name: sample\nversion: 1.0.0\n", false),
        file("actions/empty", "", false),
    ]
}

/// An archive of canonical bytes that nobody checked.
fn forged(entries: &[(&str, u8, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (path, executable, content) in entries {
        bytes.extend_from_slice(&(path.len() as u32).to_be_bytes());
        bytes.extend_from_slice(path.as_bytes());
        bytes.push(*executable);
        bytes.extend_from_slice(&(content.len() as u32).to_be_bytes());
        bytes.extend_from_slice(content.as_bytes());
    }
    framed(&bytes)
}

fn framed(canonical: &[u8]) -> Vec<u8> {
    [MAGIC.as_slice(), &zstd::bulk::compress(canonical, 3).unwrap()].concat()
}

#[test]
fn files_come_back() {
    let mut files = sample();
    let unpacked = unpack(&pack(&files).unwrap()).unwrap();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert_eq!(unpacked, files);
    assert_eq!(unpack(&pack(&[]).unwrap()).unwrap(), []);
}

/// Revisions name packs by this hash for as long as their audit trail lives: it must never change.
#[test]
fn the_hash_is_golden() {
    assert_eq!(content_hash(&sample()).unwrap(), "6e42dc8e49880285fc073ff5b165c2df");
    let mut reversed = sample();
    reversed.reverse();
    assert_eq!(content_hash(&reversed), content_hash(&sample()));
}

#[test]
fn the_hash_sees_every_part() {
    let original = content_hash(&sample()).unwrap();
    let changes: [fn(&mut Vec<PackFile>); 4] = [
        |files| files[0].bytes.push(b'x'),
        |files| files[1].executable = false,
        |files| files[3].path.push('2'),
        |files| files.truncate(3),
    ];
    for change in changes {
        let mut files = sample();
        change(&mut files);
        assert_ne!(content_hash(&files).unwrap(), original);
    }
}

#[test]
fn paths_cannot_leave_the_pack() {
    for path in ["../x", "a/../../x", "/etc/passwd", "a//b", "", ".", "a/./b", "a\\b", "C:x", "a\nb", "a/"] {
        let refused = |result: Result<(), ArchiveError>| matches!(result, Err(ArchiveError::BadPath { .. }));
        assert!(refused(pack(&[file(path, "", false)]).map(drop)), "{path:?} was packed");
        assert!(refused(unpack(&forged(&[(path, 0, "")])).map(drop)), "{path:?} was unpacked");
    }
}

#[test]
fn forged_archives_are_refused() {
    let unsorted = forged(&[("b", 0, ""), ("a", 0, "")]);
    let twice = forged(&[("a", 0, "1"), ("a", 0, "2")]);
    for archive in [unsorted, twice] {
        assert!(matches!(unpack(&archive), Err(ArchiveError::Unsorted { .. })));
    }
    assert!(matches!(unpack(&forged(&[("a", 2, "")])), Err(ArchiveError::Damaged(_))));
    assert_eq!(unpack(b"PTRLPCK2"), Err(ArchiveError::Unknown));
    assert_eq!(unpack(b""), Err(ArchiveError::Unknown));
    let good = pack(&sample()).unwrap();
    for length in 8..good.len() {
        assert!(unpack(&good[..length]).is_err(), "cut at {length}");
    }
    assert!(matches!(unpack(&framed(&[0, 0, 0, 9, b'a'])), Err(ArchiveError::Damaged(_))));
}

#[test]
fn sizes_are_limited() {
    // 64 MiB of zeros are a few kilobytes of zstd.
    let bomb = framed(&vec![0; 64 << 20]);
    assert!(bomb.len() < 100_000);
    assert_eq!(unpack(&bomb), Err(too_large()));

    let mut noise = Vec::with_capacity(BLOB_BYTES_MAX + 1);
    let mut state = 1_u32;
    noise.resize_with(BLOB_BYTES_MAX + 1, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let large = PackFile { path: "actions/large".to_owned(), bytes: noise, executable: false };
    assert!(matches!(pack(&[large]), Err(ArchiveError::BlobTooLarge { .. })));
    let huge = PackFile { path: "actions/huge".to_owned(), bytes: vec![0; PACK_BYTES_MAX + 1], executable: false };
    assert_eq!(pack(&[huge]), Err(too_large()));
}
