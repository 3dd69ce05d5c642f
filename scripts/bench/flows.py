"""New flows per second, and packets of flows that go on."""

from report import rate

# What one measurement lasts, in seconds. Short, so that what else the machine does falls on all alike, and since the connection
# table must not fill up (262,144 by default).
SHORT = 0.12
MOST_FLOWS = 100_000

EXPLANATION = """\
TCP: connect, accept, close with RST, one after the other, counted where they are accepted. UDP: each datagram from another address
and port, counted by the receiver. Both match a late rule of both groups, the worst case of a list. Mix: datagrams that up to 64
different rules allow. One-way: datagrams of one UDP flow that is never answered. Medians of {rounds} interleaved rounds per second;
ratios to conntrack only, in the same round."""


def measures(bench):
    file = f"{bench.folder}/mix"
    with open(file, "w", encoding="ascii") as lines:
        lines.writelines(f"{address} {bits} {port}\n" for address, bits, port in bench.policy(1_000).mix())

    def mixed(firewall):
        if firewall.rules not in (None, 1_000):
            return None
        return firewall.traffic.mixed_flows(SHORT, file, MOST_FLOWS)

    return {
        "new TCP/s": lambda firewall: firewall.traffic.new_connections(SHORT),
        "new UDP/s": lambda firewall: firewall.traffic.new_flows(SHORT, MOST_FLOWS),
        "mixed UDP/s": mixed,
        "one-way UDP/s": lambda firewall: firewall.traffic.one_way(SHORT),
    }


def run(lineup, rounds):
    report = lineup.report
    report.title("New flows")
    report.line(EXPLANATION.format(rounds=rounds))
    chosen = measures(lineup.bench)
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
