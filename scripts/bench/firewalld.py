"""firewalld with a message bus of its own, in a router's namespace.

It holds one list, not two: a firewalld policy's accept is final, so a packet cannot be asked of a subnet's and of an interface's
group. It gets the interface's group alone, which is half of what the others have.
"""

import os
import pathlib
import subprocess
import time

import policy
from network import BenchError, call
from policy import DEFAULT_RULES, port_text

DEADLINE = 120

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
 <type>system</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
 <policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
  <allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
  <allow receive_type="method_call"/><allow receive_type="signal"/><allow receive_type="method_return"/>
  <allow receive_type="error"/></policy>
</busconfig>
"""
SETTINGS = "DefaultZone=public\nCleanupOnExit=no\nLockdown=no\nIPv6_rpfilter=no\nLogDenied=off\nFirewallBackend=nftables\n"


def rich_rules(number, rule):
    """One rich rule for each protocol and port, and the sources as a set of addresses where there are several."""
    sides, sets = "", {}
    if rule.sources is not None and len(rule.sources) > 1:
        sets[f"bench{number}"] = rule.sources
        sides = f'<source ipset="bench{number}"/>'
    elif rule.sources is not None:
        sides = f'<source address="{rule.sources[0]}"/>'
    if rule.destinations is not None:
        sides += f'<destination address="{rule.destinations[0]}"/>'
    protocols = ["tcp", "udp"] if rule.protocol == "*" else [rule.protocol.lower()]
    if rule.ports is not None:
        elements = [f'<port port="{port_text(pair)}" protocol="{name}"/>' for name in protocols for pair in rule.ports]
    else:
        elements = [""] if rule.protocol == "*" else [f'<protocol value="{protocols[0]}"/>']
    verdict = "<accept/>" if rule.allows else "<drop/>"
    return [f'<rule family="ipv4" priority="{number - 30_000}">{sides}{element}{verdict}</rule>' for element in elements], sets


class Firewalld:
    """One firewalld, on the router of a trio."""

    def __init__(self, folder, trio, rules):
        self.folder, self.trio = pathlib.Path(folder), trio
        self.processes = []
        self.write(rules)
        self.environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.folder}/bus"}

    def write(self, rules):
        for name in ("zones", "policies", "ipsets"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "bus.conf").write_text(BUS.format(path=self.folder / "bus"))
        (self.folder / "firewalld.conf").write_text(SETTINGS)
        for zone, device in (("outside", "client"), ("inside", policy.device(0))):
            (self.folder / f"zones/{zone}.xml").write_text(f'<zone><interface name="{device}"/></zone>')
        lines = []
        # DenyAllInBound is the policy's target.
        for number, rule in enumerate(rules + DEFAULT_RULES[:-1]):
            written, sets = rich_rules(number, rule)
            lines += written
            for name, sources in sets.items():
                entries = "".join(f"<entry>{source}</entry>" for source in sources)
                (self.folder / f"ipsets/{name}.xml").write_text(f'<ipset type="hash:net">{entries}</ipset>')
        (self.folder / "policies/bench.xml").write_text(
            '<policy target="DROP" priority="-1"><ingress-zone name="outside"/><egress-zone name="inside"/>'
            + "\n".join(lines) + "</policy>")

    def spawn(self, *command):
        with open(self.folder / "output", "a", encoding="utf-8") as output:
            self.processes.append(subprocess.Popen(
                self.trio.command(self.trio.router, *command), env=self.environment, stdout=output, stderr=output))

    def start(self):
        """Seconds from the start of its process until it says that it is running."""
        self.spawn("dbus-daemon", f"--config-file={self.folder}/bus.conf", "--nofork")
        deadline = time.monotonic() + DEADLINE
        while not (self.folder / "bus").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        started = time.monotonic()
        self.spawn("firewalld", "--nofork", "--nopid", "--system-config", str(self.folder), "--log-target", "console")
        while time.monotonic() < deadline and self.processes[-1].poll() is None:
            try:
                self.command("--state")
                return time.monotonic() - started
            except BenchError:
                time.sleep(0.05)
        tail = (self.folder / "output").read_text(encoding="utf-8")[-300:].replace("\n", " ")
        raise BenchError(f"firewalld does not run: {tail}")

    def command(self, *arguments):
        """Seconds that firewall-cmd took."""
        before = time.monotonic()
        call(["firewall-cmd", *arguments], env=self.environment)
        return time.monotonic() - before

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
            process.wait(20)
