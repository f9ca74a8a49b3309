//! Servers of HTTP and of mail that hold up whoever asks them until a gate is opened, which is a file, and write down what
//! they are asked in files beside it: one for each execution, with a line `+ATTEMPT` where an attempt begins.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use petrel_testkit::poll_until;

use super::SOON;

/// Longest time for which anything is held up.
const HELD: std::time::Duration = SOON.saturating_mul(5);

/// Where they write, and where the gate is.
#[derive(Clone)]
struct Place(PathBuf);

impl Place {
    fn is_open(&self) -> bool {
        self.0.join("gate").exists()
    }

    fn write(&self, log: &str, line: &str) -> Result<()> {
        let mut file = std::fs::File::options().create(true).append(true).open(self.0.join(log))?;
        Ok(writeln!(file, "{line}")?)
    }

    fn hold(&self) {
        let _ = poll_until(HELD, || self.is_open().then_some(()));
    }
}

/// Serves each that comes in a thread of its own, until this process ends.
fn listen(dir: &Path, serve: fn(TcpStream, &Place) -> Result<()>) -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let (port, place) = (listener.local_addr()?.port(), Place(dir.to_owned()));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let place = place.clone();
            std::thread::spawn(move || _ = serve(stream, &place));
        }
    });
    Ok(port)
}

/// A server of HTTP; its port. Of `/hold/LOG/ATTEMPT` it writes down that it begins, and answers with the gate. Of
/// `/begin/LOG/ATTEMPT` it writes down the same, and of `/goes_on/LOG/ATTEMPT` that the attempt goes on, and says whether
/// the gate is open.
pub fn serve_http(dir: &Path) -> Result<u16> {
    listen(dir, answer)
}

fn answer(mut stream: TcpStream, place: &Place) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head)?;
    let path = head.split(' ').nth(1).context("a request has a path")?;
    let [what, log, attempt] = path[1..].split('/').collect::<Vec<_>>()[..] else {
        anyhow::bail!("{path} has not three parts");
    };
    if what == "goes_on" {
        place.write(log, attempt)?;
    } else {
        place.write(log, &format!("+{attempt}"))?;
    }
    if what == "hold" {
        place.hold();
    }
    let body = if place.is_open() { "open" } else { "shut" };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    Ok(stream.write_all(format!("{head}{body}").as_bytes())?)
}

/// A server of mail; its port. A message is for `LOG.ATTEMPT@…`. The answer to that comes with the gate, and a message that
/// is then taken is written down as what goes on.
pub fn serve_mail(dir: &Path) -> Result<u16> {
    listen(dir, converse)
}

fn converse(mut stream: TcpStream, place: &Place) -> Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let mut say = |text: &str| stream.write_all(format!("{text}\r\n").as_bytes());
    let mut told = None;
    say("220 hold.test")?;
    while let Some(line) = lines.next() {
        let line = line?;
        match line.split(' ').next().unwrap_or_default() {
            "EHLO" | "MAIL" => say("250 hold.test")?,
            "RCPT" => {
                let (_, address) = line.split_once('<').context("a recipient has an address")?;
                let (log, attempt) = address
                    .split_once('@')
                    .and_then(|(local, _)| local.rsplit_once('.'))
                    .context("it names the log and the attempt")?;
                place.write(log, &format!("+{attempt}"))?;
                place.hold();
                told = Some((log.to_owned(), attempt.to_owned()));
                say("250 ok")?;
            }
            "DATA" => {
                say("354 go ahead")?;
                while lines.next().context("a message ends with a dot")?? != "." {}
                let (log, attempt) = told.take().context("a message has a recipient")?;
                place.write(&log, &attempt)?;
                say("250 taken")?;
            }
            _ => {
                say("221 bye")?;
                break;
            }
        }
    }
    Ok(())
}
