"""nsgd as the benchmarks run it: in a namespace of its own, with the folder that it is given."""

import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import time

from network import BenchError, call

START_DEADLINE = 300


class Daemon:
    """One nsgd. `enter` are the words before its command that lead into its namespace; `folder` holds its configuration."""

    def __init__(self, programs, folder, enter=()):
        self.programs, self.folder, self.enter = programs, pathlib.Path(folder), list(enter)
        self.process = self.seconds_to_start = None
        self.notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notifications.bind(str(self.folder / "notify"))

    def start(self):
        """Seconds from the start of the process until it says READY: the documents are in force."""
        options = [part for name in ("config", "state", "logs") for part in (f"--{name}", str(self.folder / name))]
        with open(self.folder / "log", "a", encoding="utf-8") as log:
            started = time.monotonic()
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                [*self.enter, f"{self.programs}/nsgd", *options, "--socket", str(self.folder / "socket")], stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": str(self.folder / "notify")})
        self.seconds_to_start = self.notified("READY", START_DEADLINE) - started
        return self.seconds_to_start

    def notified(self, word, seconds=120):
        """Waits for a message to the service manager; the time at which it came."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if select.select([self.notifications], [], [], 0.2)[0]:
                text = self.notifications.recv(4_096).decode()
                if any(line.startswith(f"{word}=1") for line in text.splitlines()):
                    return time.monotonic()
            elif self.process.poll() is not None:
                break
        tail = (self.folder / "log").read_text(encoding="utf-8")[-600:]
        raise BenchError(f"nsgd did not say {word} within {seconds} s; its log ends with:\n{tail}")

    def reload(self):
        """Asks for a reload; when it was asked, and when nsgd said that it was done."""
        asked = time.monotonic()
        self.process.send_signal(signal.SIGHUP)
        return asked, self.notified("READY")

    def control(self, *arguments):
        """What nsgctl answers, as JSON."""
        return json.loads(call([f"{self.programs}/nsgctl", *arguments, "--socket", str(self.folder / "socket"), "-o", "json"]))

    def log_proof(self):
        """The flow log held against the kernel's counters, the lines of its files counted too."""
        return self.control("log", "verify", "--logs", str(self.folder / "logs"))

    def memory(self):
        """VmRSS and VmHWM, in MB."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return tuple(int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) / 1024 for name in ("VmRSS", "VmHWM"))

    def ticks(self):
        """Processor time used so far, in hundredths of a second."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def settle(self, seconds=20):
        """Waits until it has worked up what it was given."""
        deadline = time.monotonic() + seconds
        before = -1
        while (now := self.ticks()) != before and time.monotonic() < deadline:
            before = now
            time.sleep(0.05)

    def settled_decisions(self, seconds=30):
        """`decisions()`, once a second went by in which they did not change."""
        deadline = time.monotonic() + seconds
        before, since = self.decisions(), time.monotonic()
        while time.monotonic() < min(deadline, since + 1):
            time.sleep(0.1)
            if (now := self.decisions()) != before:
                before, since = now, time.monotonic()
        return before

    def decisions(self):
        """How many decisions were recorded, and how many are known to be missing."""
        status = self.control("status")
        return status["decisions"]["logged"], status["losses"]["packetCopies"]

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait(10)
        self.notifications.close()
