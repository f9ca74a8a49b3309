//! What no server of a test can be: one of the internet.

use petrel_execution::runner::{PackFiles, Rendering, RunnerCall, RunnerSpec};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::exchange::Answer;
use super::*;
use crate::runner::limited::tests::holding;

struct NoFiles;

impl PackFiles for NoFiles {
    fn executable(&self, _: &str) -> Option<bool> {
        None
    }

    fn hint(&self, _: &str) -> String {
        String::new()
    }
}

/// Every name stands in a private network.
#[derive(Debug)]
struct Private;

impl Lookup for Private {
    fn addresses(&self, _: &str) -> LookedUp {
        Box::pin(std::future::ready(Ok(vec!["127.0.0.3".parse().unwrap()])))
    }
}

/// Answers each connection once: with a redirect to that place, or with success where there is none.
async fn server(address: &str, to: Option<String>) -> std::net::SocketAddr {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let head = to.as_ref().map_or("200 OK".to_owned(), |to| format!("302 Found\r\nLocation: {to}"));
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

async fn ask(guard: AddressGuard, own: &[(&str, u16)], url: String) -> Result<Answer, NoAnswer> {
    let serde_json::Value::Object(keys) = json!({"request": {"url": url}}) else { unreachable!() };
    let spec = RunnerSpec::parse("http", &keys, &NoFiles).unwrap();
    let rendering = Rendering { parameters: &json!({}), secrets: &json!(null), execution_id: "e-1", attempt: 1 };
    let RunnerCall::Http(call) = spec.render(rendering).unwrap() else { unreachable!() };
    let (_director, held) = watch::channel(holding(60_000));
    let own = own.iter().map(|(host, port)| ((*host).to_owned(), *port)).collect();
    let runner = HttpRunner::new(HttpOptions { guard, lookup: Arc::new(Private), own });
    let ways = runner.clients.ways(&call, None, None, &runner.guarded, Leave::new(held, 60_000)).await.unwrap();
    exchange(&ways, Whom::Named, Outgoing::of(&call, "e-1").unwrap(), 5).await
}

fn refusal(answer: Result<Answer, NoAnswer>) -> String {
    match answer {
        Err(NoAnswer::Refused(why)) => why,
        other => panic!("it is not refused: {other:?}"),
    }
}

/// 127.0.0.2 plays a server of the internet here, and 127.0.0.3 one of a private network.
#[tokio::test]
async fn a_server_of_the_internet_redirects_nobody_into_a_private_network() {
    let guard = |allow: &[&str]| {
        let allow = allow.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        AddressGuard::new(&[], &allow).unwrap().with_inside("127.0.0.3")
    };
    let inner = server("127.0.0.3:0", None).await;
    for to in [inner.to_string(), format!("inner.test:{}", inner.port())] {
        let to = format!("http://{to}/");
        assert!(ask(guard(&[]), &[], to.clone()).await.is_ok(), "the action itself may go there");
        let outer = server("127.0.0.2:0", Some(to.clone())).await;
        let why = refusal(ask(guard(&[]), &[], format!("http://{outer}/")).await);
        assert!(why.contains("127.0.0.3") && why.contains("executor.http.allow"), "{why}");
        assert_eq!(ask(guard(&["127.0.0.3"]), &[], format!("http://{outer}/")).await.unwrap().redirects, 1);
        // One hop more within the internet changes nothing, nor one within the private network.
        let further = server("127.0.0.2:0", Some(format!("http://{outer}/"))).await;
        refusal(ask(guard(&[]), &[], format!("http://{further}/")).await);
        let within = server("127.0.0.3:0", Some(to)).await;
        assert_eq!(ask(guard(&[]), &[], format!("http://{within}/")).await.unwrap().redirects, 1);
    }
}

#[tokio::test]
async fn no_request_goes_to_petrels_own_services() {
    let everything = || AddressGuard::new(&[], &["loopback".to_owned()]).unwrap();
    let (own, other) = (server("127.0.0.3:0", None).await, server("127.0.0.3:0", None).await);
    // As its address, as a name that is found, and as a server that listens on all addresses of this machine.
    for host in ["127.0.0.3", "clickhouse.test"] {
        for asked in ["127.0.0.3", "2130706435", "[::ffff:127.0.0.3]", "any.test"] {
            let why =
                refusal(ask(everything(), &[(host, own.port())], format!("http://{asked}:{}/", own.port())).await);
            assert!(why.contains("Petrel's own"), "{why}");
        }
        let there = ask(everything(), &[(host, own.port())], format!("http://any.test:{}/", other.port())).await;
        assert!(there.is_ok(), "another service of that machine: {there:?}");
    }
    let all = server("0.0.0.0:0", None).await;
    for host in ["0.0.0.0", "::"] {
        refusal(ask(everything(), &[(host, all.port())], format!("http://127.0.0.1:{}/", all.port())).await);
        refusal(ask(everything(), &[(host, all.port())], format!("http://127.0.0.3:{}/", all.port())).await);
    }
}
