//! One channel of a connection: a command there, what it is told and what it says.

use std::time::Duration;

use bytes::Bytes;
use petrel_execution::Stream;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};

use super::connect::Connection;
use super::live::HostTelling;
use super::wire::Said;

/// Most of what others say before a host says that it is ready, in bytes.
const NOISE_BYTES_MAX: usize = 64 << 10;
/// Longest wait until a channel takes that it is closed: one to a host that hangs may not.
const CLOSE: Duration = Duration::from_millis(100);
/// Data that is no output: what is written to standard error.
const EXT_STDERR: u32 = 1;

/// Why an exchange cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) why: String,
    /// Whether it is the connection that ended, and not what ran there.
    pub(super) is_gone: bool,
}

impl From<russh::Error> for Lost {
    fn from(error: russh::Error) -> Self {
        Self { why: format!("the connection: {error}"), is_gone: true }
    }
}

/// A channel on which a command runs.
pub(super) struct Exchange {
    read: ChannelReadHalf,
    write: ChannelWriteHalf<Msg>,
    number: String,
    /// What is read up to the end of its line.
    head: Vec<u8>,
    noise_bytes: usize,
    /// Whether everything from now on is output.
    is_output: bool,
    bytes_max: usize,
    /// Where its output is told while it comes.
    telling: Option<HostTelling>,
    pub(super) stdout: Stream,
    pub(super) stderr: Stream,
    /// Exit code of the command, once it has ended. A signal's number comes on top of 128, as shells have it.
    pub(super) code: Option<i32>,
    is_refused: bool,
    is_closed: bool,
}

impl Exchange {
    /// Begins a command.
    pub(super) async fn begin(
        connection: &Connection,
        command: &str,
        number: &str,
        bytes_max: usize,
    ) -> Result<Self, Lost> {
        let channel = connection.handle.channel_open_session().await?;
        let (read, write) = channel.split();
        write.exec(true, command).await?;
        Ok(Self {
            read,
            write,
            number: number.to_owned(),
            head: Vec::new(),
            noise_bytes: 0,
            is_output: false,
            bytes_max,
            telling: None,
            stdout: Stream::default(),
            stderr: Stream::default(),
            code: None,
            is_refused: false,
            is_closed: false,
        })
    }

    /// Says something. What comes meanwhile is taken in, or the host could not take more either.
    pub(super) async fn say(&mut self, text: impl Into<Bytes>) -> Result<(), Lost> {
        let mut heard = Vec::new();
        let said = {
            let Self { read, write, .. } = self;
            let saying = write.data_bytes(text);
            tokio::pin!(saying);
            loop {
                tokio::select! {
                    said = &mut saying => break said,
                    message = read.wait() => match message {
                        Some(message) => heard.push(message),
                        None => break Err(russh::Error::Disconnect),
                    },
                }
            }
        };
        for message in heard {
            self.take_in(message);
        }
        Ok(said?)
    }

    /// From now on its output is told while it comes, with what was written to standard error before.
    pub(super) fn tell(&mut self, mut telling: HostTelling) {
        telling.wrote(1, &self.stderr.bytes);
        self.telling = Some(telling);
    }

    /// Its command has ended by itself: all is told.
    pub(super) fn told(&mut self) {
        self.telling.take().into_iter().for_each(HostTelling::finish);
    }

    /// There is nothing more to say.
    pub(super) async fn end_of_input(&self) -> Result<(), Lost> {
        Ok(self.write.eof().await?)
    }

    /// What the host says next, up to the command's output.
    pub(super) async fn hear(&mut self) -> Result<Said, Lost> {
        loop {
            while let Some(end) = self.head.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.head.drain(..=end).collect();
                let said = std::str::from_utf8(&line[..end]).ok().and_then(|line| Said::parse(line, &self.number));
                match said {
                    Some(said) => {
                        if matches!(said, Said::Run | Said::Size(_)) {
                            self.is_output = true;
                            let rest = std::mem::take(&mut self.head);
                            self.output(0, &rest);
                        }
                        return Ok(said);
                    }
                    None => self.noise_bytes += line.len(),
                }
            }
            if self.is_closed {
                return Err(self.why_closed());
            }
            if self.noise_bytes + self.head.len() > NOISE_BYTES_MAX {
                return Err(Lost { why: "it says too much before it begins".to_owned(), is_gone: false });
            }
            self.next().await;
        }
    }

    /// Takes in what comes next. Nothing more comes once it is over.
    pub(super) async fn next(&mut self) {
        match self.read.wait().await {
            Some(message) => self.take_in(message),
            None => self.is_closed = true,
        }
    }

    /// Whether the channel is closed: its command has ended, or the connection has.
    pub(super) fn is_over(&self) -> bool {
        self.is_closed
    }

    fn take_in(&mut self, message: ChannelMsg) {
        match message {
            ChannelMsg::Data { data } if self.is_output => self.output(0, &data),
            ChannelMsg::Data { data } => self.head.extend_from_slice(&data),
            ChannelMsg::ExtendedData { data, ext: EXT_STDERR } => self.output(1, &data),
            ChannelMsg::ExitStatus { exit_status } => self.code = Some(i32::try_from(exit_status).unwrap_or(i32::MAX)),
            ChannelMsg::ExitSignal { signal_name, error_message, .. } => {
                self.code = Some(128);
                self.output(1, format!("{signal_name:?}: {error_message}\n").as_bytes());
            }
            ChannelMsg::Failure => self.is_refused = true,
            ChannelMsg::Close => self.is_closed = true,
            _ => {}
        }
    }

    /// Keeps what came for standard output (0) or error (1), and tells it.
    fn output(&mut self, stream: usize, bytes: &[u8]) {
        let kept = if stream == 0 { &mut self.stdout } else { &mut self.stderr };
        keep(kept, bytes, self.bytes_max);
        if let Some(telling) = &mut self.telling {
            telling.wrote(stream, bytes);
        }
    }

    /// In whose words it could be told why nothing began: the last line of standard error is what shells and sudo
    /// write.
    fn why_closed(&self) -> Lost {
        let stderr = String::from_utf8_lossy(&self.stderr.bytes);
        let last = stderr.lines().map(str::trim).rfind(|line| !line.is_empty());
        let why = match (self.is_refused, last, self.code) {
            (true, ..) => "the server runs no command".to_owned(),
            (_, Some(line), _) => line.to_owned(),
            (_, None, Some(code)) => format!("nothing began, and it ended with the exit code {code}"),
            (_, None, None) => "the connection ended".to_owned(),
        };
        Lost { why, is_gone: !self.is_refused && last.is_none() && self.code.is_none() }
    }

    /// Closes the channel: what runs there loses its input, which ends it.
    pub(super) async fn close(self) {
        let _ = tokio::time::timeout(CLOSE, self.write.close()).await;
    }
}

/// Keeps what there is room for.
fn keep(stream: &mut Stream, bytes: &[u8], bytes_max: usize) {
    let room = bytes_max.saturating_sub(stream.bytes.len());
    stream.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    stream.truncated |= bytes.len() > room;
}
