use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use petrel_bus::sim::SimClock;

use super::*;

fn options(place: Place) -> ObjectOptions {
    ObjectOptions { place, object_bytes_max: 1_000, retention_ms: 60_000 }
}

fn in_folder(folder: &Path) -> Objects {
    Objects::new(options(Place::Files(folder.to_owned())), SimClock::at(0)).unwrap()
}

/// Files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test]
async fn what_is_put_in_is_fetched_as_it_was_and_is_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("below/objects");
    let objects = in_folder(&folder);
    let first = objects.put(b"{}".to_vec(), JSON).await.unwrap();
    let second = objects.put(b"{}".to_vec(), JSON).await.unwrap();
    assert_eq!((&first, first.bytes, &*first.store), (&second, 2, "files"));
    assert_eq!(objects.get(&first).await, Ok(b"{}".to_vec()));
    let files = files(&folder);
    assert_eq!(files.len(), 1, "{files:?}");
    let (file, up) = (fs::metadata(&files[0]).unwrap(), fs::metadata(&folder).unwrap());
    assert_eq!((file.permissions().mode() & 0o777, up.permissions().mode() & 0o777), (0o600, 0o700));
    // By its content, as others would name it, too.
    let name = files[0].strip_prefix(&folder).unwrap().to_string_lossy().replace('/', "");
    assert_eq!(name, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
}

#[tokio::test]
async fn what_is_not_what_was_put_in_is_nobodys_result() {
    let dir = tempfile::tempdir().unwrap();
    let objects = in_folder(dir.path());
    let object = objects.put(b"[1]".to_vec(), JSON).await.unwrap();
    let path = files(dir.path()).remove(0);
    for wrong in [&b"[2]"[..], b"[1", b"[1] ", b""] {
        fs::write(&path, wrong).unwrap();
        assert_eq!(objects.get(&object).await, Err(NotFetched::Damaged), "{wrong:?}");
    }
    // Whoever puts it in again mends it.
    objects.put(b"[1]".to_vec(), JSON).await.unwrap();
    assert_eq!(objects.get(&object).await, Ok(b"[1]".to_vec()));
    let elsewhere = ObjectRef { store: "s3/other".to_owned(), ..object.clone() };
    assert_eq!(objects.get(&elsewhere).await, Err(NotFetched::Elsewhere("s3/other".to_owned())));
    let huge = ObjectRef { bytes: u64::MAX, ..object.clone() };
    assert!(matches!(objects.get(&huge).await, Err(NotFetched::TooLarge { .. })));
    fs::remove_file(&path).unwrap();
    assert_eq!(objects.get(&object).await, Err(NotFetched::Gone));
}

#[tokio::test]
async fn a_store_takes_nothing_that_is_too_large_and_says_when_it_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let objects = in_folder(dir.path());
    let error = objects.put(vec![b'x'; 1_001], JSON).await.unwrap_err();
    assert_eq!(error, NotStored::TooLarge { bytes: 1_001, bytes_max: 1_000 });
    assert!(files(dir.path()).is_empty());
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = in_folder(&file).put(b"{}".to_vec(), JSON).await.unwrap_err();
    assert!(matches!(error, NotStored::Away(_)), "{error}");
}

#[tokio::test]
async fn what_is_over_its_time_goes_and_what_is_put_in_again_stays() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SimClock::at(0);
    let objects = Objects::new(options(Place::Files(dir.path().to_owned())), clock.clone()).unwrap();
    assert_eq!(objects.sweep().await, Ok(0));
    let old = objects.put(b"[1]".to_vec(), JSON).await.unwrap();
    let again = objects.put(b"[2]".to_vec(), JSON).await.unwrap();
    let written_ms = |object: &ObjectRef| {
        let (folder, name) = object.sha256.split_at(2);
        let modified = fs::metadata(dir.path().join(folder).join(name)).unwrap().modified().unwrap();
        let age = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
        (i64::try_from(age.as_millis()).unwrap(), modified)
    };
    let (old_ms, modified) = written_ms(&old);
    // Written later, as far as the folder knows.
    let later = modified + Duration::from_secs(10);
    let (folder, name) = again.sha256.split_at(2);
    let file = fs::File::options().write(true).open(dir.path().join(folder).join(name)).unwrap();
    file.set_modified(later).unwrap();
    clock.advance(old_ms + 60_000);
    assert_eq!(objects.sweep().await, Ok(0), "it is just in time");
    clock.advance(1);
    assert_eq!(objects.sweep().await, Ok(1));
    assert_eq!((objects.get(&old).await, objects.get(&again).await), (Err(NotFetched::Gone), Ok(b"[2]".to_vec())));
    assert_eq!(files(dir.path()).len(), 1, "nothing unfinished is left");
}

#[test]
fn a_bucket_has_an_address_and_a_name() {
    let s3 = |endpoint: &str, bucket: &str, prefix: &str| {
        let options = S3Options {
            endpoint: endpoint.to_owned(),
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            region: "us-east-1".to_owned(),
            access_key_id: "id".to_owned(),
            secret_access_key: "hunter2!".to_owned(),
        };
        assert!(!format!("{options:?}").contains("hunter2!"));
        Objects::new(self::options(Place::S3(Box::new(options))), SimClock::at(0))
            .map(|objects| objects.name().to_owned())
    };
    assert_eq!(s3("http://127.0.0.1:9000", "results", "petrel/"), Ok("s3/results".to_owned()));
    for (endpoint, bucket, prefix) in [
        ("127.0.0.1:9000", "results", ""),
        ("http://127.0.0.1:9000/path", "results", ""),
        ("http://127.0.0.1:9000", "a/b", ""),
        ("http://127.0.0.1:9000", "", ""),
        ("http://127.0.0.1:9000", "results", "a b"),
        ("http://127.0.0.1:9000", "results", "/a"),
    ] {
        assert!(s3(endpoint, bucket, prefix).is_err(), "{endpoint} {bucket} {prefix}");
    }
}
