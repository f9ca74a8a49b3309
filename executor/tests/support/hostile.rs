//! What a shell cannot do: programs of attacks, which the test program runs as actions by executing itself.
#![allow(unsafe_code)] // a process that leaves its first thread can be made by system calls alone

use std::path::Path;
use std::time::Duration;

use petrel_executor::runner::Command;

use super::actions::{command, marked};

/// Names the attack in the environment.
const NAME: &str = "HOSTILE";
/// What gets away from a test that fails lives no longer than that.
const LIFE_MAX: Duration = Duration::from_secs(120);

/// An action that carries an attack out, once the test program has a test `hostile_role` that calls [`play`].
pub fn attack(name: &str, directory: &Path) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut command = command(&[program.to_str().unwrap(), "hostile_role", "--exact", "--nocapture"], directory);
    command.environment.insert(NAME.to_owned(), name.to_owned());
    marked(command, name)
}

/// Does nothing unless it is run as an action.
pub fn play() {
    match std::env::var(NAME).as_deref() {
        Ok("leaderless") => leaderless(),
        Ok("regroup") => regroup(),
        Ok("sockets") => sockets(),
        Ok(other) => panic!("no attack {other}"),
        Err(_) => {}
    }
}

/// Ends, and leaves a process in a session of its own whose first thread has ended: `leaderless` names it.
fn leaderless() {
    // SAFETY: the child has one thread, makes another one, and ends itself alone; it touches nothing of its parent's.
    unsafe {
        if libc::fork() == 0 {
            libc::setsid();
            std::thread::spawn(|| {
                let stat = || std::fs::read_to_string("/proc/self/stat").unwrap();
                while !stat().rsplit_once(')').unwrap().1.starts_with(" Z") {
                    std::thread::yield_now();
                }
                std::fs::write("leaderless", std::process::id().to_string()).unwrap();
                // Nobody wakes it.
                std::thread::park_timeout(LIFE_MAX);
            });
            libc::syscall(libc::SYS_exit, 0);
        }
    }
    while !Path::new("leaderless").exists() {
        std::thread::yield_now();
    }
}

/// Tries what leads to others over sockets, from a service of this machine at `service` to a network at the port of
/// that name, and prints what it could do.
fn sockets() {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::{UnixDatagram, UnixStream};
    let port: u16 = std::fs::read_to_string("port").unwrap().trim().parse().unwrap();
    let inside = || TcpListener::bind("127.0.0.1:0").and_then(|own| TcpStream::connect(own.local_addr()?));
    // SAFETY: numbers, and a struct of which the kernel reads nothing but zeros.
    let (vsock, uring) = unsafe {
        let parameters = [0_u8; 120];
        (
            libc::socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0),
            libc::syscall(libc::SYS_io_uring_setup, 2, parameters.as_ptr()),
        )
    };
    let network = std::fs::File::open("network").map_err(drop).and_then(|file| {
        use std::os::fd::AsRawFd;
        // SAFETY: numbers.
        if unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) } == 0 { Ok(()) } else { Err(()) }
    });
    for (what, is_done) in [
        ("service", UnixStream::connect("service").is_ok()),
        ("datagram", UnixDatagram::unbound().is_ok()),
        ("pair of streams", UnixStream::pair().is_ok()),
        ("pair of datagrams", UnixDatagram::pair().is_ok()),
        ("network", TcpStream::connect(("127.0.0.1", port)).is_ok()),
        ("itself", inside().is_ok()),
        ("vsock", vsock >= 0),
        ("io_uring", uring >= 0),
        ("another network", network.is_ok()),
    ] {
        if is_done {
            let _ = writeln!(std::io::stdout(), "can: {what}");
        }
    }
    std::process::exit(0);
}

/// A child tries to join the process group of the guard, which is spared when groups are signalled; ends by what the
/// kernel says to that.
fn regroup() {
    // SAFETY: the child makes two system calls.
    let said = unsafe {
        let guard = libc::getppid();
        let child = libc::fork();
        if child == 0 {
            let result = libc::setpgid(0, libc::getpgid(guard));
            libc::_exit(if result == 0 { 0 } else { *libc::__errno_location() });
        }
        let mut status = 0;
        libc::waitpid(child, &raw mut status, 0);
        libc::WEXITSTATUS(status)
    };
    std::process::exit(said);
}
