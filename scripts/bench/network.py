"""Network namespaces: a client, a router and a server, with a link from each end to the router. Names are of this run alone."""

import contextlib
import ctypes
import os
import subprocess

import policy

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


class BenchError(Exception):
    """The measurement cannot go on."""


def call(command, **options):
    """Runs a command to its end, and gives its output."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if result.returncode:
        raise BenchError(f"{' '.join(command[:8])}: exit status {result.returncode}: {result.stderr.strip()[-400:]}")
    return result.stdout


def prepare():
    """Namespaces get names in a /run of our own, so that nothing outside can clash with them."""
    call(["mount", "-t", "tmpfs", "tmpfs", "/run"])
    os.mkdir("/run/netns")
    call(["ip", "link", "set", "lo", "up"])


class Trio:
    """A client, a router, and a server with the address `policy.SERVER`; `others` more devices of the router lead to the server
    as well. Addresses of links are known beforehand, so that nobody has to ask for them in the middle of a measurement."""

    def __init__(self, name, others=0):
        self.client, self.router, self.server = (f"{name}-{role}" for role in ("client", "router", "server"))
        for namespace in (self.client, self.router, self.server):
            call(["ip", "netns", "add", namespace])
        call(["ip", "-batch", "-"], input=self.links(others))
        call(["ip", "-n", self.client, "-batch", "-"], input=f"""
            link set lo up
            link set up0 up
            address add 192.0.2.2/30 dev up0
            neighbor add 192.0.2.1 lladdr 02:00:00:00:00:01 dev up0 nud permanent
            route add default via 192.0.2.1
            route add local {policy.CLIENTS} dev lo""")
        call(["ip", "-n", self.router, "-batch", "-"], input=f"""
            link set lo up
            link set client up
            address add 192.0.2.1/30 dev client
            neighbor add 192.0.2.2 lladdr 02:00:00:00:00:02 dev client nud permanent
            route add default via 192.0.2.2
            link set {policy.device(0)} up
            address add 10.1.0.1/24 dev {policy.device(0)}
            neighbor add {policy.SERVER} lladdr 02:00:00:00:00:04 dev {policy.device(0)} nud permanent""")
        call(["ip", "-n", self.server, "-batch", "-"], input=f"""
            link set lo up
            link set up0 up
            address add {policy.SERVER}/24 dev up0
            neighbor add 10.1.0.1 lladdr 02:00:00:00:00:03 dev up0 nud permanent
            route add default via 10.1.0.1""")
        self.set(self.router, "net/ipv4/ip_forward", 1)
        for scope in ("all", "default", "client", policy.device(0)):
            self.set(self.router, f"net/ipv4/conf/{scope}/rp_filter", 0)
        for namespace in (self.client, self.server):
            self.set(namespace, "net/core/somaxconn", 65_535)
            self.set(namespace, "net/ipv4/tcp_max_syn_backlog", 65_535)

    def links(self, others):
        lines = [f"link add up0 address 02:00:00:00:00:02 netns {self.client} type veth "
                 f"peer name client address 02:00:00:00:00:01 netns {self.router}",
                 f"link add up0 address 02:00:00:00:00:04 netns {self.server} type veth "
                 f"peer name {policy.device(0)} address 02:00:00:00:00:03 netns {self.router}"]
        lines += [f"link add up{number} netns {self.server} type veth "
                  f"peer name {policy.device(number)} netns {self.router}" for number in range(1, others + 1)]
        return "\n".join(lines)

    def command(self, namespace, *arguments):
        """A command inside, which ends with this process."""
        return ["nsenter", f"--net=/run/netns/{namespace}", "setpriv", "--pdeathsig", "KILL", *arguments]

    def run(self, namespace, *arguments, **options):
        return call(self.command(namespace, *arguments), **options)

    def set(self, namespace, name, value):
        with self.inside(namespace), open(f"/proc/sys/{name}", "w", encoding="ascii") as file:
            file.write(str(value))

    @contextlib.contextmanager
    def inside(self, namespace):
        """Sockets opened meanwhile belong to the namespace, and stay there."""
        with open("/proc/thread-self/ns/net", encoding="ascii") as before:
            with open(f"/run/netns/{namespace}", encoding="ascii") as wanted:
                enter(wanted)
            try:
                yield
            finally:
                enter(before)

    def forwarded(self):
        """Packets that came to the router from the client so far, and those that it sent on to the server."""
        # Of this thread's namespace; /proc/net is that of the process.
        with self.inside(self.router), open("/proc/thread-self/net/dev", encoding="ascii") as file:
            lines = {name.strip(): counts.split() for name, _, counts in (line.partition(":") for line in file)}
        return int(lines["client"][1]), int(lines[policy.device(0)][9])

    def remove(self):
        """Ends the namespaces, once their processes have ended."""
        for namespace in (self.client, self.router, self.server):
            call(["ip", "netns", "delete", namespace])

    def flush(self):
        """Forgets all connections. The table cannot be made larger in a namespace, so it is emptied between measurements."""
        self.run(self.router, "conntrack", "--flush")


def enter(namespace):
    if LIBC.setns(namespace.fileno(), CLONE_NEWNET):
        raise BenchError(f"setns: {os.strerror(ctypes.get_errno())}")
