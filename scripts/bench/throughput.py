"""What flows that are established get through."""

from report import rate

SHORT = 0.15
STREAMS = 4

EXPLANATION = """\
TCP: {streams} streams, bytes counted at the server. UDP: datagrams of 16 bytes of one flow that was answered, as many as arrive.
Medians of {rounds} interleaved rounds; ratios to conntrack only, in the same round."""

MEASURES = {
    "TCP": lambda firewall: firewall.traffic.stream(SHORT, STREAMS),
    "UDP/s": lambda firewall: firewall.traffic.established(SHORT),
}


def run(lineup, rounds):
    report = lineup.report
    report.title("Established flows")
    report.line(EXPLANATION.format(streams=STREAMS, rounds=rounds))
    values = lineup.measure(MEASURES, rounds)
    report.line("")
    lineup.table("established", values, MEASURES, rate)
