//! To which addresses nothing is sent, however they are written or reached.

use crate::asking::{Asking, failure, result};
use crate::server::{Reply, Seen, Server, json, redirect};
use petrel_execution::worker::{Exit, Why};
use serde_json::json;

pub fn refused(exit: &Exit) {
    assert_eq!(failure(exit), ("address_refused", false), "{exit:?}");
    assert!(exit.result.is_none());
}

/// Every way of writing it leads to this machine, where a server waits for it.
#[tokio::test]
async fn no_spelling_of_an_address_is_let_through() {
    let server = Server::start(|_, _| json(200, "1")).await;
    let port = server.address.port();
    let asking = Asking::allowed(&[]);
    asking.names.set("localhost", &[&["127.0.0.1"]]);
    asking.names.set("127.0.0.1.nip.test", &[&["127.0.0.1"]]);
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0x7f.0x0.0x0.0x1",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "localhost",
        "LOCALHOST",
        "127.0.0.1.nip.test",
    ] {
        refused(&asking.ask(json!({"url": format!("http://{host}:{port}/")})).await);
    }
    for host in ["169.254.169.254", "0xa9fea9fe", "2852039166", "[::ffff:a9fe:a9fe]", "[fd00:ec2::254]", "[fe80::1]"] {
        refused(&asking.ask(json!({"url": format!("http://{host}/latest/meta-data/")})).await);
    }
    // A zone would choose the network; no URL has one.
    let zone = asking.ask(json!({"url": "http://[fe80::1%25lo]/"})).await;
    assert_eq!(failure(&zone).0, "not_started");
    assert_eq!(server.connections(), 0);
    // The same server, where it is allowed.
    let allowed = Asking::new();
    for host in ["127.0.0.1", "2130706433", "0x7f.1"] {
        assert_eq!(allowed.ask(json!({"url": format!("http://{host}:{port}/")})).await.why, Why::Succeeded, "{host}");
    }
}

#[tokio::test]
async fn no_redirect_leads_to_an_address_that_is_refused() {
    let victim = Server::start(|_, _| json(200, "1")).await;
    let port = victim.address.port();
    // It waits at 127.0.0.1 as well, which is refused but for the port that is asked first: by its name.
    let asking = Asking::allowed(&["127.0.0.2"]);
    asking.names.set("inner.test", &[&["127.0.0.1"]]);
    for to in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://inner.test:{port}/"),
        format!("//127.0.0.1:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.1/".to_owned(),
    ] {
        let location = to.clone();
        let server = Server::start_at("127.0.0.2:0", move |_, _| redirect(302, &location)).await;
        refused(&asking.ask(json!({"url": server.url("/"), "retry": {"times": 3, "wait": "1ms"}})).await);
        assert_eq!(server.seen().len(), 1, "{to}");
    }
    assert_eq!(victim.connections(), 0);
}

#[tokio::test]
async fn a_name_with_one_address_that_is_refused_is_refused() {
    let server = Server::start(|_, _| json(200, "1")).await;
    let asking = Asking::new();
    let url = format!("http://two.test:{}/", server.address.port());
    for addresses in
        [["127.0.0.1", "169.254.169.254"], ["169.254.169.254", "127.0.0.1"], ["127.0.0.1", "::ffff:10.0.0.1"]]
    {
        asking.names.set("two.test", &[&addresses]);
        let exit = asking.ask(json!({ "url": url })).await;
        if addresses[1].contains("10.0.0.1") {
            // Both may be asked; the first one is.
            assert_eq!(exit.why, Why::Succeeded);
        } else {
            refused(&exit);
            assert_eq!(server.connections(), 0);
        }
    }
}

/// The addresses that were looked at are those that are connected to: a second answer is never asked for.
#[tokio::test]
async fn a_name_that_changes_its_address_changes_nothing() {
    let server =
        Server::start(|_, _| Reply::Answer(200, vec![("Connection", "close".to_owned())], b"mine".to_vec())).await;
    let asking = Asking::new();
    asking.names.set("rebind.test", &[&["127.0.0.1"], &["169.254.169.254"]]);
    let url = format!("http://rebind.test:{}/", server.address.port());
    let exit = asking.ask(json!({ "url": url })).await;
    assert_eq!((exit.why, &result(&exit)["body"]), (Why::Succeeded, &json!("mine")));
    assert_eq!(asking.names.asked(), ["rebind.test"]);
    refused(&asking.ask(json!({ "url": url })).await);
    assert_eq!(asking.names.asked().len(), 2);
}

