//! What a command is given, what it may do, and what is told of it.

use petrel_execution::worker::Why;
use serde_json::json;

use crate::asking::{Asking, eventually};
use crate::sshd::Servers;

#[tokio::test]
async fn a_command_gets_what_it_is_given_and_nothing_is_made_of_it() {
    let servers = Servers::start(1);
    let asking = Asking::new();
    let odd = "'; touch /tmp/petrel-pwned; $(id) `id` \"$HOME\" \\ * \n'ü\t-n";
    let exit = asking
        .ask(json!({
            "hosts": servers.names(), "ssh": servers.ssh(), "cwd": "/",
            "env": { "ODD": odd },
            "command": ["sh", "-c", "pwd; printf '%s|' \"$ODD\" \"$1\"; echo oops >&2; cat; exit 3", "sh", odd],
        }))
        .await;
    let host = &exit.result.as_ref().unwrap()[servers.hosts[0].name()];
    assert_eq!(host["stdout"], format!("/\n{odd}|{odd}|"));
    assert_eq!((&host["stderr"], &host["return_code"]), (&json!("oops\n"), &json!(3)));
    assert_eq!((&host["succeeded"], &host["failed"], &host["begun"]), (&json!(false), &json!(true), &json!(true)));
    assert_eq!(exit.why, Why::Failed { code: "ssh_hosts", retriable: true });
    let expected = format!("failed on 1 of 1 hosts: {}: it ended with the exit code 3", servers.hosts[0].name());
    assert_eq!((exit.error.as_deref(), exit.return_code), (Some(&*expected), Some(3)));
    assert!(!std::path::Path::new("/tmp/petrel-pwned").exists());
    assert_eq!(asking.left(), [0; 0]);
}

/// Whoever may list the processes of a host sees the command alone.
#[tokio::test]
async fn no_list_of_processes_shows_variables() {
    let servers = Servers::start(1);
    let asking = Asking::new();
    let keys = json!({
        "hosts": servers.names(), "ssh": servers.ssh(), "env": { "TOKEN": "s3cret-of-a-test" },
        "command": ["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 's3cret-of-a-tes[t]'; echo $TOKEN"],
    });
    let exit = asking.ask(keys).await;
    assert_eq!(String::from_utf8_lossy(&exit.stdout.bytes), "0\ns3cret-of-a-test\n");
}

#[tokio::test]
async fn output_has_a_limit_and_need_not_be_text() {
    let servers = Servers::start(1);
    let asking = Asking { output_bytes_max: 1_000, ..Asking::new() };
    let name = servers.hosts[0].name();
    let ask = async |script: &str| {
        let keys = json!({ "hosts": [name], "ssh": servers.ssh(), "command": ["sh", "-c", script] });
        let exit = asking.ask(keys).await;
        assert_eq!(exit.why, Why::Succeeded, "{exit:?}");
        exit
    };
    // A hundred megabytes are read to their end, and not kept.
    let exit = ask("head -c 100000000 /dev/zero | tr '\\0' x; echo done >&2").await;
    let host = &exit.result.as_ref().unwrap()[&name];
    assert_eq!((&host["stdout"], &host["stdout_truncated"]), (&json!("x".repeat(1_000)), &json!(true)));
    assert_eq!((&host["stderr"], host.get("stderr_truncated")), (&json!("done\n"), None));
    assert!(exit.stdout.truncated && exit.stdout.bytes.len() == 1_000);
    let exit = ask("printf 'a\\377\\000b'").await;
    let host = &exit.result.as_ref().unwrap()[&name];
    assert_eq!((&host["stdout"], &host["stdout_encoding"]), (&json!("Yf8AYg=="), &json!("base64")));
    assert_eq!(exit.stdout.bytes, b"a\xff\0b");
}

/// What gets away from its group, its parent and its input is ended all the same, and nobody waits for it.
#[tokio::test]
async fn what_a_command_leaves_behind_is_ended() {
    let servers = Servers::start(1);
    for script in [
        "sleep 300 & exit 0",
        "setsid sleep 300 >/dev/null 2>&1 </dev/null & exit 0",
        "setsid sh -c 'setsid sleep 300 & sleep 300' & sleep 0.1; exit 0",
        "(trap '' TERM HUP INT; nohup sleep 300 >/dev/null 2>&1 &) ; exit 0",
    ] {
        let asking = Asking::new();
        let keys = json!({ "hosts": servers.names(), "ssh": servers.ssh(), "command": ["sh", "-c", script] });
        let began = std::time::Instant::now();
        let exit = asking.ask(keys).await;
        assert_eq!(exit.why, Why::Succeeded, "{script}: {exit:?}");
        assert!(began.elapsed().as_secs() < 20, "{script}: nobody waits for it");
        assert_eq!(asking.left(), [0; 0], "{script}");
    }
}

