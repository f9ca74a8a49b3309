//! Short messages between a worker and its supervisor, each with at most one descriptor beside it.
#![allow(unsafe_code)] // The only way to hand a descriptor over is an ancillary message, which libc alone offers here.

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Longest message, in bytes: a word, a number, and a sentence of the system.
pub const MESSAGE_BYTES_MAX: usize = 512;

/// Room for an ancillary message with one descriptor, aligned as the kernel wants it.
#[repr(C)]
union Ancillary {
    header: libc::cmsghdr,
    bytes: [u8; 64],
}

/// Two ends of a connection that keeps the bounds of messages. No child inherits either.
///
/// # Errors
/// If this process has no descriptor left.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends: [RawFd; 2] = [-1; 2];
    // SAFETY: the kernel writes two descriptors into an array of two.
    let result =
        unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both were just made, and nobody else knows them.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// Sends without waiting.
///
/// # Errors
/// `WouldBlock` if the other end does not read; `BrokenPipe` if it is gone.
pub fn send(socket: BorrowedFd<'_>, message: &str, passed: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut data = libc::iovec { iov_base: message.as_ptr().cast_mut().cast(), iov_len: message.len() };
    let mut ancillary = Ancillary { bytes: [0; 64] };
    // SAFETY: all fields of the header may be zero. Behind it, its pointers lead to `data`, `message` and `ancillary`,
    // which live until the call returns; the one control message fits, for `CMSG_SPACE` of a descriptor is 24 bytes.
    let sent = unsafe {
        let mut header: libc::msghdr = zeroed();
        header.msg_iov = &raw mut data;
        header.msg_iovlen = 1;
        if let Some(fd) = passed {
            let length = u32::try_from(size_of::<RawFd>()).unwrap_or(4);
            header.msg_control = (&raw mut ancillary).cast();
            header.msg_controllen = libc::CMSG_SPACE(length) as _;
            let control = libc::CMSG_FIRSTHDR(&raw const header);
            (*control).cmsg_level = libc::SOL_SOCKET;
            (*control).cmsg_type = libc::SCM_RIGHTS;
            (*control).cmsg_len = libc::CMSG_LEN(length) as _;
            libc::CMSG_DATA(control).cast::<RawFd>().write_unaligned(fd.as_raw_fd());
        }
        libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What was received: the message and the descriptor beside it.
pub type Received = (String, Option<OwnedFd>);

/// Receives without waiting; nothing if the other end is gone.
///
/// # Errors
/// `WouldBlock` if nothing has come.
pub fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<Received>> {
    let mut buffer = [0_u8; MESSAGE_BYTES_MAX];
    let mut data = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut ancillary = Ancillary { bytes: [0; 64] };
    // SAFETY: as in `send`; the kernel writes at most `iov_len` and `msg_controllen` bytes, and a descriptor that it
    // hands over belongs to nobody else.
    let (read, passed) = unsafe {
        let mut header: libc::msghdr = zeroed();
        header.msg_iov = &raw mut data;
        header.msg_iovlen = 1;
        header.msg_control = (&raw mut ancillary).cast();
        header.msg_controllen = libc::CMSG_SPACE(4) as _;
        let read = libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC);
        if read < 0 {
            return Err(io::Error::last_os_error());
        }
        let control = libc::CMSG_FIRSTHDR(&raw const header);
        let passed = match control.as_ref() {
            Some(c) if c.cmsg_level == libc::SOL_SOCKET && c.cmsg_type == libc::SCM_RIGHTS => {
                Some(OwnedFd::from_raw_fd(libc::CMSG_DATA(control).cast::<RawFd>().read_unaligned()))
            }
            _ => None,
        };
        (usize::try_from(read).unwrap_or(0), passed)
    };
    if read == 0 {
        return Ok(None);
    }
    Ok(Some((String::from_utf8_lossy(&buffer[..read]).into_owned(), passed)))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_descriptor_comes_over_and_messages_keep_their_bounds() {
        let (here, there) = pair().unwrap();
        let (mut kept, given) = UnixStream::pair().unwrap();
        send(here.as_fd(), "one", Some(given.as_fd())).unwrap();
        send(here.as_fd(), "two", None).unwrap();
        drop(given);
        let (message, passed) = receive(there.as_fd()).unwrap().unwrap();
        assert_eq!(message, "one");
        UnixStream::from(passed.unwrap()).write_all(b"x").unwrap();
        let mut text = String::new();
        kept.read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
        let (message, passed) = receive(there.as_fd()).unwrap().unwrap();
        assert!(message == "two" && passed.is_none());
        assert_eq!(receive(there.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(here);
        assert!(receive(there.as_fd()).unwrap().is_none());
    }
}
