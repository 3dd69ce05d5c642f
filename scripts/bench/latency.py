"""How long the first packet of a flow takes."""

from report import median

SAMPLES = {"UDP, µs": 400, "TCP, µs": 250}

EXPLANATION = """\
UDP: from sending the first datagram of a flow to its arrival at the server's device, as the kernel stamps it. TCP: how long connect
takes, from SYN to SYN-ACK. Each number is the median of {rounds} interleaved rounds, each of them the median of {udp} datagrams or
{tcp} connections; ratios to conntrack only, in the same round."""


def microseconds(value):
    return "-" if value is None else f"{value:.1f}"


def measures():
    udp, tcp = SAMPLES.values()
    return {
        "UDP, µs": lambda firewall: in_microseconds(firewall.traffic.first_datagrams(udp)),
        "TCP, µs": lambda firewall: in_microseconds(firewall.traffic.first_answers(tcp)),
    }


def in_microseconds(samples):
    value = median(samples)
    return None if value is None else value / 1_000


def run(lineup, rounds):
    report = lineup.report
    udp, tcp = SAMPLES.values()
    report.title("First packet")
    report.line(EXPLANATION.format(rounds=rounds, udp=udp, tcp=tcp))
    values = lineup.measure(measures(), rounds)
    report.line("")
    lineup.table("first packet", values, measures(), microseconds)
