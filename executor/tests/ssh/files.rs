//! Scripts and files, to hosts and from them.

use petrel_execution::worker::Why;
use serde_json::json;
use tokio::sync::watch;

use crate::asking::{Asking, eventually, holding};
use crate::sshd::Servers;

#[tokio::test]
async fn a_script_of_the_pack_runs_and_leaves_nothing() {
    let servers = Servers::start(1);
    let asking = Asking::new();
    let pack = tempfile::tempdir().unwrap();
    std::fs::create_dir(pack.path().join("actions")).unwrap();
    std::fs::write(
        pack.path().join("actions/check it.sh"),
        "#!/bin/sh\nls -ld \"${0%/*}\"; echo \"$0|$1|$MARK\"; exit 4\n",
    )
    .unwrap();
    let call = asking.call(json!({
        "hosts": servers.names(), "ssh": servers.ssh(), "script": "./check it.sh", "args": ["a 'b'\n"],
    }));
    let (_director, held) = watch::channel(holding(60_000));
    let exit = asking.run(&call, Some(pack.path()), held).await;
    let text = String::from_utf8(exit.stdout.bytes).unwrap();
    let (listed, rest) = text.split_once('\n').unwrap();
    assert!(listed.starts_with("drwx------"), "{text}");
    let (path, rest) = rest.split_once('|').unwrap();
    assert_eq!((rest, exit.return_code), (&*format!("a 'b'\n|{}\n", asking.mark), Some(4)));
    assert!(path.starts_with("/tmp/petrel-") && path.ends_with("/check it.sh"), "{path}");
    assert!(!std::path::Path::new(path).parent().unwrap().exists(), "{path} is left");
}

#[tokio::test]
async fn files_go_both_ways_as_they_are() {
    let servers = Servers::start(1);
    let asking = Asking { output_bytes_max: 300_000, ..Asking::new() };
    let (pack, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir(pack.path().join("actions")).unwrap();
    let binary: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(pack.path().join("actions/binary"), &binary).unwrap();
    let at = |name: &str| there.path().join(name).display().to_string();
    std::fs::write(at("b 'in"), "old").unwrap();
    let keys = json!({
        "hosts": servers.names(), "ssh": servers.ssh(),
        "upload": [
            { "file": "./binary", "to": at("b 'in"), "mode": "640" },
            { "content": "line\n'quote'", "to": at("text") },
            { "content": "", "to": at("empty") },
        ],
        "command": ["wc", "-c", at("b 'in")],
        "download": [at("text"), at("b 'in"), at("empty")],
    });
    let (_director, held) = watch::channel(holding(60_000));
    let exit = asking.run(&asking.call(keys), Some(pack.path()), held).await;
    assert_eq!(exit.why, Why::Succeeded, "{exit:?}");
    assert_eq!(std::fs::read(at("b 'in")).unwrap(), binary);
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(at(name)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("b 'in"), mode("text")), (0o640, 0o600));
    let host = &exit.result.as_ref().unwrap()[servers.hosts[0].name()];
    assert_eq!(host["files"][at("text")], json!({"content": "line\n'quote'", "bytes": 12}));
    assert_eq!(host["files"][at("empty")], json!({"content": "", "bytes": 0}));
    let file = &host["files"][at("b 'in")];
    assert_eq!((&file["bytes"], &file["content_truncated"]), (&json!(3_000_000), &json!(true)));
    let names: Vec<_> = std::fs::read_dir(there.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "nothing else is there: {names:?}");
}

#[tokio::test]
async fn files_that_cannot_be_written_or_read_say_why() {
    let servers = Servers::start(1);
    let asking = Asking::new();
    let name = servers.hosts[0].name();
    for (keys, expected) in [
        (
            json!({"upload": [{"content": "x", "to": "/no/such/folder/x"}]}),
            "/no/such/folder/x cannot be written: there is no such directory, or nothing can be made in it",
        ),
        (json!({"upload": [{"content": "x", "to": "/tmp"}]}), "/tmp cannot be written: there is no such file"),
        (json!({"download": ["/no/such/file"]}), "/no/such/file cannot be read: there is no such file"),
        (json!({"download": ["/tmp"]}), "/tmp cannot be read: there is no such file, or it is something else"),
    ] {
        let mut all = json!({ "hosts": [name], "ssh": servers.ssh() });
        all.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        let exit = asking.ask(all).await;
        let host = &exit.result.as_ref().unwrap()[&name];
        assert_eq!((&host["code"], &host["begun"]), (&json!("file"), &json!(false)), "{exit:?}");
        assert!(host["error"].as_str().unwrap().starts_with(expected), "{host}");
    }
}

/// The attempt ends while a large file is on its way: what stood there stays as it was.
#[tokio::test]
async fn a_file_that_is_not_whole_does_not_take_its_place() {
    let servers = Servers::start(1);
    let asking = Asking { timeout_ms: 4_000, ..Asking::new() };
    let (pack, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir(pack.path().join("actions")).unwrap();
    std::fs::write(pack.path().join("actions/large"), vec![7; 100_000_000]).unwrap();
    let to = there.path().join("large");
    std::fs::write(&to, "old").unwrap();
    let keys = json!({
        "hosts": servers.names(), "ssh": servers.ssh(), "upload": [{ "file": "./large", "to": to }],
    });
    let (_director, held) = watch::channel(holding(60_000));
    let names = || std::fs::read_dir(there.path()).unwrap().count();
    let freeze = async {
        eventually("it is on its way", || names() == 2).await;
        servers.hosts[0].freeze();
    };
    let call = asking.call(keys);
    let (exit, ()) = tokio::join!(asking.run(&call, Some(pack.path()), held), freeze);
    assert_eq!(exit.why, Why::Timeout, "{exit:?}");
    let told = &exit.result.as_ref().unwrap()[servers.hosts[0].name()];
    assert_eq!((&told["begun"], &told["code"]), (&json!(true), &json!("run_timeout")), "{told}");
    servers.hosts[0].thaw();
    eventually("nothing else is left", || names() == 1).await;
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "old");
}
