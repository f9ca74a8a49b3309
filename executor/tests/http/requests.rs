//! What is sent, what is made of answers, and how a request ends when it must.

use std::time::{Duration, Instant};

use petrel_execution::worker::Why;
use petrel_execution::{Delivery, Stream};
use petrel_executor::supervise::boot_ms;
use serde_json::json;
use tokio::sync::watch;

use crate::asking::{Asking, CANCEL, failure, holding, result};
use crate::guard::refused;
use crate::rig::eventually;
use crate::server::{Reply, Server, json, redirect};

#[tokio::test]
async fn a_request_is_sent_as_it_is_written_and_its_answer_is_told() {
    let server = Server::start(|_, _| json(201, "{\"id\": [7, null]}")).await;
    let request = json!({
        "method": "POST",
        "url": server.url("/v1?fixed=1"),
        "path": ["a/b", "ü ?"],
        "query": {"q": "x&y=z", "tag": ["1", "2"]},
        "headers": {"X-Team": "sre"},
        "json": {"n": 1.5},
    });
    let exit = Asking::new().ask(request).await;
    assert_eq!((exit.why, exit.error.as_deref(), &exit.stdout), (Why::Succeeded, None, &Stream::default()));
    let told = result(&exit);
    assert_eq!(
        (&told["status_code"], &told["body"], &told["parsed"]),
        (&json!(201), &json!({"id": [7, null]}), &json!(true))
    );
    assert_eq!(told["headers"]["content-type"], "application/json");
    assert_eq!((&told["requests"], &told["redirects"], &told["truncated"]), (&json!(1), &json!(0), &json!(false)));
    assert_eq!(told["url"], server.url(""));
    let seen = &server.seen()[0];
    assert_eq!((&*seen.method, &*seen.target), ("POST", "/v1/a%2Fb/%C3%BC%20%3F?fixed=1&q=x%26y%3Dz&tag=1&tag=2"));
    assert_eq!((&*seen.body, &*seen.headers["content-type"]), ("{\"n\":1.5}", "application/json"));
    assert_eq!((&*seen.headers["x-team"], &*seen.headers["idempotency-key"]), ("sre", "e-1"));
}

