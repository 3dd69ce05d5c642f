"""One rule changed in a large estate: how long until packets are judged by it; and reloads while new flows keep coming."""

import shutil
import statistics
import time

import peers
import policy
import probes
from firewalld import Firewalld
from firewalls import started
from load import estate, timed
from network import BenchError, Trio
from policy import Estate
from report import median
from traffic import Traffic

CHANGES = 11
# New flows per second of each stream.
PROBES = 5_000
STREAM = 4_000
# What one way of reloading may take, in seconds.
LONGEST_PASS = 75

EXPLANATION = """\
5 interfaces, each with 2 x {rules:,} rules. The Access of one late rule changes, Deny to Allow and back: one document is written, then
SIGHUP is sent. "packets": until the first new flow is judged by the new rule, of {rate:,} a second (Allow: the first that arrives,
Deny: the last). "READY": until nsgd tells the service manager that the reload is done. Medians of {changes} changes each way."""
LOSSLESS = """\
{count:,} reloads between versions of a policy of 2 x 1,000 rules, one after the other, while two streams of {rate:,} new flows a
second come in, each datagram a flow: one is allowed by both versions, one is denied by both."""


class Changes:
    """A daemon with an estate whose first interface's rule `switched` can be changed."""

    def __init__(self, bench, records, rules):
        self.versions = [[bench.policy(rules, 1, allows), *estate(bench, rules)[1:]] for allows in (False, True)]
        self.trio = Trio("changes" + ("r" if records else "e"), others=len(self.versions[0]) - 1)
        # Flows of one datagram are forgotten sooner than usual, so that the connection table does not fill up.
        self.daemon = started(bench, self.trio, self.versions[False], records)
        self.trio.set(self.trio.router, "net/netfilter/nf_conntrack_udp_timeout", 3)
        self.traffic = Traffic(self.trio, bench.traffic)
        self.changed = [Estate(version).files()["subnet0.json"] for version in self.versions]

    def write(self, allows):
        policy.write(self.daemon.folder / "config/policy.d/subnet0.json", self.changed[allows])

    def change(self, allows):
        """Milliseconds until packets are judged by the new rule, and until nsgd says that it is done."""
        self.write(allows)
        self.traffic.server.ask("reset")
        self.traffic.client.write("udp-paced", PROBES, policy.SWITCHED)
        time.sleep(0.1)
        asked, ready = self.daemon.reload()
        time.sleep(0.1)
        self.traffic.stop_paced()
        time.sleep(0.03)
        total, first, last = self.traffic.server.ask("counts")[f"udp/{policy.SWITCHED}"]
        if not total:
            raise BenchError("no packet was judged by the new rule")
        return ((first if allows else last) / 1e9 - asked) * 1_000, (ready - asked) * 1_000

    def stop(self):
        self.traffic.close()
        self.daemon.stop()
        self.trio.remove()


def one_rule(bench, report, options):
    times = 5 if options.quick else CHANGES
    report.title("One rule changed")
    report.line(EXPLANATION.format(rate=PROBES, changes=times, rules=options.estate_rules) + "\n")
    rows = []
    for records in (False, True):
        changes = Changes(bench, records, options.estate_rules)
        try:
            values = {allows: [] for allows in (True, False)}
            for allows in values:  # the first of each warms up
                changes.change(allows)
            for _ in range(times):
                for allows, found in values.items():
                    found.append(changes.change(allows))
                    changes.trio.flush()
                    changes.daemon.settle()
        finally:
            changes.stop()
        title = "nsgd recorded" if records else "nsgd enforcing"
        for allows, found in values.items():
            packets, ready = zip(*found)
            rows.append([f"{title}, {'Deny to Allow' if allows else 'Allow to Deny'}", f"{median(packets):.0f}",
                         f"{median(ready):.0f}", f"{max(packets):.0f}"])
            report.record("reload", rows[-1][0], {"packets": packets, "ready": ready})
    for title, duration in peers_changes(bench, report, times):
        rows.append([title, "", duration, ""])
    report.table(["one rule changed, ms", "packets", "READY, or end of command", "packets, at most"], rows)


