//! The store of objects in a bucket: against an imitation of S3 that looks at signatures by the package aws4 of npm.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use petrel_bus::sim::SimClock;
use petrel_executor::objects::{JSON, NotFetched, NotStored, ObjectOptions, Objects, Place, S3Options};
use petrel_schemas::ObjectRef;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const LIMIT: Duration = Duration::from_secs(30);
const NOW_MS: i64 = 1_795_910_400_000;

struct Imitation {
    _process: Child,
    port: u64,
}

impl Imitation {
    async fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let packages: PathBuf = root.join("target/dev/s3");
        let is_there = packages.join("node_modules/aws4").is_dir();
        assert!(is_there, "there are no signatures of S3 in target/dev/s3: run cargo xtask deps --s3");
        let mut node = Command::new("node");
        node.arg(root.join("deploy/dev/s3/serve.mjs")).args(["results", "eu-central-1", "petrel", "s3cret/key+"]);
        node.current_dir(packages).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = node.spawn().unwrap();
        let mut told = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(LIMIT, told.next_line()).await.expect("it says nothing").unwrap();
        let told: serde_json::Value = serde_json::from_str(&line.expect("it has ended")).unwrap();
        Self { _process: process, port: told["port"].as_u64().unwrap() }
    }

    fn objects(&self, change: impl FnOnce(&mut S3Options)) -> Objects {
        let mut options = S3Options {
            endpoint: format!("http://127.0.0.1:{}", self.port),
            bucket: "results".to_owned(),
            prefix: "petrel/".to_owned(),
            region: "eu-central-1".to_owned(),
            access_key_id: "petrel".to_owned(),
            secret_access_key: "s3cret/key+".to_owned(),
        };
        change(&mut options);
        let place = Place::S3(Box::new(options));
        let options = ObjectOptions { place, object_bytes_max: 8 << 20, retention_ms: 1_000 };
        Objects::new(options, SimClock::at(NOW_MS)).unwrap()
    }
}

#[tokio::test]
async fn a_bucket_takes_and_gives_objects_to_who_has_its_key() {
    let imitation = Imitation::start().await;
    let objects = imitation.objects(|_| {});
    let large = serde_json::to_vec(&vec!["x".repeat(1_000); 3_000]).unwrap();
    let object = objects.put(large.clone(), JSON).await.unwrap();
    let store = format!("s3/127.0.0.1:{}/results/petrel/", imitation.port);
    assert_eq!((&object.store, object.bytes), (&store, large.len() as u64));
    assert_eq!(objects.get(&object).await, Ok(large));

    let missing = ObjectRef { sha256: "0".repeat(64), ..object.clone() };
    assert_eq!(objects.get(&missing).await, Err(NotFetched::Gone));
    let cut = ObjectRef { bytes: 3, ..object.clone() };
    assert_eq!(objects.get(&cut).await, Err(NotFetched::Damaged));

    let others = [
        imitation.objects(|options| options.secret_access_key = "another".to_owned()),
        imitation.objects(|options| options.region = "us-east-1".to_owned()),
    ];
    for other in others {
        let refused = other.put(b"{}".to_vec(), JSON).await.unwrap_err();
        let NotStored::Away(why) = refused else { panic!("{refused}") };
        assert!(why.contains("403") && why.contains("SignatureDoesNotMatch"), "{why}");
        assert!(matches!(other.get(&object).await, Err(NotFetched::Away(_))));
    }
    let elsewhere = imitation.objects(|options| options.bucket = "other".to_owned());
    assert!(matches!(elsewhere.put(b"{}".to_vec(), JSON).await, Err(NotStored::Away(_))));
    assert_eq!(elsewhere.get(&object).await, Err(NotFetched::Elsewhere(store.clone())));
    // A bucket that is not there has lost nothing: it may come back.
    let of_it = ObjectRef { store: store.replace("results", "other"), ..object };
    let NotFetched::Away(why) = elsewhere.get(&of_it).await.unwrap_err() else { panic!("it is gone") };
    assert!(why.contains("404") && why.contains("NoSuchBucket"), "{why}");
}

#[tokio::test]
async fn a_bucket_that_is_away_is_told_soon() {
    let imitation = Imitation::start().await;
    let objects = imitation.objects(|_| {});
    let object = objects.put(b"{}".to_vec(), JSON).await.unwrap();
    drop(imitation);
    let put = tokio::time::timeout(LIMIT, objects.put(b"[]".to_vec(), JSON)).await.expect("it waits for ever");
    assert!(matches!(put, Err(NotStored::Away(_))), "{put:?}");
    assert!(matches!(objects.get(&object).await, Err(NotFetched::Away(_))));
}
