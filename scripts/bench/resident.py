"""What the daemon costs while it does nothing: start, memory, wake-ups."""

import pathlib
import time

import policy
from firewalls import started
from load import estate
from network import Trio
from policy import Estate
from report import median

RELOADS = 100
IDLE = 30

EXPLANATION = """\
Start: from the start of the process to READY. Memory: VmRSS and VmHWM of /proc/PID/status. Idle: over {seconds} s without traffic,
processor time of /proc/PID/stat, and voluntary context switches of each thread."""


class Threads:
    """Context switches of each thread so far, by its name and id."""

    def __init__(self, process):
        self.switches = {}
        for task in pathlib.Path(f"/proc/{process}/task").iterdir():
            fields = dict(line.split(":", 1) for line in (task / "status").read_text(encoding="ascii").splitlines())
            self.switches[f"{fields['Name'].strip()} {task.name}"] = int(fields["voluntary_ctxt_switches"])

    def since(self, before):
        return {name: count - before.switches.get(name, 0) for name, count in self.switches.items()}


def idle(daemon, seconds):
    daemon.settle()
    time.sleep(2)
    threads, ticks = Threads(daemon.process.pid), daemon.ticks()
    time.sleep(seconds)
    woken = Threads(daemon.process.pid).since(threads)
    return (daemon.ticks() - ticks) * 10, woken


def run(bench, report, options):
    seconds, reloads = (10, 20) if options.quick else (IDLE, RELOADS)
    report.title("The daemon")
    report.line(EXPLANATION.format(seconds=seconds) + "\n")
    rows, durations = [], []
    for number in range(5):
        trio = Trio(f"start{number}")
        daemon = started(bench, trio, [bench.policy(10)], True)
        durations.append(daemon.seconds_to_start * 1_000)
        small = daemon.memory()
        daemon.stop()
        trio.remove()
    rows.append(["start with 2 x 10 rules", f"{median(durations):.0f} ms"])
    rows.append(["memory with 2 x 10 rules", "{:.1f} MB, {:.1f} MB at most".format(*small)])

    trio = Trio("resident", others=4)
    daemon = started(bench, trio, estate(bench, options.estate_rules), True)
    try:
        daemon.settle()
        rows.append([f"start with 5 x 2 x {options.estate_rules:,} rules", f"{daemon.seconds_to_start * 1_000:,.0f} ms"])
        rows.append(["memory after that", "{:.1f} MB, {:.1f} MB at most".format(*daemon.memory())])
        used, woken = idle(daemon, seconds)
        rows.append([f"idle for {seconds} s", f"{used} ms of processor time, {sum(woken.values())} wake-ups "
                                              f"({', '.join(f'{name}: {count}' for name, count in woken.items() if count)})"])
        documents = [Estate([bench.policy(options.estate_rules, 1, allows)]).files()["subnet0.json"] for allows in (True, False)]
        for number in range(reloads):
            policy.write(daemon.folder / "config/policy.d/subnet0.json", documents[number % 2])
            daemon.reload()
        daemon.settle()
        rows.append([f"memory after {reloads} reloads of one rule", "{:.1f} MB, {:.1f} MB at most".format(*daemon.memory())])
    finally:
        daemon.stop()
        trio.remove()
    for name, value in rows:
        report.record("daemon", name, value)
    report.table(["the daemon", ""], rows)
