"""Decisions recorded per second: everything at once, and the highest steady rate without a gap."""

import time

import policy
from firewalls import started
from network import Trio
from traffic import Traffic

BURST = 100_000
STEPS = [10_000, 20_000, 40_000, 60_000, 80_000, 120_000, 160_000, 200_000]
SECONDS = 3

EXPLANATION = """\
2 x 10 rules, flow logs as they are by default. Burst: up to {burst:,} new flows as fast as the sender can. Sustained: the highest
rate, for {seconds} s each, at which every decision was recorded, of {steps} a second.
Allow brings conntrack events as well, Deny does not. Recorded counts what nsgd has logged, once it has stopped doing so; missing
what it knows by then to have missed: it compares with the kernel's counters once a minute."""


class Recording:
    def __init__(self, bench):
        self.trio = Trio("decisions")
        self.daemon = started(bench, self.trio, [bench.policy(10)], True)
        self.traffic = Traffic(self.trio, bench.traffic)

    def burst(self, port):
        before = self.daemon.decisions()
        answer = self.traffic.client.ask("udp-new", 2, BURST, port)
        return answer["sent"], answer["seconds"], *self.told(before)

    def steady(self, rate, port):
        before = self.daemon.decisions()
        ticks = self.daemon.ticks()
        # The connection table holds 262,144, and must not fill up.
        seconds = SECONDS if port == policy.DENIED else min(SECONDS, 200_000 / rate)
        self.traffic.client.write("udp-paced", rate, port)
        time.sleep(seconds)
        answer = self.traffic.stop_paced()
        logged, missing = self.told(before)
        return answer["sent"], answer["seconds"], logged, missing, (self.daemon.ticks() - ticks) / 100

    def told(self, before):
        """Recorded and missing since `before`."""
        after = self.daemon.settled_decisions()
        self.trio.flush()
        # What ended is worked up, too.
        self.daemon.settle()
        return after[0] - before[0], after[1] - before[1]

    def stop(self):
        self.traffic.close()
        self.daemon.stop()
        self.trio.remove()


def run(bench, report, options):
    report.title("Decisions recorded")
    report.line(EXPLANATION.format(burst=BURST, steps=", ".join(f"{step:,}" for step in STEPS), seconds=SECONDS) + "\n")
    recording = Recording(bench)
    rows = []
    try:
        for access, port in (("Allow", policy.DATAGRAM), ("Deny", policy.DENIED)):
            sent, seconds, logged, missing = recording.burst(port)
            row = [f"burst, {access}", f"{sent / seconds:,.0f}", f"{sent:,}", f"{logged:,}", f"{missing:,}", ""]
            rows.append(row)
            report.record("decisions", row[0], {"rate": sent / seconds, "sent": sent, "logged": logged, "missing": missing})
            best = None
            for step in STEPS[::2] if options.quick else STEPS:
                sent, seconds, logged, missing, used = recording.steady(step, port)
                if missing or logged < sent:
                    break
                if sent / seconds < step * 0.9:  # the sender's limit
                    best = [sent, seconds, logged, missing, used]
                    break
                best = [sent, seconds, logged, missing, used]
            if best:
                sent, seconds, logged, missing, used = best
                rows.append([f"sustained, {access}", f"{sent / seconds:,.0f}", f"{sent:,}", f"{logged:,}", f"{missing:,}",
                             f"{used / logged * 100_000:.2f} s"])
                report.record("decisions", rows[-1][0], {"rate": sent / seconds, "processor seconds": used})
            else:
                rows.append([f"sustained, {access}", f"less than {STEPS[0]:,}", "", "", "", ""])
    finally:
        recording.stop()
    report.table(["decisions", "a second", "sent", "recorded", "missing", "processor time per 100,000"], rows)
