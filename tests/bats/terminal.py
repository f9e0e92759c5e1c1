#!/usr/bin/python3
"""Run a command on a pseudo-terminal of a given size and talk to it.

    terminal.py [--size ROWSxCOLS] [--timeout SECONDS] STEP... -- COMMAND...

Steps are done in order, then the end of the command is awaited:
    --expect REGEX      wait until what came since the last match matches
    --send TEXT         type it; \\r, \\n, \\t, \\xHH are understood
    --resize ROWSxCOLS  change the size, which sends SIGWINCH
    --signal NUMBER     send a signal to the command
    --pause SECONDS     do nothing
    --exit CODE         the exit code to expect at the end (default 0)

Everything the command showed goes to standard output. Exit code: 0; 1 when a
step or the exit code is not as expected; 2 when the command left the terminal
in another mode than it found it in.
"""

import fcntl
import os
import re
import select
import signal
import struct
import sys
import termios
import time


class Failure(Exception):
    """A step did not go as expected."""


def parse(argv):
    """Split the arguments into options, steps and the command."""
    options = {"size": "24x80", "timeout": "60", "exit": "0"}
    steps = []
    while argv and argv[0] != "--":
        name, value, argv = argv[0].removeprefix("--"), argv[1], argv[2:]
        if name in options:
            options[name] = value
        elif name in ("expect", "send", "resize", "signal", "pause"):
            steps.append((name, value))
        else:
            sys.exit(f"terminal.py: unknown option --{name}")
    return options, steps, argv[1:]


def set_size(fd, size):
    rows, cols = (int(n) for n in size.split("x"))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


class Terminal:
    """The command, its terminal and what it has shown."""

    def __init__(self, command, size, timeout):
        self.deadline = time.monotonic() + timeout
        self.seen = b""   # everything
        self.match = 0    # up to here it has been matched
        # Our own descriptor of the slave keeps the master readable when the command
        # ends, and shows the mode it left behind.
        self.master, self.slave = os.openpty()
        set_size(self.slave, size)
        self.mode = termios.tcgetattr(self.slave)
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            for fd in range(3):
                os.dup2(self.slave, fd)
            os.closerange(3, 256)
            os.execvp(command[0], command)

    def read(self, wait):
        """Take what comes within wait seconds; False if nothing did."""
        ready, _, _ = select.select([self.master], [], [], wait)
        if not ready:
            return False
        data = os.read(self.master, 65536)
        self.seen += data
        return bool(data)

    def expect(self, regex):
        pattern = re.compile(regex.encode())
        while True:
            found = pattern.search(self.seen, self.match)
            if found:
                self.match = found.end()
                return
            if time.monotonic() > self.deadline:
                raise Failure(f"waited in vain for {regex!r}")
            self.read(0.1)

    def send(self, text):
        data = text.encode().decode("unicode_escape").encode("latin-1")
        while data:
            data = data[os.write(self.master, data):]

    def resize(self, size):
        set_size(self.master, size)

    def signal(self, number):
        os.kill(self.pid, int(number))

    def pause(self, seconds):
        end = time.monotonic() + float(seconds)
        while time.monotonic() < end:
            self.read(0.05)

    def wait(self):
        """Wait for the end and return the exit code."""
        while True:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while self.read(0):
                    pass
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > self.deadline:
                raise Failure("the command does not end")


def main():
    options, steps, command = parse(sys.argv[1:])
    terminal = Terminal(command, options["size"], float(options["timeout"]))
    code = 0
    try:
        for name, value in steps:
            getattr(terminal, name)(value)
        status = terminal.wait()
        if status != int(options["exit"]):
            raise Failure(f"the command ended with {status}, expected {options['exit']}")
        if termios.tcgetattr(terminal.slave) != terminal.mode:
            print("terminal.py: the terminal is not in the mode it was in", file=sys.stderr)
            code = 2
    except Failure as failure:
        print(f"terminal.py: {failure}", file=sys.stderr)
        try:
            os.kill(terminal.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        code = 1
    sys.stdout.buffer.write(terminal.seen)
    sys.exit(code)


main()
