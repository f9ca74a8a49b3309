//! The HTTP host: queue, limits, life and death of the process.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, Method, Request as HttpRequest, Response, header};
use axum::routing::{any, get};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;

use super::answer::Failure;
use super::form;
use super::library::Library;
use super::options::{EngineError, EngineLimits, EngineOptions};
use super::os;
use super::request::Request;
use super::statement;

/// How long running statements may take to end at shutdown, in milliseconds.
const SHUTDOWN_GRACE_MS: u64 = 5_000;

struct Host {
    library: Arc<Library>,
    data_dir: PathBuf,
    password: Option<String>,
    limits: EngineLimits,
    /// Turns to run a statement.
    turns: Arc<Semaphore>,
    /// Places to wait for a turn, and to have one.
    places: Arc<Semaphore>,
}

/// Hosts the engine until SIGTERM, SIGINT, or the end of the parent if the options say so. Blocks;
/// it is all that its process does, and must not be called on an async runtime.
///
/// # Errors
/// See [`EngineError`]: the engine could not be loaded or started, or the address not be bound.
pub fn serve(options: EngineOptions) -> Result<(), EngineError> {
    if !options.listen.ip().is_loopback() {
        return Err(EngineError::NotLoopback(options.listen));
    }
    let (stop, stopped) = mpsc::channel(1);
    if options.ends_with_parent {
        os::die_with_parent().map_err(system("cannot ask for a signal at the parent's end"))?;
        end_with_stdin(stop);
    }
    let library = Library::open(&options.library)?;
    let data = |detail: String| EngineError::Data { data_dir: options.data_dir.clone(), detail };
    std::fs::create_dir_all(&options.data_dir).map_err(|e| data(e.to_string()))?;
    let data_dir = options.data_dir.canonicalize().map_err(|e| data(e.to_string()))?;
    // Kept open: the engine lives as long as its first connection.
    let first = library.connect(&data_dir).map_err(data)?;
    first.query(b"SELECT 1", "Null", &[]).map_err(data)?;
    tracing::info!(version = library.version(), data_dir = %data_dir.display(), "engine started");

    let host = Host {
        library: library.clone(),
        data_dir,
        password: options.password.clone(),
        turns: Arc::new(Semaphore::new(options.limits.statements_max)),
        places: Arc::new(Semaphore::new(options.limits.statements_max + options.limits.queue_max)),
        limits: options.limits.clone(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(system("cannot start the runtime"))?;
    let ended = runtime.block_on(listen(host, options.listen, stopped, options.ends_with_parent));
    runtime.shutdown_timeout(Duration::from_millis(SHUTDOWN_GRACE_MS));
    drop(first);
    let quiet = library.shut_down();
    tracing::info!(quiet, "engine ended");
    ended
}

fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> EngineError {
    move |source| EngineError::System { what, source }
}

/// The parent holds the other end of stdin and never writes: the end of it is the end of the parent.
fn end_with_stdin(stop: mpsc::Sender<()>) {
    let watch = move || {
        let mut ignored = [0; 256];
        while matches!(std::io::stdin().read(&mut ignored), Ok(n) if n > 0) {}
        // Only fails when the host is ending already.
        let _ = stop.blocking_send(());
    };
    // Without the thread the signal of `die_with_parent` remains.
    if let Err(error) = std::thread::Builder::new().name("parent-watch".into()).spawn(watch) {
        tracing::warn!(%error, "the parent's end is seen by its signal only");
    }
}

async fn listen(
    host: Host,
    address: SocketAddr,
    mut stopped: mpsc::Receiver<()>,
    ends_with_parent: bool,
) -> Result<(), EngineError> {
    let bound = |source| EngineError::Listen { listen: address, source };
    let listener = TcpListener::bind(address).await.map_err(bound)?;
    let address = listener.local_addr().map_err(bound)?;
    let app = Router::new()
        .route("/ping", get(|| async { "Ok.\n" }))
        .route("/", any(answer))
        .layer(DefaultBodyLimit::max(host.limits.body_bytes_max))
        .with_state(Arc::new(host));
    announce(address).map_err(system("cannot write the address to stdout"))?;
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(system("cannot watch for signals"))?;
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
        .map_err(system("cannot watch for signals"))?;
    let end = async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
            _ = stopped.recv(), if ends_with_parent => {}
        }
    };
    let (ending, ended) = tokio::sync::oneshot::channel();
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        end.await;
        let _ = ending.send(());
    });
    // Idle connections of clients must not hold the process up for longer than the grace.
    let grace = async move {
        if ended.await.is_ok() {
            tokio::time::sleep(Duration::from_millis(SHUTDOWN_GRACE_MS)).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = server => ended.map_err(system("cannot serve")),
        () = grace => Ok(()),
    }
}

/// One line that tells the parent where to connect, and that the engine is ready.
fn announce(address: SocketAddr) -> std::io::Result<()> {
    let line = serde_json::json!({ "petrel_clickhouse": { "address": address.to_string() } });
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

async fn answer(
    State(host): State<Arc<Host>>,
    Query(pairs): Query<Vec<(String, String)>>,
    request: HttpRequest<Body>,
) -> Response<Body> {
    match handle(&host, pairs, request).await {
        Ok(response) => response,
        Err(failure) => failure.response(),
    }
}

async fn handle(
    host: &Arc<Host>,
    mut pairs: Vec<(String, String)>,
    request: HttpRequest<Body>,
) -> Result<Response<Body>, Failure> {
    let (head, body) = request.into_parts();
    refuse_web_pages(&head.headers)?;
    if pairs.is_empty() && head.method == Method::GET {
        return Ok(Response::new(Body::from("Ok.\n")));
    }
    // Counts whoever is sending, waiting or running; the rest is refused at once.
    let place = host.places.clone().try_acquire_owned().map_err(|_| Failure::busy())?;
    let limits = &host.limits;
    let wait = Duration::from_millis(limits.body_wait_ms);
    let received = if form::is_form(&head.headers) {
        tokio::time::timeout(wait, form::read(HttpRequest::from_parts(head.clone(), body), &mut pairs)).await
    } else {
        let read = async {
            to_bytes(body, limits.body_bytes_max).await.map_err(|_| Failure::too_large(limits.body_bytes_max))
        };
        tokio::time::timeout(wait, read).await
    };
    let body = received.map_err(|_| Failure::slow_body(limits.body_wait_ms))??;
    let request = Request::parse(&head.method, &head.headers, pairs, &body, limits)?;
    drop(body);
    if host.password.is_some() && request.password != host.password {
        return Err(Failure::unauthenticated());
    }
    let turn = tokio::time::timeout(Duration::from_millis(limits.queue_wait_ms), host.turns.clone().acquire_owned());
    let turn = turn.await.map_err(|_| Failure::busy())?.map_err(|_| Failure::busy())?;
    let host = host.clone();
    // The turn goes with the statement: it is held until the engine is done, even if the client left.
    let ran = tokio::task::spawn_blocking(move || {
        let answer = statement::run(&host.library, &host.data_dir, &host.limits, request);
        drop((turn, place));
        answer
    });
    let answer = ran.await.map_err(|e| Failure::host(&e.to_string()))??;
    Ok(answer.response())
}

/// A page in a browser on this machine can send requests here; it cannot hide where it comes from.
fn refuse_web_pages(headers: &HeaderMap) -> Result<(), Failure> {
    let host = headers.get(header::HOST).and_then(|v| v.to_str().ok()).unwrap_or("localhost");
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    let local = name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if headers.contains_key(header::ORIGIN) || !local { Err(Failure::foreign()) } else { Ok(()) }
}