#[tokio::test]
async fn forms_and_texts_are_sent_and_headers_of_an_action_win() {
    let server = Server::start(|_, _| json(200, "1")).await;
    let asking = Asking::new();
    let form = json!({"method": "PUT", "url": server.url("/"), "form": {"a": "1 2", "b": ["x&", "y"]}, "idempotency_header": "X-Once"});
    asking.ask(form).await;
    let text = json!({"method": "PATCH", "url": server.url("/"), "body": "plain", "headers": {"content-type": "text/csv", "accept": "text/csv", "Idempotency-Key": "own", "X-Many": ["1", "2"]}});
    asking.ask(text).await;
    let seen = server.seen();
    assert_eq!(
        (&*seen[0].body, &*seen[0].headers["content-type"]),
        ("a=1+2&b=x%26&b=y", "application/x-www-form-urlencoded")
    );
    assert_eq!((&*seen[0].headers["x-once"], seen[0].headers.get("idempotency-key")), ("e-1", None));
    assert_eq!(
        (&*seen[1].body, &*seen[1].headers["content-type"], &*seen[1].headers["accept"]),
        ("plain", "text/csv", "text/csv")
    );
    assert_eq!(seen[1].headers["idempotency-key"], "own");
    assert_eq!(seen[1].values("x-many"), ["1", "2"]);
    // A connection is used again.
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_status_that_is_none_of_success_is_a_failure_with_its_answer() {
    let server = Server::start(|seen, _| json(seen.target[1..4].parse().unwrap(), "{\"why\": \"x\"}")).await;
    let mut asking = Asking::new();
    for (status, retriable) in [(404, false), (400, false), (408, true), (429, true), (500, true), (503, true)] {
        let exit = asking.ask(json!({"url": server.url(&format!("/{status}?key=s3cret"))})).await;
        assert_eq!(failure(&exit), ("http_status", retriable), "{status}");
        let error = exit.error.as_deref().unwrap();
        assert!(error.contains(&format!("was answered with {status}")) && !error.contains("s3cret"), "{error}");
        assert_eq!(result(&exit)["body"], json!({"why": "x"}));
        assert!(!result(&exit)["url"].as_str().unwrap().contains("s3cret"));
    }
    asking.success_codes = json!([404]);
    assert_eq!(asking.ask(json!({"url": server.url("/404")})).await.why, Why::Succeeded);
    assert_eq!(failure(&asking.ask(json!({"url": server.url("/200")})).await), ("http_status", false));
}

/// A key that is a part of the path, as those of hooks are.
#[tokio::test]
async fn neither_results_nor_errors_tell_what_expressions_put_into_a_url() {
    let away = |status| Reply::Answer(status, vec![("Location", "/s3cret?key=s3cret".to_owned())], Vec::new());
    let server = Server::start(move |seen, _| match &*seen.method {
        "GET" => json(404, "{}"),
        "PUT" => Reply::Close,
        _ => away(307),
    })
    .await;
    let parameters = json!({"base": server.url("/hooks/s3cret?key=s3cret"), "key": "s3cret"});
    for (method, redirects, code) in [("GET", 5, "http_status"), ("PUT", 5, "http_failed"), ("POST", 1, "http_failed")]
    {
        let request = json!({
            "method": method, "url": "${parameters.base}", "path": ["x", "${parameters.key}"], "redirects": redirects,
        });
        let exit = Asking::new().ask_with(request, &parameters).await;
        assert_eq!(failure(&exit).0, code);
        let error = exit.error.as_deref().unwrap();
        let expected = format!("{method} {} (${{parameters.base}}/x/${{parameters.key}})", server.url(""));
        assert!(error.starts_with(&expected), "{error}");
        assert!(!format!("{exit:?}").contains("s3cret"), "{exit:?}");
    }
}

#[tokio::test]
async fn it_is_sent_again_when_the_server_says() {
    let server = Server::start(|_, before| match before {
        0 => Reply::Answer(503, vec![("Retry-After", "1".to_owned())], Vec::new()),
        1 => Reply::Answer(429, vec![("Retry-After", "Sun, 06 Nov 1994 08:49:38 GMT".to_owned())], Vec::new()),
        _ => json(200, "true"),
    })
    .await;
    let began = Instant::now();
    let retry = json!({"times": 2, "wait": "15s"});
    let exit = Asking::new().ask(json!({"method": "POST", "url": server.url("/"), "json": 1, "retry": retry})).await;
    assert_eq!((exit.why, &result(&exit)["requests"]), (Why::Succeeded, &json!(3)));
    let took = began.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(15)).contains(&took), "{took:?}");
    let keys: Vec<String> = server.seen().iter().map(|seen| seen.headers["idempotency-key"].clone()).collect();
    assert_eq!(keys, ["e-1", "e-1", "e-1"]);
}

#[tokio::test]
async fn it_is_not_sent_again_without_need_nor_for_longer_than_there_is_time() {
    let server = Server::start(|seen, _| match &*seen.target {
        "/long" => Reply::Answer(503, vec![("Retry-After", "3600".to_owned())], Vec::new()),
        "/often" => json(503, ""),
        _ => json(404, ""),
    })
    .await;
    let asking = Asking::new();
    let ask = async |path: &str, times: u32| {
        let before = server.seen().len();
        let retry = json!({"times": times, "wait": "1ms"});
        let exit = asking.ask(json!({"url": server.url(path), "retry": retry})).await;
        (failure(&exit).0, server.seen().len() - before)
    };
    assert_eq!(ask("/never", 3).await, ("http_status", 1));
    assert_eq!(ask("/often", 0).await, ("http_status", 1));
    assert_eq!(ask("/often", 3).await, ("http_status", 4));
    // There are 20 seconds for all of it: what the server says is told at once.
    assert_eq!(ask("/long", 3).await, ("http_status", 1));
    // Whoever tries the action again knows when.
    let exit = asking.ask(json!({"url": server.url("/long")})).await;
    assert_eq!(exit.retry_after_ms, Some(3_600_000));
    assert_eq!(asking.ask(json!({"url": server.url("/often")})).await.retry_after_ms, None);
}

