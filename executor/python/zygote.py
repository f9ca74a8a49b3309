

# Many calls, each in a fork.

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SIGKILL = 9
# Calls of Landlock have the same numbers on all architectures.
LANDLOCK_CREATE_RULESET = 444
LANDLOCK_RESTRICT_SELF = 446
LANDLOCK_SCOPES = 6
SCOPE_ABSTRACT_UNIX_SOCKET = 1
SCOPE_SIGNAL = 2
# How long the thread may take to end that watches over an import.
THREAD_END_S = 2
# How long a ruleset attribute is that has scopes.
RULESET_BYTES = 24


class Kernel:
    """The system calls that Python has no functions for."""

    def __init__(self):
        import ctypes

        self.ctypes = ctypes
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.syscall.restype = ctypes.c_long
        abi = self.libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(1))
        if abi < LANDLOCK_SCOPES:
            raise OSError("this kernel cannot keep a fork from its zygote")

    def check(self, result):
        if result < 0:
            number = self.ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result

    def be_subreaper(self):
        self.check(self.libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))

    def die_with_parent(self):
        self.check(self.libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))

    def enter_domain(self):
        """From now on this process, and what it starts, can neither signal nor look into one that it did not start: the
        zygote, what watches over it there, and the other forks."""
        c = self.ctypes
        attribute = (c.c_uint64 * 3)(0, 0, SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL)
        syscall = self.libc.syscall
        ruleset = self.check(syscall(LANDLOCK_CREATE_RULESET, attribute, c.c_size_t(RULESET_BYTES), c.c_uint(0)))
        self.check(syscall(LANDLOCK_RESTRICT_SELF, c.c_int(ruleset), c.c_uint(0)))
        os.close(ruleset)


def receive(connection):
    """A message and the descriptor beside it."""
    import array
    import socket

    message, ancillary, _flags, _address = connection.recvmsg(64, socket.CMSG_SPACE(4))
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds = array.array("i")
            fds.frombytes(data[:4])
            os.set_inheritable(fds[0], False)
            return message, fds[0]
    return message, None


def set_limits(limits):
    import resource

    for name, key in (
        ("RLIMIT_NOFILE", "open_files_max"),
        ("RLIMIT_FSIZE", "file_bytes_max"),
        ("RLIMIT_AS", "memory_bytes_max"),
        ("RLIMIT_NPROC", "processes_max"),
        ("RLIMIT_CPU", "cpu_s_max"),
    ):
        most = limits.get(key)
        if most is None:
            continue
        which = getattr(resource, name)
        hard = resource.getrlimit(which)[1]
        # No number that Python can tell the kernel is larger.
        most = min(most, sys.maxsize) if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (most, most))


def child(kernel, module, job_fd, out_fd, err_fd, end_fd, keeper):
    """The process in which the action's code runs."""
    os.setsid()
    kernel.die_with_parent()
    if os.getppid() != keeper:
        os._exit(1)
    os.dup2(out_fd, 1)
    os.dup2(err_fd, 2)
    os.close(out_fd)
    os.close(err_fd)
    teller = Teller(end_fd)
    # What the file has registered when it was imported is the zygote's, and done at its end.
    atexit._clear()

    def begin():
        job = json.loads(read_all(job_fd).decode("utf-8"))
        os.close(job_fd)
        kernel.enter_domain()
        set_limits(job["limits"])
        return job

    job = guarded(teller, "start", begin)
    # What comes before may have taken long, on a machine that slept, say.
    if time.clock_gettime(time.CLOCK_BOOTTIME) * 1000 >= job["lease_deadline_ms"]:
        leave(teller, {"end": "late"}, 1)
    call(teller, module, job)


def has_left():
    """Whether a child is left, beside those that have ended."""
    while True:
        try:
            if waitpid(-1, os.WNOHANG)[0] == 0:
                return True
        except ChildProcessError:
            return False


def keep(kernel, module, connection):
    """The process over one fork: whatever that leaves comes here, so that the guard finds it. It tells how the fork ended,
    and ends when nothing is left."""
    os.setsid()
    set_signal(signal.SIGCHLD, signal.SIG_DFL)
    kernel.be_subreaper()
    connection.send(b"%d" % os.getpid())
    fds = [receive(connection)[1] for _ in range(4)]
    if None in fds:
        os._exit(1)
    keeper = os.getpid()
    main = fork()
    if main == 0:
        connection.close()
        child(kernel, module, fds[0], fds[1], fds[2], fds[3], keeper)
    for fd in fds:
        os.close(fd)
    while True:
        try:
            pid, status = waitpid(-1, 0)
        except ChildProcessError:
            os._exit(0)
        if pid == main:
            connection.send(b"%d %s" % (status, b"left" if has_left() else b"alone"))


def is_one_thread():
    """Whether no thread is left but this one; the one that watches over an import takes a moment to end."""
    end = time.monotonic() + THREAD_END_S
    while len(os.listdir("/proc/self/task")) > 1:
        if time.monotonic() >= end:
            return False
        sleep(0.001)
    return True


def zygote(path, import_s):
    import gc
    from socket import socket

    control = socket(fileno=fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, FIRST_OWN_FD))
    empty_stdin()
    teller = Teller(END_FD)
    streams_as_petrel_reads_them()
    kernel = guarded(teller, "zygote", Kernel)
    module = within(import_s, teller, lambda: import_file(path))
    if not is_one_thread():
        # A lock that a thread holds is held for ever in a fork.
        leave(teller, {"end": "threads"}, 1)
    sys.stdout.flush()
    sys.stderr.flush()
    gc.collect()
    gc.freeze()
    set_signal(signal.SIGCHLD, signal.SIG_IGN)
    control.send(b"ready")
    while True:
        message, fd = receive(control)
        if not message:
            atexit._run_exitfuncs()
            os._exit(0)
        if fd is None:
            continue
        connection = socket(fileno=fd)
        try:
            is_fork = fork() == 0
        except OSError:
            # The guard sees by the end of its connection that there is no room for another process.
            is_fork = False
        if is_fork:
            try:
                control.close()
                os.close(teller.fd)
                keep(kernel, module, connection)
            finally:
                os._exit(1)
        connection.close()


if __name__ == "__main__":
    if len(sys.argv) == 4:
        zygote(sys.argv[2], float(sys.argv[3]))
    else:
        once()
