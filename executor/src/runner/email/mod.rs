//! The runner `email`: one message, given to a server of mail.
//!
//! `compose` (the message), `session` (what is said to the server), `trust` (TLS).

mod compose;
mod session;
mod trust;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use petrel_bus::Clock;
use petrel_execution::runner::{EmailCall, Security};
use petrel_execution::worker::{Exit, Holding, Why};
use petrel_execution::{Delivery, code};
use petrel_secrets::Mask;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::Context;
use super::http::{Guarded, is_lack};
use super::limited::{Leave, limited};
use session::{Fault, Reply, Session};

/// Longest wait for a connection; the next address of the host is tried then.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest wait for leave of the server: what was to be done is done.
const QUIT: Duration = Duration::from_secs(2);

/// Sends messages for the attempts of a worker.
#[derive(Debug, Clone)]
pub struct EmailRunner {
    guarded: Guarded,
}

/// What is to be known of the attempt beside its call.
#[derive(Clone, Copy)]
pub struct EmailRequest<'a> {
    /// Makes the `Message-ID`, the same in every attempt.
    pub execution_id: &'a str,
    /// How often the action may run.
    pub delivery: Delivery,
    /// Longest run, in milliseconds.
    pub timeout_ms: u64,
    /// Folder of its pack, where its call uses it.
    pub pack: Option<&'a Path>,
    /// Time of day, for the message's date.
    pub clock: &'a dyn Clock,
    /// Masks the secrets that it was given.
    pub mask: &'a Arc<Mask>,
}

pub(super) async fn carry_out(call: Box<EmailCall>, context: &Context<'_>) -> Exit {
    let request = EmailRequest {
        execution_id: &context.task.execution_id,
        delivery: context.plan.delivery,
        timeout_ms: context.timeout_ms(),
        pack: context.pack,
        clock: context.clock,
        mask: context.mask,
    };
    (context.started)();
    context.runners.email.run(&call, request, context.held.subscribe()).await
}

/// Why a message was not sent.
#[derive(Debug)]
enum NotSent {
    /// The address of the server is none to which anything may be sent.
    Address(String),
    /// It cannot be sent by anybody.
    Impossible(String),
    /// The conversation went no further.
    Fault(Fault),
}

impl From<Fault> for NotSent {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A message that was taken.
struct Sent {
    server: SocketAddr,
    message_id: String,
    reply: Reply,
    is_secured: bool,
}

/// How far a message came, by the steps below.
type Progress = AtomicU8;

/// Nothing is delivered whatever happens.
const BEFORE: u8 = 0;
/// The end of the message was sent.
const ENDED: u8 = 1;

impl EmailRunner {
    /// Gives messages to servers at those addresses alone to which requests may go.
    pub(super) fn new(guarded: Guarded) -> Self {
        Self { guarded }
    }

    /// Sends a message, for as long as the attempt may go on. Dropping the future closes the connection.
    pub async fn run(&self, call: &EmailCall, request: EmailRequest<'_>, held: watch::Receiver<Holding>) -> Exit {
        let progress = Progress::new(BEFORE);
        let leave = Leave::new(held, request.timeout_ms);
        let ended = limited(leave, self.send(call, &request, &progress)).await;
        let may_be_delivered = progress.load(Ordering::Relaxed) == ENDED;
        match ended {
            Ok(Ok(sent)) => taken(call, &sent, request.mask),
            Ok(Err(not_sent)) => failed(call, not_sent, &request, may_be_delivered),
            Err(why) => Exit::bare(why, may_be_delivered.then(|| "the message may have been delivered".to_owned())),
        }
    }

    async fn send(&self, call: &EmailCall, request: &EmailRequest<'_>, progress: &Progress) -> Result<Sent, NotSent> {
        let (server, stream) = self.connect(call).await?;
        let name = hello_name(&stream);
        let message = compose::compose(call, request.execution_id, request.clock.now_ms());
        if call.server.security == Security::None {
            return converse(Session::new(stream), call, server, &name, message, progress).await;
        }
        let connector = trust::connector(&call.server, request.pack).await?;
        let host = trust::name(&call.server.host).map_err(NotSent::Impossible)?;
        let stream = match call.server.security {
            Security::StartTls => {
                let mut session = Session::new(stream);
                session.greeting().await?;
                session.hello(&name).await?;
                session.begin_tls().await?
            }
            _ => stream,
        };
        let stream = connector.connect(host, stream).await.map_err(|e| Fault::of("TLS: ", &e))?;
        converse(Session::new(stream), call, server, &name, message, progress).await
    }

