"""Decisions recorded per second: everything at once, and the highest steady rate that the daemon keeps up with."""

import time

import policy
from firewalls import started
from network import Trio
from traffic import Traffic

BURST = 100_000
# Refused packets, one after the other as fast as the sender can, however many the daemon keeps up with.
FLOOD = 1_000_000
STEPS = [10_000, 20_000, 30_000, 40_000, 60_000, 80_000, 120_000, 160_000, 200_000]
SECONDS = 8
# What the daemon may need for the last decisions, after sending has ended.
GRACE = 0.5
# Of flows of one datagram, in seconds. The connection table holds 262,144 and must not fill up, and flows that end are work, too.
FLOW_TIMEOUT = 1

EXPLANATION = """\
2 x 10 rules, flow logs as they are by default. Burst: up to {burst:,} new flows as fast as the sender can, which the daemon
works up afterwards; its rate is the sender's. Sustained: the highest rate at which no backlog is left, of {steps} a second for
{seconds} s each: {grace} s after sending ended, every decision had been recorded. Recorded is what nsgd has logged, "in time"
by then, "in the end" once it has stopped doing so; "never" is the rest of what was sent. The processor's time is nsgd's, as a
share of one core, while sending went on; per 100,000 until all is done.
Allow brings conntrack events as well, as each flow begins and ends ({timeout} s after its datagram); Deny does not."""


class Result:
    """What one stream came to. `in_time` of the decisions were recorded GRACE after its end, `logged` in the end; `used` is
    processor time, in seconds, while it was sent, and `used_in_all` until all was worked up. `arrived` at the server."""

    def __init__(self, sent, seconds):
        self.sent, self.seconds = sent, seconds
        self.arrived = None
        self.in_time = self.logged = self.used = self.used_in_all = 0

    @property
    def rate(self):
        return self.sent / self.seconds

    @property
    def is_sustained(self):
        return self.in_time >= self.sent

    def row(self, title):
        return [title, f"{self.rate:,.0f}", f"{self.sent:,}", f"{self.in_time:,}", f"{self.logged:,}",
                f"{self.sent - self.logged:,}", f"{self.used / self.seconds:.0%}", f"{self.used_in_all / max(1, self.logged) * 100_000:.2f} s"]

    def values(self):
        return {"rate": self.rate, "sent": self.sent, "arrived": self.arrived, "in time": self.in_time, "logged": self.logged,
                "seconds": self.seconds, "processor seconds": self.used, "processor seconds in all": self.used_in_all}


class Recording:
    def __init__(self, bench):
        self.trio = Trio("decisions")
        self.daemon = started(bench, self.trio, [bench.policy(10)], True)
        self.trio.set(self.trio.router, "net/netfilter/nf_conntrack_udp_timeout", FLOW_TIMEOUT)
        self.traffic = Traffic(self.trio, bench.traffic)

    def burst(self, port):
        return self.measured(lambda: self.traffic.client.ask("udp-new", 2, BURST, port))

    def flood(self):
        """What was sent, and what `nsgctl log verify` says of it once it is over: the rule's counter, records and gaps."""
        sent = 0
        while sent < FLOOD:
            sent += self.traffic.client.ask("udp-new", 2, BURST, policy.DENIED)["sent"]
        self.daemon.settled_decisions()
        return sent, self.daemon.log_proof()

    def steady(self, rate, port):
        def send():
            self.traffic.client.write("udp-paced", rate, port)
            time.sleep(SECONDS)
            return self.traffic.stop_paced()
        return self.measured(send)

    def measured(self, send):
        logged, _ = self.daemon.decisions()
        ticks = self.daemon.ticks()
        self.traffic.server.ask("reset")
        answer = send()
        deadline = time.monotonic() + GRACE
        result = Result(answer["sent"], answer["seconds"])
        result.used = (self.daemon.ticks() - ticks) / 100
        while result.in_time < result.sent:
            now = self.daemon.decisions()[0] - logged
            if time.monotonic() > deadline:
                break
            result.in_time = now
            time.sleep(0.02)
        result.logged = self.daemon.settled_decisions()[0] - logged
        result.arrived = self.traffic.arrived("udp/")
        self.trio.flush()
        # What ended is worked up, too.
        self.daemon.settle()
        result.used_in_all = (self.daemon.ticks() - ticks) / 100
        return result

    def stop(self):
        self.traffic.close()
        self.daemon.stop()
        self.trio.remove()


def run(bench, report, options):
    report.title("Decisions recorded")
    steps = STEPS[::2] if options.quick else STEPS
    report.line(EXPLANATION.format(burst=BURST, steps=", ".join(f"{step:,}" for step in steps), seconds=SECONDS, grace=GRACE,
                                   timeout=FLOW_TIMEOUT) + "\n")
    recording = Recording(bench)
    rows = []

    def tell(title, result):
        rows.append(result.row(title))
        report.record("decisions", title, result.values())

    try:
        for access, port in (("Allow", policy.DATAGRAM), ("Deny", policy.DENIED)):
            tell(f"burst, {access}", recording.burst(port))
            best = failed = None
            name = f"sustained, {access}"
            for step in steps:
                result = recording.steady(step, port)
                if not result.is_sustained:
                    failed = result
                    break
                best = result
                if result.rate < step * 0.9:
                    name += " (the sender's limit)"
                    break
            if best:
                tell(name, best)
            if failed:
                tell(f"not {name}", failed)
                if access == "Allow" and failed.arrived < failed.sent * 0.999:
                    report.line(f"Of the {failed.sent:,} datagrams of \"not {name}\" {failed.arrived:,} arrived: the connection "
                                "table was full, or the receiver too slow.\n")
        logged, missing = recording.daemon.decisions()
        sent, proof = recording.flood()
    finally:
        recording.stop()
    report.table(["decisions", "a second", "sent", "recorded in time", "in the end", "never", "processor, of a core",
                  "processor time per 100,000"], rows)
    report.line(f"nsgd itself tells of {logged:,} recorded and {missing:,} missing by now; it compares with the kernel's counters "
                "once a minute.\n")
    refusing = [line for line in proof if line["access"] == "Deny"]
    total = {key: sum(line[key] for line in refusing) for key in ("counted", "recorded", "missing", "excess")}
    undeclared = total["counted"] + total["excess"] - total["recorded"] - total["missing"]
    report.record("decisions", "flood", {"sent": sent, "undeclared": undeclared, **total})
    report.line(f"Then {sent:,} refused packets as fast as they come. By `nsgctl log verify` the rules that refuse have counted "
                f"{total['counted']:,} in all; records tell of {total['recorded']:,}, gaps declare {total['missing']:,} missing, and "
                f"{undeclared:,} are neither.")
