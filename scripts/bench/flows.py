"""New flows per second, and packets of flows that go on."""

import ipaddress

import policy
from report import rate

# What one measurement lasts, in seconds. Short, so that what else the machine does falls on all alike, and since the connection
# table must not fill up (262,144 by default).
SHORT = 0.12
MOST_FLOWS = 100_000

# Sources of the streams "spread" and "denied". One measurement sends to each of them a few times at most.
SOURCES = 32_768

EXPLANATION = """\
TCP: connect, accept, close with RST, one after the other, counted where they are accepted. UDP: each datagram from another
address and port, counted by the receiver. Both match a late rule of both groups, the worst case of a list; they come from one
/16, so that for a look-up of the source they are all alike. Mix: datagrams that up to 64 different rules allow. One-way:
datagrams of one UDP flow that is never answered. Medians of {rounds} interleaved rounds per second; ratios to conntrack only,
in the same round.
The rate of nsgd recorded is the kernel's, with the copies made and the daemon running: most of what the daemon does with them
falls after the {milliseconds:.0f} ms that a measurement lasts; how many decisions a second the daemon keeps up with is the part
`decisions`."""


SOURCES_EXPLANATION = """\
Spread: datagrams from {sources:,} random addresses of all prefixes that rules name, to {ports} ports; in the list of 1,000,
{ways} pairs of rules allow them. Denied: datagrams from as many addresses to the same ports, that no written rule matches, so
that DenyAllInBound decides, counted by the router's devices. Where there are no rules, the same datagrams are let through, and
counted by the receiver: the ratio can be more than 1. Both are measured with 1,000 rules and more, each list with a stream of
its own, and not with --quick."""


class Streams:
    """The files that describe the streams to the sender, written when they are first asked for."""

    def __init__(self, bench):
        self.bench, self.files = bench, {}

    def file(self, name, rules, lines):
        """`lines` gives an address, the number of its low bits that vary, and a port, for each flow by turns."""
        path = self.files.get((name, rules))
        if path is None:
            path = self.files[name, rules] = f"{self.bench.folder}/{name}{rules}"
            with open(path, "w", encoding="ascii") as file:
                file.writelines(f"{ipaddress.ip_address(source)} {bits} {port}\n" for source, bits, port in lines())
        return path

    def mix(self):
        return self.file("mix", 1_000, self.bench.policy(1_000).mix)

    def spread(self, rules):
        return self.file("spread", rules, lambda: addressed(self.bench.policy(rules).spread(SOURCES)[0]))

    def denied(self, rules):
        return self.file("denied", rules, lambda: addressed(self.bench.policy(rules).unmatched(SOURCES)))


def addressed(drawn):
    return [(source, 0, port) for source, port in drawn]


def measures(bench, quick):
    streams = Streams(bench)

    def mixed(firewall):
        if firewall.rules not in (None, 1_000):
            return None
        return firewall.traffic.mixed_flows(SHORT, streams.mix(), MOST_FLOWS)

    def spread(firewall):
        rules = firewall.rules or 1_000
        return firewall.traffic.mixed_flows(SHORT, streams.spread(rules), MOST_FLOWS) if rules >= 1_000 else None

    def denied(firewall):
        rules = firewall.rules or 1_000
        if rules < 1_000:
            return None
        send = firewall.traffic.refused_flows if firewall.rules else firewall.traffic.mixed_flows
        return send(SHORT, streams.denied(rules), MOST_FLOWS)

    sources = {} if quick else {"spread UDP/s": spread, "denied UDP/s": denied}
    return {
        "new TCP/s": lambda firewall: firewall.traffic.new_connections(SHORT),
        "new UDP/s": lambda firewall: firewall.traffic.new_flows(SHORT, MOST_FLOWS),
        "mixed UDP/s": mixed,
        **sources,
        "one-way UDP/s": lambda firewall: firewall.traffic.one_way(SHORT),
    }


def run(lineup, rounds):
    report = lineup.report
    report.title("New flows")
    report.line(EXPLANATION.format(rounds=rounds, milliseconds=SHORT * 1_000))
    if not lineup.quick:
        ways = lineup.bench.policy(1_000).spread(SOURCES)[1]
        report.line(SOURCES_EXPLANATION.format(sources=SOURCES, ports=len(policy.SPREAD_PORTS), ways=ways))
    chosen = measures(lineup.bench, lineup.quick)
    recorded = [firewall for firewall in lineup.running if firewall.kind == "nsgd recorded"]
    before = {firewall: (firewall.traffic.begun, *firewall.daemon.decisions()) for firewall in recorded}
    values = lineup.measure(chosen, rounds)
    report.line("")
    lineup.table("new flows", values, chosen, rate)
    for firewall in recorded:
        after = (firewall.traffic.begun, *firewall.daemon.settled_decisions())
        begun, logged, missing = (now - then for now, then in zip(after, before[firewall]))
        report.record("decisions of new flows", firewall.title, {"flows": begun, "logged": logged, "missing": missing})
        report.line(f"{firewall.title}: {begun:,} flows, {logged:,} decisions recorded, {missing:,} known to be missing")
