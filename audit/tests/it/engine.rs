//! The host of the engine: what ClickHouse's clients rely on, and what must not be possible.

use std::process::{Command, Stdio};

use clickhouse::{Client, Compression, Row};
use petrel_audit::engine::{EngineProcess, SupervisorError};
use serde::{Deserialize, Serialize};

use crate::http::{run, send};
use crate::process::{DATA_VARIABLE, Engine, TINY_VARIABLE, library, options, wait_for};

const TABLE: &str = "CREATE TABLE t (n UInt64, s String) ENGINE = MergeTree ORDER BY n \
                     SETTINGS non_replicated_deduplication_window = 100";

type Pairs = &'static [(&'static str, &'static str)];

/// RowBinary rows whose strings hold empty lines, at which an inline insert would be cut.
fn binary_rows(rows: std::ops::Range<u64>) -> Vec<u8> {
    rows.flat_map(|n| [n.to_le_bytes().as_slice(), b"\x05\n\nab\n"].concat()).collect()
}

#[test]
fn binary_inserts_arrive_whole() {
    let engine = Engine::start();
    let at = engine.address();
    run(&at, TABLE);
    let reply = send(&at, "POST", &[("query", "INSERT INTO t FORMAT RowBinary")], &[], &binary_rows(0..10_000));
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(run(&at, "SELECT count(), uniqExact(n), uniqExact(s) FROM t"), "10000\t10000\t1\n");
    assert!(reply.head.contains(r#""written_rows":"10000""#), "{}", reply.head);
    // Statement and data in one body, other formats, settings in the statement.
    let in_body =
        [b"INSERT INTO t (n, s) SETTINGS max_threads = 1 FORMAT RowBinary\n".to_vec(), binary_rows(10_000..10_010)];
    for body in [
        in_body.concat(),
        b"INSERT INTO t VALUES (1,'a\n\nb'), (2,'x')".to_vec(),
        b"INSERT INTO t FORMAT CSV 3,y\n4,z".to_vec(),
    ] {
        let reply = send(&at, "POST", &[], &[], &body);
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    assert_eq!(run(&at, "SELECT count() FROM t"), "10014\n");
}

#[test]
fn a_token_makes_an_insert_idempotent() {
    let engine = Engine::start();
    let at = engine.address();
    run(&at, TABLE);
    for (token, total) in [("a", 100), ("a", 100), ("b", 200), ("a", 200)] {
        let query = [("query", "INSERT INTO t FORMAT RowBinary"), ("insert_deduplication_token", token)];
        assert_eq!(send(&at, "POST", &query, &[], &binary_rows(0..100)).status, 200);
        assert_eq!(run(&at, "SELECT count() FROM t"), format!("{total}\n"), "after {token}");
    }
}

#[derive(Debug, PartialEq, Row, Serialize, Deserialize)]
struct Numbered {
    n: u64,
    s: String,
}

#[tokio::test]
async fn the_client_crate_works() {
    let engine = Engine::start();
    let at = engine.address();
    let password = at.password.clone().expect("a supervised engine has a password");
    for compression in [Compression::None, Compression::Lz4] {
        let client = Client::default().with_url(&at.url).with_password(&password).with_compression(compression);
        client.query("DROP TABLE IF EXISTS t").execute().await.unwrap();
        client.query(TABLE).execute().await.unwrap();
        let mut insert = client.insert::<Numbered>("t").await.unwrap();
        for n in 0..5_000 {
            insert.write(&Numbered { n, s: "\n\n".repeat(20) }).await.unwrap();
        }
        insert.end().await.unwrap();
        let count: u64 = client.query("SELECT count() FROM t WHERE s = repeat('\n', 40)").fetch_one().await.unwrap();
        assert_eq!(count, 5_000);
        let rows: Vec<Numbered> =
            client.query("SELECT ?fields FROM t WHERE n < ? ORDER BY n").bind(3).fetch_all().await.unwrap();
        assert_eq!(rows.iter().map(|r| r.n).collect::<Vec<_>>(), [0, 1, 2]);
        let bound: String = client.query("SELECT {x:String}").param("x", "it's").fetch_one().await.unwrap();
        assert_eq!(bound, "it's");
        let error = client.query("SELECT nonsense FROM t").fetch_one::<u64>().await.unwrap_err().to_string();
        assert!(error.contains("Code: 47") && error.contains("nonsense"), "{error}");
    }
}

#[test]
fn errors_are_the_engines_own() {
    let engine = Engine::start();
    let at = engine.address();
    let cases: [(Pairs, &str, u16, &str); 7] = [
        (&[], "SELECT", 400, "Code: 62."),
        (&[], "SELECT * FROM nothing", 404, "Code: 60."),
        (&[("database", "nothing")], "SELECT 1", 404, "Code: 81."),
        (&[("no_such_setting", "1")], "SELECT 1", 400, "Code: 115."),
        (&[("max_execution_time", "1")], "SELECT count() FROM system.numbers", 500, "Code: 159."),
        (&[("max_result_rows", "5")], "SELECT number FROM numbers(100)", 500, "Code: 396."),
        (&[], "SELECT 1; SELECT 2", 400, "Code: 62."),
    ];
    for (query, sql, status, text) in cases {
        let reply = send(&at, "POST", query, &[], sql.as_bytes());
        assert_eq!(reply.status, status, "{sql}: {}", reply.text());
        assert!(reply.text().starts_with(text), "{sql}: {}", reply.text());
        assert!(reply.head.to_lowercase().contains("x-clickhouse-exception-code"), "{}", reply.head);
    }
    let bad = send(&at, "POST", &[("query", "SELECT 1"), ("decompress", "1")], &[], b"no block");
    assert_eq!((bad.status, bad.text().contains("ends within a block")), (400, true), "{}", bad.text());
}

#[test]
fn read_only_is_read_only() {
    let engine = Engine::start();
    let at = engine.address();
    run(&at, TABLE);
    let outfile = engine.dir.path().join("out.txt");
    let into_outfile = format!("SELECT 1 INTO OUTFILE '{}'", outfile.display());
    let refused = [
        "INSERT INTO t VALUES (1, 'x')",
        "INSERT INTO t SELECT 1, 'x'",
        "CREATE TABLE u (n UInt8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE u (n UInt8)",
        "DROP TABLE t",
        "TRUNCATE TABLE t",
        "SET readonly = 0",
        "SELECT 1 SETTINGS readonly = 0",
        "SYSTEM SHUTDOWN",
        "KILL QUERY WHERE 1",
        "USE system",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT file('/etc/passwd')",
        "SELECT `file`('/etc/passwd') FORMAT Null",
        "SELECT arrayMap(x -> file(x), ['/etc/passwd'])",
        "WITH (SELECT file('/etc/passwd')) AS f SELECT f FORMAT JSON",
        "SELECT * FROM view(SELECT file('/etc/passwd'))",
        "EXPLAIN SELECT file('/etc/passwd')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV')",
        "SELECT * FROM s3('http://127.0.0.1:1/b/k', 'CSV')",
        "SELECT * FROM remote('127.0.0.1', 'system', 'one')",
        "SELECT * FROM executable('id', 'LineAsString', 'l String')",
        "SELECT * FROM eval('SELECT 1')",
        "DESCRIBE TABLE file('/etc/passwd', 'LineAsString')",
        &into_outfile,
    ];
    for sql in refused {
        let reply = send(&at, "POST", &[("readonly", "1")], &[], sql.as_bytes());
        assert!(reply.status != 200, "{sql} was not refused: {}", reply.text());
        assert!(!reply.text().contains("root:"), "{sql} read the file: {}", reply.text());
    }
    assert!(!outfile.exists());
    let get = send(&at, "GET", &[("query", "DROP TABLE t")], &[], b"");
    assert_eq!(get.status, 403, "{}", get.text());
    for sql in [
        "SELECT count() FROM t",
        "SHOW TABLES FORMAT JSON",
        "SELECT format FROM (SELECT 1 AS format) FORMAT CSV;",
        "EXPLAIN SELECT 1",
        "SELECT sum(number) FROM numbers(10) SETTINGS max_threads = 1 -- comment",
        "SELECT {x:UInt8}",
    ] {
        let reply =
            send(&at, "POST", &[("readonly", "2"), ("param_x", "7"), ("max_result_rows", "9")], &[], sql.as_bytes());
        assert_eq!(reply.status, 200, "{sql}: {}", reply.text());
    }
    assert_eq!(run(&at, "SELECT count() FROM t"), "0\n");
}

#[test]
fn the_host_is_for_its_parent_only() {
    let engine = Engine::start();
    let at = engine.address();
    let mut stranger = at.clone();
    stranger.password = Some("guess".into());
    assert_eq!(send(&stranger, "POST", &[], &[], b"SELECT 1").status, 401);
    stranger.password = None;
    assert_eq!(send(&stranger, "POST", &[], &[], b"SELECT 1").status, 401);
    assert_eq!(send(&at, "POST", &[], &[("Origin", "http://evil.example")], b"SELECT 1").status, 403);
    assert_eq!(send(&at, "POST", &[], &[("Host", "evil.example")], b"SELECT 1").status, 403);
    assert_eq!(send(&stranger, "GET", &[], &[], b"").text(), "Ok.\n");
}

#[test]
fn limits_are_told() {
    let engine = Engine::start_with(&[(TINY_VARIABLE, "1")]).expect("the engine starts");
    let at = engine.address();
    run(&at, TABLE);
    let big = send(&at, "POST", &[("query", "INSERT INTO t FORMAT RowBinary")], &[], &binary_rows(0..200_000));
    assert_eq!((big.status, big.text().contains("1048576 bytes")), (413, true), "{}", big.text());
    // One runs, one waits, the others are refused.
    let replies: Vec<_> = std::thread::scope(|scope| {
        let slow = || send(&at, "POST", &[], &[], b"SELECT sleepEachRow(1) FROM numbers(2)");
        let running: Vec<_> = (0..4).map(|_| scope.spawn(slow)).collect();
        running.into_iter().map(|r| r.join().unwrap()).collect()
    });
    let with = |status| replies.iter().filter(|r| r.status == status).count();
    assert_eq!((with(200), with(503)), (2, 2), "{replies:?}");
    assert!(replies.iter().filter(|r| r.status == 503).all(|r| r.text().contains("Code: 202.")), "{replies:?}");
}

#[test]
fn a_long_query_does_not_hold_an_insert_up() {
    let engine = Engine::start();
    let at = engine.address();
    run(&at, TABLE);
    std::thread::scope(|scope| {
        let slow = scope
            .spawn(|| send(&at, "POST", &[("max_execution_time", "3")], &[], b"SELECT count() FROM system.numbers"));
        wait_for("the long query", || (run(&at, "SELECT count() FROM system.processes") == "2\n").then_some(()));
        run(&at, "INSERT INTO t VALUES (1, 'x')");
        assert_eq!(run(&at, "SELECT count() FROM t"), "1\n");
        assert!(!slow.is_finished());
        assert!(slow.join().is_ok_and(|r| r.text().contains("Code: 159.")));
    });
}

#[test]
fn killed_it_comes_back_with_its_data() {
    let engine = Engine::start();
    let at = engine.address();
    run(&at, "CREATE DATABASE d");
    run(&at, "CREATE TABLE d.t (n UInt64, s String) ENGINE = MergeTree ORDER BY n");
    for round in 0..3u64 {
        let at = engine.address();
        let query = [("query", "INSERT INTO d.t FORMAT RowBinary")];
        assert_eq!(send(&at, "POST", &query, &[], &binary_rows(0..1_000)).status, 200);
        let pid = engine.process.pid().expect("it runs");
        kill(pid);
        wait_for("another process", || engine.process.pid().filter(|p| *p != pid));
        assert_eq!(run(&engine.address(), "SELECT count() FROM d.t"), format!("{}\n", (round + 1) * 1_000));
    }
    assert_eq!(engine.process.restarts(), 3);
}

#[test]
fn it_stops_in_order_and_frees_its_data() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    for expected in ["0\n", "1\n"] {
        let process = EngineProcess::start(options(&data, &[])).unwrap();
        let (at, pid) = (process.endpoint().now().unwrap(), process.pid().unwrap());
        run(&at, "CREATE TABLE IF NOT EXISTS t (n UInt8) ENGINE = MergeTree ORDER BY n");
        assert_eq!(run(&at, "SELECT count() FROM t"), expected);
        run(&at, "INSERT INTO t VALUES (1)");
        process.stop();
        assert!(!alive(pid));
    }
}

#[test]
fn it_ends_with_its_parent() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    // A shell stands between: killed with -9 it tells nobody, and our end of the engine's stdin stays open.
    let this = std::env::current_exe().unwrap();
    let script = format!("{} process::engine_host --exact --nocapture; :", this.display());
    let mut shell = Command::new("/bin/sh")
        .args(["-c", &script])
        .env(DATA_VARIABLE, &data)
        .env("PETREL_CLICKHOUSE_PARENT", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(shell.stdout.take().unwrap()));
    assert!(lines.map_while(Result::ok).any(|line| line.contains("petrel_clickhouse")), "it did not start");
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", shell.id())).unwrap();
    let pid: u32 = children.trim().parse().unwrap();
    assert!(alive(pid));
    kill(shell.id());
    shell.wait().unwrap();
    wait_for("the engine's end", || (!alive(pid)).then_some(()));
}

#[test]
fn what_cannot_start_says_why() {
    let told = |result: Result<Engine, SupervisorError>| match result {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    };
    let missing = told(Engine::start_with(&[("PETREL_CHDB_LIB", "/bin/true")]));
    assert!(missing.contains("cannot load the ClickHouse engine /bin/true"), "{missing}");
    let public = told(Engine::start_with(&[("PETREL_TEST_ENGINE_LISTEN", "0.0.0.0:0")]));
    assert!(public.contains("listens on loopback only"), "{public}");
    let engine = Engine::start();
    let second = told(
        EngineProcess::start(options(&engine.dir.path().join("data"), &[]))
            .map(|process| Engine { process, dir: tempfile::tempdir().unwrap() }),
    );
    assert!(second.contains("does not start on"), "{second}");
    assert!(library().is_file());
}

fn kill(pid: u32) {
    let killed = Command::new("/bin/kill").args(["-9", &pid.to_string()]).status();
    assert!(killed.is_ok_and(|s| s.success()), "cannot kill {pid}");
}

/// Whether a process is there and not a zombie.
fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}