#[tokio::test]
async fn a_proxy_is_used_where_it_is_named_and_is_no_way_round() {
    let target = Server::start(|_, _| json(200, "\"target\"")).await;
    let address = target.address;
    let answer = move |seen: &Seen, _| match &*seen.method {
        "CONNECT" => Reply::Tunnel(address),
        _ => json(200, "\"proxy\""),
    };
    let proxy = Server::start(answer).await;
    let asking = Asking::new();
    asking.names.set("inner.test", &[&["169.254.169.254"]]);
    asking.names.set("proxy.test", &[&["127.0.0.1"]]);
    asking.names.set("bad-proxy.test", &[&["127.0.0.2"]]);
    let by = format!("http://proxy.test:{}", proxy.address.port());
    let credentials = json!({"url": by, "username": "u", "password": "p"});
    // A name that only the proxy knows is for the proxy to look up.
    let exit = asking.ask(json!({"url": "http://far.test/x", "proxy": credentials})).await;
    assert_eq!((exit.why, &result(&exit)["body"]), (Why::Succeeded, &json!("proxy")));
    let seen = &proxy.seen()[0];
    assert_eq!((&*seen.target, &*seen.headers["proxy-authorization"]), ("http://far.test/x", "Basic dTpw"));
    for url in ["http://169.254.169.254/", "http://[::ffff:127.0.0.2]/", "http://inner.test/"] {
        refused(&asking.ask(json!({"url": url, "proxy": by})).await);
    }
    for address in ["169.254.169.254", "127.0.0.2", "[::ffff:127.0.0.2]", "2130706434"] {
        let request = json!({"url": "http://far.test/", "proxy": format!("http://{address}:80")});
        refused(&asking.ask(request).await);
    }
    refused(&asking.ask(json!({"url": "http://far.test/", "proxy": "http://bad-proxy.test:80"})).await);
    assert_eq!((proxy.seen().len(), target.connections()), (1, 0));
}

/// Where a name that only a proxy knows stands is not known here: it may be anywhere.
#[tokio::test]
async fn by_way_of_a_proxy_no_redirect_leads_into_a_private_network() {
    let proxy = Server::start(|seen, _| match &*seen.target {
        "http://far.test/" => redirect(302, "http://10.1.2.3/"),
        "http://near.test/" => redirect(302, "http://10.1.2.4/"),
        _ => json(200, "1"),
    })
    .await;
    let asking = Asking::new();
    asking.names.set("near.test", &[&["10.1.2.3"]]);
    refused(&asking.ask(json!({"url": "http://far.test/", "proxy": proxy.url("")})).await);
    assert_eq!(asking.ask(json!({"url": "http://near.test/", "proxy": proxy.url("")})).await.why, Why::Succeeded);
    assert_eq!(asking.ask(json!({"url": "http://10.1.2.3/", "proxy": proxy.url("")})).await.why, Why::Succeeded);
}

/// The variables are those of a process of its own: this test, started again.
#[tokio::test]
async fn the_environment_names_no_proxy() {
    const CHILD: &str = "PETREL_TEST_HTTP_TARGET";
    if let Ok(url) = std::env::var(CHILD) {
        assert_eq!(Asking::new().ask(json!({ "url": url })).await.why, Why::Succeeded);
        return;
    }
    let (target, proxy) = (Server::start(|_, _| json(200, "1")).await, Server::start(|_, _| json(502, "1")).await);
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "guard::the_environment_names_no_proxy", "--nocapture"]).env(CHILD, target.url("/"));
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY"] {
        child.env(name, proxy.url(""));
    }
    let output = child.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!((target.seen().len(), proxy.connections()), (1, 0));
}