    /// To the first address of the server that answers, all of which are ones to which requests may go.
    async fn connect(&self, call: &EmailCall) -> Result<(SocketAddr, TcpStream), NotSent> {
        let (host, port) = (call.server.host.as_str(), call.server.port);
        let looked_up = self.guarded.addresses_of(host, port).await;
        let unknown = |error: std::io::Error| Fault::of("its addresses are not found: ", &error);
        let addresses = looked_up.map_err(unknown)?.map_err(|refused| NotSent::Address(refused.to_string()))?;
        let mut why = "it has no address".to_owned();
        for address in addresses {
            let address = SocketAddr::new(address, port);
            match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok((address, stream)),
                // The next address would be lacked just so.
                Ok(Err(error)) if is_lack(&error) => return Err(Fault::of("", &error).into()),
                Ok(Err(error)) => why = format!("{address}: {error}"),
                Err(_) => why = format!("{address}: no answer within {} s", CONNECT.as_secs()),
            }
        }
        Err(Fault::Broken(why).into())
    }
}

/// This machine as the server sees it (RFC 5321 §4.1.3).
fn hello_name(stream: &TcpStream) -> String {
    match stream.local_addr().map(|address| address.ip()) {
        Ok(std::net::IpAddr::V6(address)) => format!("[IPv6:{address}]"),
        Ok(address) => format!("[{address}]"),
        Err(_) => "[127.0.0.1]".to_owned(),
    }
}

/// All but the way to the server.
async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    mut session: Session<S>,
    call: &EmailCall,
    server: SocketAddr,
    name: &str,
    (message, message_id): (Vec<u8>, String),
    progress: &Progress,
) -> Result<Sent, NotSent> {
    // Behind STARTTLS the server does not greet again.
    if call.server.security != Security::StartTls {
        session.greeting().await?;
    }
    session.hello(name).await?;
    if let Some((username, password)) = &call.server.credentials {
        session.login(username, &password.0).await?;
    }
    let recipients: Vec<&str> = call.recipients().iter().map(|mailbox| mailbox.address.as_str()).collect();
    session.envelope(&call.from.address, &recipients).await?;
    session.body(&message).await?;
    progress.store(ENDED, Ordering::Relaxed);
    let reply = session.finish().await.inspect_err(|fault| {
        if let Fault::Refused { .. } = fault {
            progress.store(BEFORE, Ordering::Relaxed);
        }
    })?;
    // The message was taken, whatever becomes of the attempt while the server makes up its mind.
    tokio::spawn(tokio::time::timeout(QUIT, session.quit()));
    Ok(Sent { server, message_id, reply, is_secured: call.server.security != Security::None })
}

fn taken(call: &EmailCall, sent: &Sent, mask: &Mask) -> Exit {
    let recipients: Vec<&str> = call.recipients().iter().map(|mailbox| mailbox.address.as_str()).collect();
    let result = json!({
        "message_id": sent.message_id,
        "recipients": recipients,
        "server": sent.server.to_string(),
        "secured": sent.is_secured,
        "reply": sent.reply.text(mask),
    });
    Exit { result: Some(result), ..Exit::bare(Why::Succeeded, None) }
}

fn failed(call: &EmailCall, not_sent: NotSent, request: &EmailRequest<'_>, may_be_delivered: bool) -> Exit {
    let (code, retriable, why) = match not_sent {
        NotSent::Address(why) => (code::ADDRESS_REFUSED, false, why),
        NotSent::Impossible(why) => (code::NOT_STARTED, false, why),
        NotSent::Fault(Fault::Refused { what, reply }) => {
            let (is_for_now, text) = (reply.code < 500, reply.text(request.mask));
            (code::EMAIL_REFUSED, is_for_now, format!("the server refuses {what}: {text}"))
        }
        NotSent::Fault(Fault::Broken(why) | Fault::Lacking(why)) if may_be_delivered => {
            let is_once = request.delivery == Delivery::AtMostOnce;
            (code::EMAIL_UNKNOWN, !is_once, format!("the message may have been delivered: {why}"))
        }
        NotSent::Fault(Fault::Broken(why)) => (code::EMAIL_FAILED, true, why),
        NotSent::Fault(Fault::Lacking(why)) => return Exit::bare(Why::GivenBack { begun: false }, Some(why)),
    };
    let server = format!("{}:{}", call.server.host, call.server.port);
    Exit::bare(Why::Failed { code, retriable }, Some(format!("mail by {server}: {why}")))
}
