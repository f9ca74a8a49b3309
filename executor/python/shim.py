"""What an interpreter runs for an action of the runner `python`: it imports the action's file, calls a function or class
of it, and tells the end as one JSON document on a descriptor that the action's code has no number of.

    shim.py                            one call: its job comes on standard input, its end goes to descriptor 3
    shim.py zygote FILE IMPORT_S       imports the file once, and forks for each job that comes on standard input

It runs on CPython 3.8 and newer, with nothing but the standard library, and prints nothing.
"""

import atexit
import faulthandler
import fcntl
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import json
import os
import signal
import sys
import time
import traceback

# The name under which the action's file is imported: one that shadows no other module.
MODULE = "petrel_action"
# Where the end is told, as the guard gives it.
END_FD = 3
# From this number on stand descriptors that the action's code should not come upon by accident.
FIRST_OWN_FD = 64
# Most characters of a traceback or message. What is longer is left out as a whole: of a secret that is cut in two,
# nobody would find what is left.
TEXT_MAX = 1 << 20


# The action's file may put others in their place, for what it runs itself.
fork, waitpid, sleep, set_signal = os.fork, os.waitpid, time.sleep, signal.signal


class NoJson(Exception):
    """The value is no JSON."""


# The action's file.


class Config(dict):
    """A pack's configuration; what is not configured is told as StackStorm tells it."""

    def __missing__(self, key):
        raise ValueError('the pack is not configured with "%s"' % (key,))


def base_action():
    """StackStorm's base class of actions, as far as there is something behind it."""
    import logging

    class Action:
        description = None

        def __init__(self, config=None, action_service=None):
            self.config = config if config is not None else {}
            self.action_service = action_service
            self.logger = logging.getLogger("st2.actions.python." + type(self).__name__)
            if not self.logger.handlers:
                handler = logging.StreamHandler()
                handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
                self.logger.addHandler(handler)
                self.logger.setLevel(logging.DEBUG)
                self.logger.propagate = False

        def run(self, **parameters):
            raise NotImplementedError("run")

    Action.__module__ = "st2common.runners.base_action"
    return Action


class StackStorm(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The modules of StackStorm that actions import, where they are not installed."""

    PACKAGES = ("st2common", "st2common.runners")
    ACTION = "st2common.runners.base_action"

    def find_spec(self, name, path=None, target=None):
        if name in self.PACKAGES or name == self.ACTION:
            return importlib.machinery.ModuleSpec(name, self, is_package=name in self.PACKAGES)
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        if module.__name__ == self.ACTION:
            module.Action = base_action()


def import_file(path):
    """Imports the action's file. Beside it, and in `lib/` beside that, it finds what it imports itself."""
    sys.argv = [path]
    folder = os.path.dirname(path)
    # The first entry is this program's own folder.
    sys.path[0:1] = [folder, os.path.join(folder, "lib")]
    sys.meta_path.append(StackStorm())
    loader = importlib.machinery.SourceFileLoader(MODULE, path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_file_location(MODULE, path, loader=loader))
    sys.modules[MODULE] = module
    loader.exec_module(module)
    return module


def callee_of(module, job):
    """What is to be called."""
    name = job["class"] or job["function"]
    callee = getattr(module, name, None)
    if not callable(callee):
        what = "class" if job["class"] else "function"
        raise AttributeError("%s has no %s %s" % (os.path.basename(module.__file__), what, name))
    if not job["class"]:
        return callee
    config = Config(job["config"] or {})
    try:
        takes = inspect.signature(callee).parameters
        is_given = "config" in takes or any(p.kind is p.VAR_KEYWORD for p in takes.values())
    except (TypeError, ValueError):
        is_given = False
    if is_given:
        return callee(config=config).run
    instance = callee()
    instance.config = config
    return instance.run


# How it ended.


def described(stage, error):
    """An exception without the frames that lead to the action's code."""
    trace = error.__traceback__
    while trace is not None and is_not_its_own(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", MODULE):
        name = "%s.%s" % (kind.__module__, name)
    try:
        message = str(error)
    except Exception:
        message = "its message cannot be made"
    try:
        text = "".join(traceback.format_exception(kind, error, trace))
    except Exception:
        text = "its traceback cannot be made"
    return {"end": "raised", "stage": stage, "type": name, "message": short(message), "traceback": short(text)}


def is_not_its_own(file):
    return file == __file__ or file.startswith("<frozen importlib") or "importlib" in file.split(os.sep)


def short(text):
    return text if len(text) <= TEXT_MAX else "(%d characters are left out)" % len(text)


def returned(value):
    """What was returned, as what is told of it."""
    if inspect.iscoroutine(value):
        import asyncio

        value = asyncio.run(value)
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], bool):
        return {"end": "returned" if value[0] else "failed", "value": value[1]}
    return {"end": "returned", "value": value}


def encoded(end):
    """The end as bytes of JSON."""
    try:
        return json.dumps(end, allow_nan=False, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise NoJson("a text in it holds half a surrogate pair")
    except RecursionError:
        raise NoJson("it is nested too deeply")
    except (TypeError, ValueError) as error:
        raise NoJson(str(error))


def exit_code(error):
    """The exit code of `sys.exit`, as Python makes it."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    print(error.code, file=sys.stderr)
    return 1


class Teller:
    """Tells the end, once, and from this process alone."""

    def __init__(self, fd):
        self.fd = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_OWN_FD)
        os.close(fd)
        self.pid = os.getpid()

    def tell(self, end):
        if os.getpid() != self.pid:
            return
        try:
            data = encoded(end)
        except NoJson as error:
            data = encoded({"end": "no_json", "message": short(str(error))})
        except Exception as error:
            data = encoded({"end": "no_json", "message": "a %s while it was written" % type(error).__name__})
        while data:
            data = data[os.write(self.fd, data) :]


def leave(teller, end, code):
    """Ends this process: what was printed and what was registered for the end is done, and no thread is waited for."""
    if os.getpid() != teller.pid:
        # A fork of the action's own, which came back to here.
        os._exit(code)
    try:
        teller.tell(end)
    except OSError:
        code = code or 1
    try:
        atexit._run_exitfuncs()
    except BaseException:
        pass
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            pass
    os._exit(code)


def guarded(teller, stage, work):
    """Does the work; whatever it raises ends this process."""
    try:
        return work()
    except SystemExit as error:
        leave(teller, {"end": "exit"}, exit_code(error))
    except BaseException as error:
        leave(teller, described(stage, error), 1)


def call(teller, module, job):
    """Calls what the job says, and ends this process."""

    def work():
        os.environ.update(job["environment"])
        os.chdir(job["directory"])
        callee = callee_of(module, job)
        return returned(callee(**job["parameters"]))

    end = guarded(teller, "call", work)
    leave(teller, end, 0 if end["end"] == "returned" else 1)


# One call.


def read_all(fd):
    parts = []
    while True:
        part = os.read(fd, 1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)


def empty_stdin():
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def streams_as_petrel_reads_them():
    """What is printed is there line by line, though the action is ended, and always is UTF-8."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def within(seconds, teller, work):
    """Imports within that time: else this process ends, and tells where it was."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=teller.fd)
    module = guarded(teller, "import", work)
    faulthandler.cancel_dump_traceback_later()
    return module


def once():
    teller = Teller(END_FD)
    job = guarded(teller, "start", lambda: json.loads(read_all(0).decode("utf-8")))
    empty_stdin()
    streams_as_petrel_reads_them()
    module = within(job["import_s"], teller, lambda: import_file(job["file"]))
    call(teller, module, job)


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