#[tokio::test]
async fn what_may_have_arrived_is_not_sent_twice_where_the_action_may_run_once() {
    for (method, delivery, times, code) in [
        ("POST", Delivery::AtLeastOnce, 3, "http_failed"),
        ("POST", Delivery::AtMostOnce, 1, "http_unknown"),
        ("PATCH", Delivery::AtMostOnce, 1, "http_unknown"),
        ("GET", Delivery::AtMostOnce, 3, "http_failed"),
        ("PUT", Delivery::AtMostOnce, 3, "http_failed"),
    ] {
        let server = Server::start(|_, _| Reply::Close).await;
        let asking = Asking { delivery, ..Asking::new() };
        let retry = json!({"times": 2, "wait": "1ms"});
        let exit = asking.ask(json!({"method": method, "url": server.url("/"), "retry": retry})).await;
        // What nobody knows is nothing to try again.
        assert_eq!(failure(&exit), (code, code == "http_failed"));
        assert_eq!(server.seen().len(), times, "{method} {delivery:?}");
    }
}

/// A gateway that gives up says nothing of what the server behind it does.
#[tokio::test]
async fn an_answer_is_no_leave_to_ask_twice_where_the_action_may_run_once() {
    use Delivery::{AtLeastOnce, AtMostOnce};
    let server = Server::start(|seen, _| {
        let after = ("Retry-After", "0".to_owned());
        let headers = if seen.target.ends_with("/after") { vec![after] } else { Vec::new() };
        Reply::Answer(seen.target[1..4].parse().unwrap(), headers, Vec::new())
    })
    .await;
    for (method, delivery, path, on, times) in [
        ("POST", AtMostOnce, "/502", None, 1),
        ("POST", AtMostOnce, "/504", None, 1),
        ("POST", AtMostOnce, "/408", None, 1),
        ("POST", AtMostOnce, "/503", None, 1),
        ("POST", AtMostOnce, "/503/after", None, 3),
        ("POST", AtMostOnce, "/504/after", None, 1),
        ("POST", AtMostOnce, "/429", None, 3),
        ("POST", AtMostOnce, "/425", None, 3),
        ("POST", AtMostOnce, "/504", Some(json!([504])), 3),
        ("PUT", AtMostOnce, "/504", None, 3),
        ("POST", AtLeastOnce, "/504", None, 3),
    ] {
        let before = server.seen().len();
        let asking = Asking { delivery, ..Asking::new() };
        let mut retry = json!({"times": 2, "wait": "1ms"});
        if let Some(on) = on {
            retry["on"] = on;
        }
        let exit = asking.ask(json!({"method": method, "url": server.url(path), "retry": retry})).await;
        let is_own_word = path == "/504" && method == "POST" && delivery == AtMostOnce;
        assert_eq!(failure(&exit), ("http_status", times == 3 && !is_own_word), "{method} {path} {delivery:?}");
        assert_eq!(server.seen().len() - before, times, "{method} {path} {delivery:?}");
    }
}

