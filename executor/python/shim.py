"""What an interpreter runs for an action of the runner `python`: it imports the action's file, calls a function or class
of it, and tells the end as one JSON document on a descriptor that the action's code has no number of.

    shim.py                            one call: its job comes on standard input, its end goes to descriptor 3
    shim.py zygote FILE IMPORT_S       imports the file once, and forks for each job that comes on standard input

It runs on CPython 3.8 and newer, with nothing but the standard library, and prints nothing. `zygote.py` stands behind
this text in the file that an interpreter is given.
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
