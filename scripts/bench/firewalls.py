"""What stands between client and server: each configuration has namespaces and traffic of its own, loaded once."""

import pathlib
import shutil
import tempfile

import peers
from daemon import Daemon
from firewalld import Firewalld
from network import BenchError, Trio
from policy import Estate, Policy
from traffic import Traffic


class Firewall:
    """One configuration. `rules` is the number in each of the two groups, None where there is no policy."""

    kind = ""
    rules = None
    program = None

    def __init__(self, bench):
        self.bench = bench
        self.trio = self.traffic = None

    @property
    def title(self):
        return self.kind if self.rules is None else f"{self.kind}, {self.rules:,}"

    def start(self, number):
        """Makes the namespaces and loads the rules. Raises BenchError where this machine cannot."""
        if self.program and not shutil.which(self.program):
            raise BenchError(f"{self.program} is not installed")
        self.trio = Trio(f"n{number}")
        self.load()
        self.traffic = Traffic(self.trio, self.bench.traffic)

    def load(self):
        pass

    def between(self):
        """After each measurement."""
        self.trio.flush()

    def stop(self):
        if self.traffic:
            self.traffic.close()


class NoFilter(Firewall):
    kind = "no filter"

    def between(self):
        pass


class ConntrackOnly(Firewall):
    kind = "conntrack only"
    program = "nft"

    def load(self):
        self.trio.run(self.trio.router, "nft", "-f", "-", input=peers.nft_conntrack_only())


class ConntrackOnlyAgain(ConntrackOnly):
    kind = "conntrack only, again"


class WithPolicy(Firewall):
    """A configuration that enforces `policy`."""

    def __init__(self, bench, rules):
        super().__init__(bench)
        self.rules = rules

    @property
    def policy(self):
        return self.bench.policy(self.rules)

    @property
    def groups(self):
        """The groups that it enforces."""
        return self.policy.groups


class NftList(WithPolicy):
    kind = "nft list"
    program = "nft"

    def load(self):
        text = peers.nft_list([self.policy])
        try:
            self.trio.run(self.trio.router, "nft", "-f", "-", input=text)
        except BenchError as error:
            # Without root, nft cannot make its send buffer as large as a transaction of that size needs.
            if "Message too long" not in str(error):
                raise
            for part in peers.in_parts(text):
                self.trio.run(self.trio.router, "nft", "-f", "-", input=part)


class Iptables(WithPolicy):
    """`iptables-restore` and `ipset restore`."""

    kind = "iptables-nft + ipset"
    program = "iptables-nft-restore"

    def load(self):
        if not shutil.which("ipset"):
            raise BenchError("ipset is not installed")
        rules, sets = peers.iptables_list([self.policy])
        self.trio.run(self.trio.router, "ipset", "restore", input=sets)
        # The lock of iptables-legacy lies in /run, which is ours; -w waits for it all the same.
        self.trio.run(self.trio.router, self.program, "-w", input=rules)


class IptablesLegacy(Iptables):
    kind = "iptables-legacy + ipset"
    program = "iptables-legacy-restore"


class FirewalldList(WithPolicy):
    """firewalld with the interface's group alone; see firewalld.py."""

    kind = "firewalld (one group)"
    program = "firewalld"

    def __init__(self, bench, rules):
        super().__init__(bench, rules)
        self.firewalld = None

    @property
    def groups(self):
        return self.policy.groups[1:]

    def load(self):
        if not shutil.which("dbus-daemon"):
            raise BenchError("dbus-daemon is not installed")
        folder = f"{self.bench.folder}/firewalld-{self.trio.router}"
        self.firewalld = Firewalld(folder, self.trio, self.policy.groups[1])
        self.firewalld.start()

    def stop(self):
        super().stop()
        if self.firewalld:
            self.firewalld.stop()


class Enforcing(WithPolicy):
    """nsgd without flow logs: no decision is copied to it, and it follows no connection. Labels are written all the same, and
    connections are counted, since the kernel begins to count (`nf_conntrack_acct`) when a rule asks for `ct original packets`."""

    kind = "nsgd enforcing"
    records = False

    def __init__(self, bench, rules):
        super().__init__(bench, rules)
        self.daemon = None

    def load(self):
        self.daemon = started(self.bench, self.trio, [self.policy], self.records)

    def between(self):
        super().between()
        self.daemon.settle()

    def stop(self):
        super().stop()
        if self.daemon:
            self.daemon.stop()


class Recorded(Enforcing):
    """nsgd with flow logs, all of which are written."""

    kind = "nsgd recorded"
    records = True


def started(bench, trio, policies, records):
    """A daemon on the router that has the policies in force."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="nsgd-", dir=bench.folder))
    Estate(policies).write(folder / "config", records)
    # What Systemd/nsgd.sysctl.conf sets, which is for flow records. Without them it is left to the kernel, which switches
    # nf_conntrack_acct on when the rules are loaded.
    for name in ("acct", "timestamp"):
        trio.set(trio.router, f"net/netfilter/nf_conntrack_{name}", int(records))
    daemon = Daemon(bench.programs, folder, trio.command(trio.router))
    daemon.start()
    return daemon


class Bench:
    """What all configurations of a run share."""

    def __init__(self, programs, traffic, folder):
        self.programs, self.traffic, self.folder = programs, traffic, folder
        self.policies = {}

    def policy(self, rules, seed=1, switched_allows=False, machine=0):
        key = (rules, seed, switched_allows, machine)
        if key not in self.policies:
            self.policies[key] = Policy(*key)
        return self.policies[key]
