"""From documents, or from a list of rules, to in force: in namespaces that have seen nothing before."""

import itertools
import shutil
import time

import peers
from firewalld import Firewalld
from firewalls import started
from network import BenchError, Trio
from report import median

SIZES = [10, 100, 1_000]
NUMBERS = itertools.count()

EXPLANATION = """\
nsgd: from the start of its process to READY, with the documents read and the rules in force. The peers: from the
start to the end of the program that loads the list. Medians of {times} loads into fresh namespaces, in milliseconds."""


class Loading:
    """One way to load policies into a fresh router."""

    def __init__(self, title, program, load):
        self.title, self.program, self.load = title, program, load

    def once(self, bench, policies):
        """Milliseconds."""
        if self.program and not shutil.which(self.program):
            raise BenchError(f"{self.program} is not installed")
        trio = Trio(f"load{next(NUMBERS)}", others=len(policies) - 1)
        try:
            return self.load(bench, trio, policies) * 1_000
        finally:
            trio.remove()


def nsgd(records):
    def load(bench, trio, policies):
        daemon = started(bench, trio, policies, records)
        daemon.stop()
        return daemon.seconds_to_start
    return load


def timed(trio, *command, **options):
    before = time.monotonic()
    trio.run(trio.router, *command, **options)
    return time.monotonic() - before


def nft(_, trio, policies):
    return timed(trio, "nft", "-f", "-", input=peers.nft_list(policies))


def iptables(program):
    def load(_, trio, policies):
        rules, sets = peers.iptables_list(policies)
        return timed(trio, "ipset", "restore", input=sets) + timed(trio, program, "-w", input=rules)
    return load


def firewalld(bench, trio, policies):
    if len(policies) > 1:
        raise BenchError("firewalld has one group for one interface here")
    process = Firewalld(f"{bench.folder}/firewalld-{trio.router}", trio, policies[0].groups[1])
    try:
        return process.start()
    finally:
        process.stop()


LOADINGS = [
    Loading("nsgd enforcing", None, nsgd(False)),
    Loading("nsgd recorded", None, nsgd(True)),
    Loading("nft -f, list", "nft", nft),
    Loading("iptables-nft-restore + ipset", "iptables-nft-restore", iptables("iptables-nft-restore")),
    Loading("iptables-legacy-restore + ipset", "iptables-legacy-restore", iptables("iptables-legacy-restore")),
    Loading("firewalld, start (one group)", "firewalld", firewalld),
]


def estate(bench, rules):
    """Five interfaces, each with two groups of its own."""
    return [bench.policy(rules, number + 1, machine=number) for number in range(5)]


def run(bench, report, options):
    times = 3 if options.quick else 5
    report.title("Loading")
    report.line(EXPLANATION.format(times=times) + "\n")
    shapes = {f"{size:,}": [bench.policy(size)] for size in SIZES}
    shapes[f"5 x {options.estate_rules:,}"] = estate(bench, options.estate_rules)
    values = {loading: {shape: [] for shape in shapes} for loading in LOADINGS}
    failures = {}
    for shape, policies in shapes.items():
        # Estates that take a minute to load are not loaded five times.
        for _ in range(times if len(policies) == 1 else min(times, 3)):
            for loading in LOADINGS:
                if (loading, shape) in failures:
                    continue
                try:
                    values[loading][shape].append(loading.once(bench, policies))
                except BenchError as error:
                    failures[loading, shape] = str(error)
                    report.line(f"{loading.title}, {shape}: not run: {error}")
    rows = []
    for loading in LOADINGS:
        cells = ["not run" if (loading, shape) in failures else f"{median(values[loading][shape]):,.0f}" for shape in shapes]
        rows.append([loading.title, *cells])
        for shape in shapes:
            report.record("load", f"{loading.title}/{shape}", values[loading][shape])
    report.table(["in force after, ms", *shapes], rows)