/// Behind a gateway that has given up it may go on, whatever becomes of the next request.
#[tokio::test]
async fn what_may_have_been_carried_out_once_is_told_however_the_last_request_ends() {
    for (status, begun, told) in [(504, true, ("http_unknown", false)), (429, false, ("http_failed", true))] {
        let close = || vec![("Connection", "close".to_owned())];
        let server = Server::start(move |_, _| Reply::Answer(status, close(), Vec::new())).await;
        let asking = Asking { delivery: Delivery::AtMostOnce, ..Asking::allowed(&["127.0.0.1", "127.0.0.2"]) };
        asking.names.set("lacks.test", &[&["127.0.0.1"], &[]]);
        asking.names.set("moves.test", &[&["127.0.0.1"], &["127.0.0.2"]]);
        let ask = async |host: &str| {
            let url = format!("http://{host}:{}/", server.address.port());
            let retry = json!({"times": 1, "wait": "1ms", "on": [status]});
            asking.ask(json!({"method": "POST", "url": url, "retry": retry})).await
        };
        let exit = ask("lacks.test").await;
        assert_eq!(exit.why, Why::GivenBack { begun }, "{exit:?}");
        assert_eq!(failure(&ask("moves.test").await), told, "{status}");
        assert_eq!(server.seen().len(), 2);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let asking = Asking { delivery: Delivery::AtMostOnce, ..Asking::new() };
    let retry = json!({"times": 1, "wait": "1ms"});
    let exit =
        asking.ask(json!({"method": "POST", "url": format!("http://{address}/x?key=s3cret"), "retry": retry})).await;
    assert_eq!(failure(&exit), ("http_failed", true));
    let error = exit.error.unwrap();
    assert!(error.starts_with(&format!("POST http://{address}/x: ")) && !error.contains("s3cret"), "{error}");
    let unknown = asking.ask(json!({"url": "http://nowhere.test/"})).await;
    assert!(unknown.error.as_deref().unwrap().contains("nowhere.test is unknown"), "{unknown:?}");
}

/// It ends at once, and so does its connection.
#[tokio::test]
async fn a_server_that_hangs_or_drips_is_left_at_the_time_out() {
    let server = Server::start(|seen, _| if seen.target == "/drip" { Reply::Drip } else { Reply::Hang }).await;
    let asking = Asking { timeout_ms: 300, ..Asking::new() };
    for path in ["/hang", "/drip"] {
        let began = Instant::now();
        let exit = asking.ask(json!({"url": server.url(path)})).await;
        assert_eq!(exit.why, Why::Timeout, "{path}");
        // Deadlines count in whole milliseconds, of which the first has begun.
        assert!((299..5_000).contains(&began.elapsed().as_millis()), "{path}: {:?}", began.elapsed());
        eventually("the connection is closed", || server.is_idle()).await;
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_asked_again_after_the_time_out_of_a_request() {
    let server = Server::start(|seen, before| match (&*seen.target, before) {
        ("/once", 0) => Reply::Hang,
        ("/once", _) => json(200, "1"),
        ("/drip", _) => Reply::Drip,
        _ => Reply::Hang,
    })
    .await;
    let ask = async |method: &str, path: &str, delivery| {
        let asking = Asking { delivery, ..Asking::new() };
        let retry = json!({"times": 1, "wait": "1ms"});
        asking.ask(json!({"method": method, "url": server.url(path), "timeout": "300ms", "retry": retry})).await
    };
    let exit = ask("GET", "/once", Delivery::AtMostOnce).await;
    assert_eq!((exit.why, &result(&exit)["requests"]), (Why::Succeeded, &json!(2)));
    let exit = ask("GET", "/drip", Delivery::AtLeastOnce).await;
    assert_eq!((failure(&exit), server.seen().len()), (("http_failed", true), 4));
    assert!(exit.error.as_deref().unwrap().ends_with("not answered within 300 ms"), "{exit:?}");
    // It may have arrived.
    let exit = ask("POST", "/hang", Delivery::AtMostOnce).await;
    assert_eq!((failure(&exit), server.seen().len()), (("http_unknown", false), 5));
    // Only a token was asked for.
    let asking = Asking { delivery: Delivery::AtMostOnce, ..Asking::new() };
    let auth = json!({"oauth2": {"token_url": server.url("/hang"), "client_id": "c", "client_secret": "s"}});
    let exit = asking.ask(json!({"method": "POST", "url": server.url("/"), "timeout": "300ms", "auth": auth})).await;
    assert_eq!((failure(&exit), server.seen().len()), (("http_failed", true), 6));
    eventually("the connections are closed", || server.is_idle()).await;
}

#[tokio::test]
async fn a_cancel_ends_a_request_at_once() {
    let server = Server::start(|_, _| Reply::Hang).await;
    let (director, held) = watch::channel(holding(60_000));
    let asking = Asking::new();
    let cancel = async {
        eventually("the request is there", || server.seen().len() == 1).await;
        director.send_modify(|h| h.order(CANCEL));
    };
    let (exit, ()) = tokio::join!(asking.ask_held(json!({"url": server.url("/")}), None, held), cancel);
    assert_eq!(exit.why, Why::Stopped);
    eventually("the connection is closed", || server.is_idle()).await;
}

#[tokio::test]
async fn a_request_ends_with_its_lease_and_lasts_as_long_as_that_is_renewed() {
    let server = Server::start(|_, _| Reply::Hang).await;
    let (director, held) = watch::channel(holding(400));
    let asking = Asking::new();
    let renew = async {
        eventually("the request is there", || server.seen().len() == 1).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        director.send_modify(|h| *h = holding(1_000));
        boot_ms()
    };
    let (exit, renewed_ms) = tokio::join!(asking.ask_held(json!({"url": server.url("/")}), None, held), renew);
    assert_eq!(exit.why, Why::LeaseLost);
    let took_ms = boot_ms() - renewed_ms;
    assert!((900..5_000).contains(&took_ms), "{took_ms} ms");
    eventually("the connection is closed", || server.is_idle()).await;
}

/// Its lease passes while it waits to be sent again: then it never is.
#[tokio::test]
async fn nothing_is_sent_without_a_lease() {
    let server = Server::start(|_, _| Reply::Answer(503, vec![("Retry-After", "1".to_owned())], Vec::new())).await;
    let asking = Asking::new();
    let request = json!({"url": server.url("/"), "retry": {"times": 5}});
    let (_director, held) = watch::channel(holding(400));
    assert_eq!(asking.ask_held(request.clone(), None, held).await.why, Why::LeaseLost);
    assert_eq!(server.seen().len(), 1);
    let (_director, held) = watch::channel(holding(0));
    assert_eq!(asking.ask_held(request, None, held).await.why, Why::LeaseLost);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_body_is_kept_up_to_its_limit() {
    let server = Server::start(|_, _| Reply::Endless).await;
    let asking = Asking { output_bytes_max: 1_000, ..Asking::new() };
    let exit = asking.ask(json!({"url": server.url("/")})).await;
    assert_eq!((exit.why, &result(&exit)["truncated"]), (Why::Succeeded, &json!(true)));
    assert_eq!(result(&exit)["body"], "y".repeat(1_000));
    assert_eq!(exit.stdout, Stream { truncated: true, ..Stream::whole(vec![b'y'; 1_000]) });
    eventually("the connection is closed", || server.is_idle()).await;
}

#[tokio::test]
async fn a_body_that_is_no_text_is_told_as_base64() {
    let server = Server::start(|_, _| Reply::Answer(200, Vec::new(), vec![0xff, 0xfe, 0])).await;
    let exit = Asking::new().ask(json!({"url": server.url("/")})).await;
    assert_eq!((&result(&exit)["body"], &result(&exit)["encoding"]), (&json!("//4A"), &json!("base64")));
}

#[tokio::test]
async fn redirects_are_followed_as_browsers_do() {
    let server = Server::start(|seen, _| match &*seen.target {
        "/see-other" => redirect(303, "/end"),
        "/found" => redirect(302, "/end?x=1"),
        "/keep" => redirect(307, "end"),
        "/loop" => redirect(308, "/loop"),
        "/odd" => redirect(302, "http://["),
        "/app" => redirect(302, "app://open?x"),
        _ => json(200, "{}"),
    })
    .await;
    let asking = Asking::new();
    for (path, method, target, body) in
        [("/see-other", "GET", "/end", ""), ("/found", "GET", "/end?x=1", ""), ("/keep", "POST", "/end", "[1]")]
    {
        let headers = json!({"Authorization": "mine"});
        let request = json!({"method": "POST", "url": server.url(path), "json": [1], "headers": headers});
        let exit = asking.ask(request).await;
        let seen = server.seen().pop().unwrap();
        assert_eq!((exit.why, &result(&exit)["redirects"]), (Why::Succeeded, &json!(1)));
        assert_eq!((&*seen.method, &*seen.target, &*seen.body), (method, target, body));
        assert_eq!(seen.headers["authorization"], "mine", "it is the same server");
    }
    let before = server.seen().len();
    let exit = asking.ask(json!({"url": server.url("/loop"), "redirects": 3})).await;
    assert_eq!((failure(&exit).0, server.seen().len() - before), ("http_failed", 4));
    let exit = asking.ask(json!({"url": server.url("/found"), "redirects": 0})).await;
    assert_eq!((failure(&exit).0, &result(&exit)["status_code"]), ("http_status", &json!(302)));
    // Its result has the place of a redirect no longer.
    let far = Server::start(|seen, _| match seen.target.len() {
        ..100 => redirect(302, &format!("/{}", "x".repeat(60_000))),
        _ => json(200, "{}"),
    })
    .await;
    let exit = asking.ask(json!({"url": far.url("/")})).await;
    assert_eq!((exit.why, far.seen().len()), (Why::Succeeded, 2));
    assert!(result(&exit).to_string().len() < 1_000, "{exit:?}");
    // Wherever it leads: it is not followed.
    let none = Asking { success_codes: json!(302), ..Asking::new() };
    for (path, location) in [("/odd", "http://["), ("/app", "app://open")] {
        let exit = none.ask(json!({"url": server.url(path), "redirects": 0})).await;
        assert_eq!((exit.why, &result(&exit)["headers"]["location"]), (Why::Succeeded, &json!(location)));
    }
    assert_eq!(failure(&none.ask(json!({"url": server.url("/odd")})).await).0, "http_failed");
    refused(&none.ask(json!({"url": server.url("/app")})).await);
}

#[tokio::test]
async fn another_server_sees_nothing_that_was_meant_for_the_first() {
    let other = Server::start(|_, _| json(200, "{}")).await;
    let to = other.url("/");
    let server = Server::start(move |_, _| redirect(307, &to)).await;
    let request = |method: &str, forward_body: bool| {
        json!({
            "method": method, "url": server.url("/"),
            "headers": {"X-Secret": "s3cret", "Cookie": "s3cret"},
            "auth": {"bearer": "s3cret"},
            "forward_body": forward_body,
        })
    };
    let asking = Asking::new();
    // There is nothing in it but what it asks for.
    assert_eq!(asking.ask(request("DELETE", false)).await.why, Why::Succeeded);
    assert_eq!(server.seen()[0].headers["authorization"], "Bearer s3cret");
    assert!(!format!("{:?}", other.seen()[0]).contains("s3cret"), "{:?}", other.seen());
    // What is in it was meant for the first one, too, unless the action says otherwise.
    let mut with_body = request("POST", false);
    with_body["json"] = json!("s3cret");
    let exit = asking.ask(with_body).await;
    assert_eq!(failure(&exit), ("address_refused", false));
    assert!(exit.error.as_deref().unwrap().contains("forward_body"), "{exit:?}");
    assert_eq!(other.seen().len(), 1);
    let mut with_body = request("POST", true);
    with_body["json"] = json!(1);
    assert_eq!(asking.ask(with_body).await.why, Why::Succeeded);
    let seen = &other.seen()[1];
    assert!(!format!("{:?}", seen.headers).contains("s3cret"), "{seen:?}");
    assert_eq!((&*seen.body, &*seen.headers["content-type"]), ("1", "application/json"));
}

/// The limit is that of a process of its own: this test, started again.
#[tokio::test]
async fn a_worker_without_descriptors_waits_for_some_and_then_gives_the_attempt_back() {
    const CHILD: &str = "PETREL_TEST_HTTP_NO_DESCRIPTORS";
    if let Ok(port) = std::env::var(CHILD) {
        let asking = Asking::new();
        for name in ["first.test", "second.test", "third.test"] {
            asking.names.set(name, &[&["127.0.0.1"]]);
        }
        let request = |name: &str| json!({"url": format!("http://{name}:{port}/")});
        // The client is there from then on.
        assert_eq!(asking.ask(request("first.test")).await.why, Why::Succeeded);
        let all = || std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect::<Vec<_>>();
        let files = all();
        let free = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            drop(files);
        };
        let (exit, ()) = tokio::join!(asking.ask(request("second.test")), free);
        assert_eq!(exit.why, Why::Succeeded, "{exit:?}");
        let _files = all();
        let exit = asking.ask(request("third.test")).await;
        assert_eq!(exit.why, Why::GivenBack { begun: false }, "{exit:?}");
        return;
    }
    let server = Server::start(|_, _| json(200, "1")).await;
    let mut child = tokio::process::Command::new("sh");
    let test = "requests::a_worker_without_descriptors_waits_for_some_and_then_gives_the_attempt_back";
    child
        .args(["-c", "ulimit -n 64; exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .arg(test);
    let output = child.env(CHILD, server.address.port().to_string()).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(server.seen().len(), 2);
}
