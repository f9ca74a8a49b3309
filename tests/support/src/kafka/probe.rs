//! The smallest Kafka client: one metadata request over a plain socket.
//!
//! A port that accepts connections is not a broker that works: until the controller has let it in, a
//! broker lists no brokers. That list is what readiness means here.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

const TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: usize = 1 << 20;
const METADATA_KEY: i16 = 3;
/// The last version before the "flexible" encoding with the fields wanted here; brokers 1.1 to 4 know it.
const METADATA_VERSION: i16 = 6;
const CORRELATION_ID: i32 = 20_770;

/// What a broker says about its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerMetadata {
    /// The id that the storage was formatted with.
    pub cluster_id: Option<String>,
    /// Node number and `host:port` of each broker that clients may use.
    pub brokers: Vec<(i32, String)>,
    /// The node that is the controller, -1 if there is none.
    pub controller_id: i32,
}

impl BrokerMetadata {
    /// Whether clients can work: there is a controller, and a broker that it has let in.
    pub fn is_ready(&self) -> bool {
        self.controller_id >= 0 && !self.brokers.is_empty()
    }
}

/// Asks the broker at `address` (`host:port`) for its metadata, without topics.
pub fn broker_metadata(address: &str) -> Result<BrokerMetadata> {
    let target = address.to_socket_addrs().with_context(|| format!("no address: {address}"))?.next();
    let target = target.with_context(|| format!("no address: {address}"))?;
    let mut stream =
        TcpStream::connect_timeout(&target, TIMEOUT).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(&request()).context("cannot send the metadata request")?;
    let mut length = [0; 4];
    stream.read_exact(&mut length).context("no answer to the metadata request")?;
    let length = usize::try_from(i32::from_be_bytes(length)).context("an answer of negative length")?;
    ensure!(length <= ANSWER_BYTES_MAX, "an answer of {length} bytes; at most {ANSWER_BYTES_MAX}");
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).context("the answer ended early")?;
    parse(&answer)
}

/// Length, header version 1 (key, version, correlation id, client id), no topics, no auto-creation.
fn request() -> Vec<u8> {
    let client_id = b"petrel-testkit";
    let mut body = Vec::new();
    body.extend(METADATA_KEY.to_be_bytes());
    body.extend(METADATA_VERSION.to_be_bytes());
    body.extend(CORRELATION_ID.to_be_bytes());
    body.extend((client_id.len() as i16).to_be_bytes());
    body.extend(client_id);
    body.extend(0_i32.to_be_bytes());
    body.push(0);
    let mut message = (body.len() as i32).to_be_bytes().to_vec();
    message.extend(body);
    message
}

fn parse(answer: &[u8]) -> Result<BrokerMetadata> {
    let mut cursor = Cursor(answer);
    let correlation_id = cursor.i32()?;
    ensure!(correlation_id == CORRELATION_ID, "the answer to another request: {correlation_id}");
    let _throttle_time_ms = cursor.i32()?;
    let mut brokers = Vec::new();
    for _ in 0..cursor.i32()? {
        let node = cursor.i32()?;
        let host = cursor.string()?.context("a broker without a host")?;
        let port = cursor.i32()?;
        let _rack = cursor.string()?;
        brokers.push((node, format!("{host}:{port}")));
    }
    let cluster_id = cursor.string()?;
    let controller_id = cursor.i32()?;
    Ok(BrokerMetadata { cluster_id, brokers, controller_id })
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8]> {
        let Some((head, rest)) = self.0.split_at_checked(bytes) else { bail!("the answer is too short") };
        self.0 = rest;
        Ok(head)
    }

    fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take(2)?.try_into()?))
    }

    fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into()?))
    }

    /// `None` for Kafka's null, a length of -1.
    fn string(&mut self) -> Result<Option<String>> {
        match usize::try_from(self.i16()?) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(self.take(bytes)?).into_owned())),
            Err(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with the given brokers, built by hand from the protocol's description.
    fn answer(brokers: &[(i32, &str, i32)], controller_id: i32) -> Vec<u8> {
        let mut bytes = CORRELATION_ID.to_be_bytes().to_vec();
        bytes.extend(0_i32.to_be_bytes());
        bytes.extend((brokers.len() as i32).to_be_bytes());
        for (node, host, port) in brokers {
            bytes.extend(node.to_be_bytes());
            bytes.extend((host.len() as i16).to_be_bytes());
            bytes.extend(host.as_bytes());
            bytes.extend(port.to_be_bytes());
            bytes.extend((-1_i16).to_be_bytes());
        }
        bytes.extend(2_i16.to_be_bytes());
        bytes.extend(b"id");
        bytes.extend(controller_id.to_be_bytes());
        bytes.extend(0_i32.to_be_bytes());
        bytes
    }

    #[test]
    fn a_broker_is_ready_once_it_is_listed_and_has_a_controller() {
        for (brokers, controller, ready) in [(1, 1, true), (0, 1, false), (1, -1, false)] {
            let listed = &[(1, "h", 9092)][..brokers];
            assert_eq!(parse(&answer(listed, controller)).unwrap().is_ready(), ready, "{listed:?} {controller}");
        }
        let metadata = parse(&answer(&[(7, "h", 9092)], 7)).unwrap();
        assert_eq!(metadata.brokers, [(7, "h:9092".to_owned())]);
        assert_eq!(metadata.cluster_id.as_deref(), Some("id"));
    }

    #[test]
    fn no_prefix_of_an_answer_passes_for_one() {
        let whole = answer(&[(1, "host", 9092)], 1);
        // The last four bytes are the number of topics, which nobody reads.
        for length in 0..whole.len() - 4 {
            assert!(parse(&whole[..length]).is_err(), "{length} of {} bytes", whole.len());
        }
    }
}