def peers_changes(bench, report, times):
    """How long the peers' own way to change one rule takes, with 2 x 1,000 rules of one interface."""
    policies = [bench.policy(1_000)]
    rules, sets = peers.iptables_list(policies)

    def nft(trio):
        timed(trio, "nft", "-f", "-", input=peers.nft_list(policies))
        return [timed(trio, "nft", "insert rule ip bench subnet0 ip saddr 203.0.113.7 udp dport 7 drop") for _ in range(times)]

    def iptables(program):
        def changes(trio):
            timed(trio, "ipset", "restore", input=sets)
            timed(trio, f"{program}-restore", "-w", input=rules)
            return [timed(trio, program, "-w", "-I", "subnet0", "-s", "203.0.113.7", "-p", "udp", "--dport", "7", "-j", "DROP")
                    for _ in range(times)]
        return changes

    def firewalld(trio):
        process = Firewalld(f"{bench.folder}/firewalld-{trio.router}", trio, policies[0].groups[1])
        try:
            process.start()
            return [process.command("--reload") for _ in range(min(times, 3))]
        finally:
            process.stop()

    for number, (program, title, change) in enumerate([
            ("nft", "nft insert rule, 1 x 1,000", nft),
            ("iptables-nft", "iptables-nft -I, 1 x 1,000", iptables("iptables-nft")),
            ("iptables-legacy", "iptables-legacy -I, 1 x 1,000", iptables("iptables-legacy")),
            ("firewalld", "firewall-cmd --reload, one group of 1,000", firewalld)]):
        try:
            if not shutil.which(program):
                raise BenchError(f"{program} is not installed")
            trio = Trio(f"peer{number}")
            yield title, f"{median(change(trio)) * 1_000:.0f}"
            trio.remove()
        except BenchError as error:
            report.line(f"{title}: not run: {error}")
            yield title, "not run"


# --- Reloads under load

class Pass:
    """Reloads between two versions under two streams of new flows."""

    def __init__(self, bench, records, others):
        self.bench, self.records = bench, records
        first = bench.policy(1_000, 1)
        second = bench.policy(1_000, 2) if others == "all rules" else bench.policy(1_000, 1, True)
        self.versions = [[first], [second]]

    def run(self, reloads):
        """What happened, by name."""
        trio = Trio("pass")
        daemon = started(self.bench, trio, self.versions[0], self.records)
        trio.set(trio.router, "net/netfilter/nf_conntrack_udp_timeout", 3)
        traffic = Traffic(trio, self.bench.traffic)
        trio.flush()
        try:
            traffic.server.ask("reset")
            traffic.client.write("udp-paced", STREAM, policy.DATAGRAM, policy.DENIED)
            deadline = time.monotonic() + LONGEST_PASS
            done, durations = 0, []
            while done < reloads and time.monotonic() < deadline:
                Estate(self.versions[(done + 1) % 2]).write(daemon.folder / "config", self.records)
                asked, ready = daemon.reload()
                durations.append((ready - asked) * 1_000)
                done += 1
            sent = traffic.stop_paced()["sent"]
            allowed, denied = traffic.arrived(f"udp/{policy.DATAGRAM}"), traffic.arrived(f"udp/{policy.DENIED}")
            daemon.settle()
            missing = daemon.decisions()[1] if self.records else None
        finally:
            traffic.close()
            daemon.stop()
        # It has to be in force, not only said to be.
        version = self.versions[done % 2][0]
        trio.flush()
        probes.check(trio, probes.chosen(version, 200), lambda *flow: version.decide(*flow)[0], reloads + 1)
        trio.remove()
        return {"reloads": done, "median": statistics.median(durations), "longest": max(durations), "sent": sent,
                "lost": sent - allowed, "leaked": denied, "missing": missing}


def lossless(bench, report, options):
    reloads = min(100, options.reloads) if options.quick else options.reloads
    report.title("Reloads under load")
    report.line(LOSSLESS.format(count=reloads, rate=STREAM) + "\n")
    rows = []
    for records in (False, True):
        for others in ("one rule", "all rules"):
            title = f"nsgd {'recorded' if records else 'enforcing'}, {others} changed"
            result = Pass(bench, records, others).run(reloads // 4)
            report.record("reloads under load", title, result)
            missing = "-" if result["missing"] is None else f"{result['missing']:,}"
            rows.append([title, result["reloads"], f"{result['median']:.0f}", f"{result['longest']:.0f}", f"{result['sent']:,}",
                         f"{result['lost']:,}", f"{result['leaked']:,}", missing])
    report.table(["reloads under load", "reloads", "median, ms", "longest, ms", "flows a stream", "allowed, lost", "denied, leaked",
                  "decisions missing"], rows)


def run(bench, report, options):
    one_rule(bench, report, options)
    lossless(bench, report, options)
