//! Many hosts, some of which are not as they should be; connections that are used again; hosts behind others.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use petrel_execution::Delivery;
use petrel_execution::worker::Why;
use serde_json::{Value, json};

use crate::asking::{Asking, eventually};
use crate::sshd::{Servers, free_port, kill, tree};

fn echo(servers: &Servers) -> Value {
    json!({ "hosts": servers.names(), "ssh": servers.ssh(), "command": ["echo", "hi"] })
}

#[tokio::test]
async fn hosts_are_told_one_by_one_and_so_many_may_fail() {
    let servers = Servers::start(3);
    let asking = Asking::new();
    let down = format!("127.0.0.1:{}", free_port());
    // A host that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_name = silent.local_addr().unwrap().to_string();
    let mut hosts = servers.names();
    hosts.extend([down.clone(), silent_name.clone()]);
    for (fail_at, succeeds) in [("any", false), ("40%", false), ("41%", true), ("all", true)] {
        let mut keys = echo(&servers);
        keys["hosts"] = json!(hosts);
        keys["fail_at"] = fail_at.into();
        keys["ssh"]["connect_timeout"] = "1s".into();
        let began = Instant::now();
        let exit = asking.ask(keys).await;
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        assert_eq!(exit.why == Why::Succeeded, succeeds, "{fail_at}: {exit:?}");
        let told = exit.result.as_ref().unwrap();
        assert_eq!(told.as_object().unwrap().keys().collect::<Vec<_>>(), hosts.iter().collect::<Vec<_>>());
        for name in servers.names() {
            assert_eq!((&told[&name]["stdout"], &told[&name]["succeeded"]), (&json!("hi\n"), &json!(true)), "{told}");
        }
        for name in [&down, &silent_name] {
            assert_eq!((&told[name]["code"], &told[name]["begun"]), (&json!("not_reached"), &json!(false)), "{told}");
        }
        assert_eq!(told[&silent_name]["error"], "not connected within 1000 ms");
    }
}

/// Who has failed on too many hosts begins on no other one.
#[tokio::test]
async fn hosts_are_left_out_once_it_has_failed() {
    let servers = Servers::start(3);
    let asking = Asking { delivery: Delivery::AtMostOnce, ..Asking::new() };
    let mut keys = echo(&servers);
    keys["parallel"] = 1.into();
    keys["command"] = json!(["false"]);
    let exit = asking.ask(keys).await;
    let told = exit.result.as_ref().unwrap();
    let codes: Vec<Value> = servers.names().iter().map(|name| told[name]["code"].clone()).collect();
    assert_eq!(codes, [json!("exit_code"), json!("skipped"), json!("skipped")]);
    assert_eq!(servers.hosts[1].logins() + servers.hosts[2].logins(), 0);
    assert_eq!(exit.why, Why::Failed { code: "ssh_hosts", retriable: false }, "it ran on one");
}

