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

/// Objects, and what is unfinished.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().unwrap() != "store" {
            found.push(path);
        }
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
    let store = fs::read_to_string(folder.join("store")).unwrap();
    assert_eq!((&first, first.bytes, &first.store), (&second, 2, &format!("files/{store}")));
    assert_eq!(store.len(), 32);
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
async fn another_folder_is_another_store_whatever_it_is_called() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("objects");
    let here = in_folder(&folder);
    let object = here.put(b"[1]".to_vec(), JSON).await.unwrap();
    let moved = dir.path().join("moved");
    fs::rename(&folder, &moved).unwrap();
    let elsewhere = Err(NotFetched::Elsewhere(object.store.clone()));
    assert_eq!(here.get(&object).await, elsewhere, "its mount is not there");
    // As on another machine.
    here.put(b"[2]".to_vec(), JSON).await.unwrap();
    assert_eq!(here.get(&object).await, elsewhere);
    assert_eq!(in_folder(&moved).get(&object).await, Ok(b"[1]".to_vec()));
    // Who comes second takes the name that there is.
    let beside = in_folder(&moved).put(b"[3]".to_vec(), JSON).await.unwrap();
    assert_eq!((&beside.store, files(&moved).len()), (&object.store, 2));
    fs::write(moved.join("store"), "x").unwrap();
    assert!(matches!(in_folder(&moved).get(&object).await, Err(NotFetched::Away(_))));
}

/// As if a file had been written so long ago.
fn age(path: &Path, age: Duration) {
    let file = fs::File::open(path).unwrap();
    let now = file.metadata().unwrap().modified().unwrap();
    file.set_modified(now - age).unwrap();
}

const OVER: Duration = Duration::from_secs(61);

#[tokio::test]
async fn what_is_over_its_time_goes_and_what_is_put_in_again_stays() {
    let dir = tempfile::tempdir().unwrap();
    // What the time is, the file system says: a machine may be wrong about it.
    let clock = SimClock::at(4_000_000_000_000);
    let objects = Objects::new(options(Place::Files(dir.path().to_owned())), clock).unwrap();
    assert_eq!(objects.sweep().await, Ok(0));
    let old = objects.put(b"[1]".to_vec(), JSON).await.unwrap();
    let again = objects.put(b"[2]".to_vec(), JSON).await.unwrap();
    files(dir.path()).iter().for_each(|path| age(path, Duration::from_secs(50)));
    assert_eq!(objects.sweep().await, Ok(0), "they are in time");
    files(dir.path()).iter().for_each(|path| age(path, Duration::from_secs(11)));
    objects.put(b"[2]".to_vec(), JSON).await.unwrap();
    assert_eq!(objects.sweep().await, Ok(1));
    assert_eq!((objects.get(&old).await, objects.get(&again).await), (Err(NotFetched::Gone), Ok(b"[2]".to_vec())));
    assert_eq!(files(dir.path()).len(), 1, "nothing unfinished is left");
}

#[tokio::test]
async fn a_sweep_takes_nothing_that_is_not_an_object_s() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, other) = (dir.path().join("shared"), dir.path().join("other"));
    let objects = in_folder(&folder);
    let name = "f".repeat(62);
    let strange = [
        folder.join("backups/db.dump"),
        folder.join("notes"),
        folder.join("ab/notes"),
        folder.join("abc").join(&name),
        folder.join("AB").join(&name),
        folder.join("unfinished/mine"),
        folder.join("unfinished/1-"),
        other.join(&name),
    ];
    for path in &strange {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
        age(path, OVER);
    }
    std::os::unix::fs::symlink(&other, folder.join("cd")).unwrap();
    let ours = folder.join("ab").join(&name);
    fs::write(&ours, "").unwrap();
    age(&ours, OVER);
    assert_eq!(objects.sweep().await, Ok(0), "it is nobody's store yet");
    objects.put(b"[1]".to_vec(), JSON).await.unwrap();
    let left = folder.join("unfinished/1-1");
    fs::write(&left, "").unwrap();
    age(&left, OVER);
    assert_eq!(objects.sweep().await, Ok(1));
    let gone = [&ours, &left].map(|path| path.exists());
    assert_eq!(gone, [false, false]);
    let lost: Vec<&PathBuf> = strange.iter().filter(|path| !path.exists()).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[tokio::test]
async fn what_cannot_be_removed_keeps_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let objects = in_folder(dir.path());
    let old = [b"[1]", b"[2]", b"[3]"].map(|text| text.to_vec());
    for text in old {
        objects.put(text, JSON).await.unwrap();
    }
    let all = files(dir.path());
    all.iter().for_each(|path| age(path, OVER));
    // A folder in the place of an object, wherever it comes in the order of reading.
    let folders: std::collections::BTreeSet<_> = all.iter().map(|path| path.parent().unwrap()).collect();
    assert_eq!(folders.len(), 3, "the test needs other texts");
    for folder in folders {
        let name = folder.join("0".repeat(62));
        fs::create_dir(&name).unwrap();
        age(&name, OVER);
    }
    assert_eq!(objects.sweep().await, Ok(3));
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_folder_that_does_not_answer_is_away_and_takes_no_thread_from_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut objects = in_folder(dir.path());
    let object = objects.put(b"[1]".to_vec(), JSON).await.unwrap();
    let path = files(dir.path()).remove(0);
    fs::remove_file(&path).unwrap();
    // Whoever opens it waits for somebody who writes.
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    objects.get_max = Duration::from_millis(50);
    objects.put_max = Duration::from_millis(50);
    for _ in 0..=FILE_CALLS_MAX {
        let found = objects.get(&object).await;
        let Err(NotFetched::Away(why)) = found else { panic!("{found:?}") };
        assert!(why.contains("has not answered"), "{why}");
    }
    let Store::Files(_, calls) = &objects.store else { panic!("it is a folder") };
    assert_eq!(calls.available_permits(), 0, "no more threads wait than there may");
    assert!(matches!(objects.put(b"[2]".to_vec(), JSON).await, Err(NotStored::Away(_))));
    // It answers again.
    let calls = calls.clone();
    let waiting = fs::File::options().read(true).write(true).open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    drop(waiting);
    let back = calls.acquire_many(u32::try_from(FILE_CALLS_MAX).unwrap());
    drop(tokio::time::timeout(Duration::from_secs(10), back).await.expect("a call does not come back").unwrap());
    objects.put_max = PUT;
    objects.get_max = GET;
    assert_eq!(objects.put(b"[1]".to_vec(), JSON).await, Ok(object.clone()));
    assert_eq!(objects.get(&object).await, Ok(b"[1]".to_vec()));
}

#[tokio::test]
async fn only_so_many_are_taken_for_values_at_the_same_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut objects = in_folder(dir.path());
    objects.get_max = Duration::from_millis(20);
    let mut turns = Vec::new();
    for _ in 0..READ_AT_ONCE {
        turns.push(objects.turn_to_read().await.unwrap());
    }
    assert!(objects.turn_to_read().await.is_err());
    turns.pop();
    assert!(objects.turn_to_read().await.is_ok());
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
        Objects::new(self::options(Place::S3(Box::new(options))), SimClock::at(0)).map(|objects| match objects.store {
            Store::S3(s3) => s3.name().to_owned(),
            Store::Files(..) => panic!("it is a bucket"),
        })
    };
    assert_eq!(s3("http://127.0.0.1:9000", "results", "petrel/"), Ok("s3/127.0.0.1:9000/results/petrel/".to_owned()));
    assert_eq!(s3("https://s3.example.com", "results", ""), Ok("s3/s3.example.com/results/".to_owned()));
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
