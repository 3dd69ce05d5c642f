"""Configurations side by side: started, checked by probes, and measured in turn, so that what disturbs one disturbs all."""

import statistics

import probes
from firewalls import (ConntrackOnly, ConntrackOnlyAgain, Enforcing, FirewalldList, Iptables, IptablesLegacy, NftList,
                       NoFilter, Recorded)
from network import BenchError
from report import median, ratio

# Where the second "conntrack only" is further from the first, the machine was too busy, and the run does not count.
NOISE = (0.92, 1.08)
ATTEMPTS = 3
SIZES = [10, 100, 1_000, 4_000]


def configurations(bench, quick):
    """In the order of the tables; the first is what all others are compared with."""
    firewalls = [ConntrackOnly(bench), ConntrackOnlyAgain(bench)]
    if quick:
        return firewalls + [kind(bench, rules) for kind in (Enforcing, Recorded) for rules in (10, 1_000)] + [
            NftList(bench, 1_000)]
    firewalls.append(NoFilter(bench))
    firewalls += [kind(bench, rules) for kind in (Enforcing, Recorded, NftList) for rules in SIZES]
    return firewalls + [kind(bench, rules) for kind in (Iptables, IptablesLegacy, FirewalldList) for rules in SIZES[:3]]


class Lineup:
    """All configurations that run here. `missing` says of the others why they do not."""

    def __init__(self, bench, report, firewalls, quick=False, number_of_probes=300):
        self.bench, self.report, self.quick = bench, report, quick
        self.running, self.missing = [], []
        for rules in dict.fromkeys(firewall.rules for firewall in firewalls if firewall.rules):
            total, reaching = 2 * bench.policy(rules).count, sum(bench.policy(rules).reaching())
            report.line(f"2 x {total // 2:,} rules: {reaching:,} of {total:,} have a destination that holds the server's address, "
                        "or none; the others can match no packet here")
            report.record("rules that can match packets to the server", f"{rules}", {"rules": total, "reaching": reaching})
        for number, firewall in enumerate(firewalls):
            try:
                firewall.start(number)
                sent, allowed = self.check(firewall, number, number_of_probes)
                report.line(f"{firewall.title}: {sent} probes, {allowed} of them allowed, all as expected")
                self.running.append(firewall)
            except BenchError as error:
                firewall.stop()
                self.missing.append((firewall, str(error)))
                report.line(f"{firewall.title}: not run: {error}")

        if not self.running or not isinstance(self.running[0], ConntrackOnly):
            raise BenchError("there is nothing to compare with: conntrack only does not run here")

    def check(self, firewall, number, count):
        """A configuration without a policy lets everything pass."""
        reference = self.bench.policy(firewall.rules or 10)
        flows = probes.chosen(reference, count)
        counts = probes.check(
            firewall.trio, flows, lambda *flow: firewall.rules is None or reference.decide(*flow, firewall.groups)[0], number)
        firewall.between()
        return counts

    def stop(self):
        for firewall in self.running:
            firewall.stop()

    def measure(self, measures, rounds):
        """`measures` are functions by name; each takes a firewall and gives a number. A list of numbers, one for each round, by
        the firewall and the name. Runs that are too noisy are repeated."""
        values = {firewall: {} for firewall in self.running}
        for name, measure in measures.items():
            for attempt in range(1, ATTEMPTS + 1):
                self.one_run(values, name, measure, rounds)
                noise = ratio_of(values, self.again, self.running[0], name)
                if NOISE[0] <= noise <= NOISE[1]:
                    self.report.line(f"{name}: conntrack only again is {ratio(noise)} of conntrack only")
                    break
                says = "it is repeated" if attempt < ATTEMPTS else "no better run was had: DO NOT USE these figures"
                self.report.line(f"{name}: run {attempt} does not count, as conntrack only again is {ratio(noise)} of "
                                 f"conntrack only; {says}")
        return values

    @property
    def again(self):
        return next(firewall for firewall in self.running if isinstance(firewall, ConntrackOnlyAgain))

    def one_run(self, values, name, measure, rounds):
        for firewall in self.running:
            values[firewall][name] = []
        for number in range(rounds + 1):
            shift = number % len(self.running)
            for firewall in self.running[shift:] + self.running[:shift]:
                value = measure(firewall)
                firewall.between()
                # The first round warms up what is allocated once.
                if number > 0:
                    values[firewall][name].append(value)

    def table(self, heading, values, measures, show):
        """Of each measure the median, and its ratio to conntrack only."""
        titles = [heading] + [part for name in measures for part in (name, "ratio")]
        rows = []
        for firewall in self.running:
            cells = [part for name in measures for part in (
                show(median(values[firewall][name])), ratio(ratio_of(values, firewall, self.running[0], name)))]
            rows.append([firewall.title, *cells])
            for name in measures:
                self.report.record(heading, f"{firewall.title}/{name}", {
                    "median": median(values[firewall][name]), "rounds": values[firewall][name],
                    "ratio": ratio_of(values, firewall, self.running[0], name)})
        for firewall, reason in self.missing:
            rows.append([firewall.title, f"not run: {reason.splitlines()[0]}"] + [""] * (2 * len(measures) - 1))
        self.report.table(titles, rows)


def ratio_of(values, firewall, base, name):
    """The median over the rounds of the ratio in one round: what slows a whole round down falls out."""
    pairs = zip(values[firewall][name], values[base][name])
    ratios = [value / other for value, other in pairs if value is not None and other]
    return statistics.median(ratios) if ratios else None