#[tokio::test]
async fn so_many_are_at_work_at_a_time() {
    let servers = Servers::start(4);
    let asking = Asking::new();
    let dir = tempfile::tempdir().unwrap();
    // Each says how many there are with it.
    let script = "cd \"$1\" && touch here.$$ || exit 1; i=0
        while [ $(ls | wc -l) -lt \"$2\" ] && [ $i -lt 200 ]; do sleep 0.05; i=$((i + 1)); done
        sleep 0.3; ls | wc -l; sleep 0.3; rm here.$$";
    for parallel in [2, 4] {
        let mut keys = echo(&servers);
        keys["parallel"] = parallel.into();
        keys["command"] = json!(["sh", "-c", script, "sh", dir.path(), parallel.to_string()]);
        let exit = asking.ask(keys).await;
        let told = exit.result.unwrap();
        let of = |name: String| told[&name]["stdout"].as_str().unwrap().trim().parse::<i32>().unwrap();
        let most = servers.names().into_iter().map(of).max();
        assert_eq!(most, Some(parallel), "{told}");
    }
}

#[tokio::test]
async fn connections_are_used_again_by_who_is_the_same() {
    let mut servers = Servers::start(1);
    let asking = Asking::new();
    for _ in 0..3 {
        assert_eq!(asking.ask(echo(&servers)).await.why, Why::Succeeded);
    }
    assert_eq!((servers.hosts[0].logins(), asking.runner.idle()), (1, 1), "{}", servers.hosts[0].log());
    // Another key, another user of it: somebody else.
    let mut other = echo(&servers);
    other["ssh"]["auth"] = json!({ "key": servers.text("rsa") });
    assert_eq!(asking.ask(other).await.why, Why::Succeeded);
    assert_eq!((servers.hosts[0].logins(), asking.runner.idle()), (2, 2));
    // Two at a time have one each.
    let (one, two) = tokio::join!(asking.ask(echo(&servers)), asking.ask(echo(&servers)));
    assert_eq!((one.why, two.why, servers.hosts[0].logins()), (Why::Succeeded, Why::Succeeded, 3));
    // Those that are dead are replaced, also where the action may run only once: nothing had been done.
    servers.hosts[0].stop();
    servers.hosts[0].start_again();
    let asking = Asking { delivery: Delivery::AtMostOnce, ..asking };
    for _ in 0..4 {
        let exit = asking.ask(echo(&servers)).await;
        assert_eq!(exit.why, Why::Succeeded, "{exit:?}");
    }
    // What fails says nothing of the connection; what is ended by force is not used again.
    let mut fails = echo(&servers);
    fails["command"] = json!(["false"]);
    let before = servers.hosts[0].logins();
    asking.ask(fails).await;
    assert_eq!(asking.ask(echo(&servers)).await.why, Why::Succeeded);
    assert_eq!(servers.hosts[0].logins(), before);
}

/// A host that hangs in the middle: the command's time is over, and the worker waits for no answer.
#[tokio::test]
async fn a_host_that_hangs_holds_nobody_up() {
    let servers = Servers::start(1);
    let asking = Asking { timeout_ms: 3_000, ..Asking::new() };
    let mut keys = echo(&servers);
    keys["command"] = json!(["sleep", "300"]);
    let began = Instant::now();
    let freeze = async {
        asking.until_running(1).await;
        servers.hosts[0].freeze();
    };
    let (exit, ()) = tokio::join!(asking.ask(keys), freeze);
    assert_eq!(exit.why, Why::Timeout);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let told = &exit.result.as_ref().unwrap()[servers.hosts[0].name()];
    let error = told["error"].as_str().unwrap();
    assert!(error.ends_with("it had begun, and ends when the lease passes at the latest"), "{error}");
    servers.hosts[0].thaw();
    eventually("it has ended", || asking.left().is_empty()).await;
}

#[tokio::test]
async fn hosts_behind_others_are_reached_by_way_of_them() {
    let servers = Servers::start(3);
    let asking = Asking::new();
    let [bastion, inner, host] = &servers.hosts[..] else { unreachable!() };
    let mut keys = echo(&servers);
    keys["hosts"] = json!([host.name()]);
    keys["ssh"]["via"] = json!([bastion.name(), { "host": inner.name(), "auth": { "key": servers.text("rsa") } }]);
    for _ in 0..2 {
        let exit = asking.ask(keys.clone()).await;
        assert_eq!((exit.why, &*exit.stdout.bytes), (Why::Succeeded, &b"hi\n"[..]), "{exit:?}");
    }
    assert_eq!([bastion, inner, host].map(|server| server.logins()), [1, 1, 1]);
    // The one behind is looked at as any other.
    let mut unknown = keys.clone();
    unknown["ssh"]["known_hosts"] = format!("{}{}", bastion.known_hosts(), inner.known_hosts()).into();
    let exit = asking.ask(unknown).await;
    assert_eq!(exit.result.unwrap()[host.name()]["code"], "host_key");
    // One on the way that is gone.
    keys["ssh"]["via"] = json!([bastion.name(), format!("127.0.0.1:{}", free_port())]);
    let exit = asking.ask(keys).await;
    assert_eq!(exit.result.unwrap()[host.name()]["code"], "not_reached");
    let sessions = || tree(bastion.pid()).len();
    drop(asking);
    eventually("no connection is left", || sessions() == 1).await;
    kill("-CONT", bastion.pid());
}