#[tokio::test]
async fn a_command_that_cannot_begin_says_why() {
    let servers = Servers::start(1);
    let asking = Asking::new();
    let name = servers.hosts[0].name();
    let ssh = servers.ssh();
    for (keys, expected) in [
        (json!({"cwd": "/no/such/folder", "command": ["true"]}), "there is no directory /no/such/folder"),
        (json!({"command": ["no-such-program"]}), "there is no program no-such-program"),
        (json!({"command": ["true"], "sudo": "no-such-user"}), "sudo: "),
    ] {
        let mut all = json!({ "hosts": [name], "ssh": ssh });
        all.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        let exit = asking.ask(all).await;
        let host = exit.result.as_ref().unwrap()[&name].clone();
        assert_eq!((&host["code"], &host["begun"]), (&json!("not_started"), &json!(false)), "{exit:?}");
        let error = host["error"].as_str().unwrap();
        assert!(error.starts_with(expected) || (expected == "sudo: " && error.contains("sudo")), "{error}");
        assert_eq!(exit.why, Why::Failed { code: "ssh_hosts", retriable: false }, "{exit:?}");
    }
}

/// What runs as somebody else is ended as well, for it is watched as that user.
#[tokio::test]
async fn it_may_be_done_as_somebody_else() {
    let servers = Servers::start(1);
    let to = std::env::temp_dir().join(format!("petrel-as-nobody-{}", std::process::id()));
    for (sudo, expected) in [(json!(true), "root"), (json!("nobody"), "nobody")] {
        let asking = Asking { timeout_ms: 4_000, ..Asking::new() };
        let keys = json!({
            "hosts": servers.names(), "ssh": servers.ssh(), "sudo": sudo, "env": { "ODD": "a 'b'" },
            "upload": [{ "content": "x", "to": to }], "download": [to],
            "command": ["sh", "-c", "id -un; echo \"$ODD\"; ls -l \"$1\" | cut -d' ' -f3; rm \"$1\"; exit 9", "sh", to],
        });
        let exit = asking.ask(keys.clone()).await;
        assert_eq!(String::from_utf8_lossy(&exit.stdout.bytes), format!("{expected}\na 'b'\n{expected}\n"), "{exit:?}");
        assert_eq!(exit.return_code, Some(9));
        let mut long = keys;
        long["command"] = json!(["sh", "-c", "setsid sleep 300 & sleep 300"]);
        let exit = asking.ask(long).await;
        assert_eq!((exit.why, asking.left()), (Why::Timeout, Vec::new()), "{exit:?}");
        let _ = std::fs::remove_file(&to);
    }
}

#[tokio::test]
async fn signals_are_as_a_program_expects_them() {
    let servers = Servers::start(1);
    let asking = Asking::new();
    // The sets of signals that are ignored and blocked; descriptors beside the three.
    let script = "grep -E '^Sig(Ign|Blk)' /proc/self/status; ls /proc/self/fd | wc -l; cut -d' ' -f5,6 /proc/$$/stat";
    let exit =
        asking.ask(json!({ "hosts": servers.names(), "ssh": servers.ssh(), "command": ["sh", "-c", script] })).await;
    let text = String::from_utf8(exit.stdout.bytes).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let set = |line: &str| u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
    assert_eq!(set(lines[0]), 0, "blocked: {text}");
    assert_eq!(set(lines[1]) & 0b110, 0, "interrupts are not ignored: {text}");
    // Input, both outputs, and the folder that `ls` reads.
    assert_eq!(lines[2], "4", "{text}");
    let (group, session) = lines[3].split_once(' ').unwrap();
    assert_eq!(group, session, "it has a session of its own");
}

#[tokio::test]
async fn a_host_that_greets_is_understood() {
    let servers = Servers::start(1);
    // A shell that sshd starts for a command reads this where bash is the user's shell.
    let asking = Asking::new();
    let exit = asking.ask(json!({ "hosts": servers.names(), "ssh": servers.ssh(), "command": ["echo", "hi"] })).await;
    assert_eq!(exit.stdout.bytes, b"hi\n");
    eventually("nothing is left", || asking.left().is_empty()).await;
}
