"""Checks that a configuration decides as the reference says, before it is measured: probes of Tcp and Udp that no firewall has
seen before, each told by a number it carries."""

import ipaddress
import random
import select
import socket
import struct
import time

import policy
from network import BenchError

DEADLINE = 5
FIRST_PORT = 1_024


class Probe:
    def __init__(self, number, protocol, source, port, expected):
        self.number, self.protocol, self.source, self.port, self.expected = number, protocol, source, port, expected

    def packet(self):
        server = int(ipaddress.ip_address(policy.SERVER))
        source_port = FIRST_PORT + self.number % 60_000
        if self.protocol == "Udp":
            body = struct.pack("!HHHHQ", source_port, self.port, 16, 0, self.number)
        else:
            body = struct.pack("!HHIIBBHHH", source_port, self.port, self.number, 0, 0x50, 0x02, 1_000, 0, 0)
            pseudo = struct.pack("!IIBBH", self.source, server, 0, socket.IPPROTO_TCP, len(body))
            body = body[:16] + struct.pack("!H", checksum(pseudo + body)) + body[18:]
        protocol = socket.IPPROTO_UDP if self.protocol == "Udp" else socket.IPPROTO_TCP
        return struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0, self.source, server) + body

    def __str__(self):
        return f"{self.protocol} from {ipaddress.ip_address(self.source)} to port {self.port}"


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def number_in(packet):
    """The number of a probe, from the IP packet that arrived."""
    header = (packet[0] & 0x0f) * 4
    if packet[9] == socket.IPPROTO_UDP:
        return struct.unpack_from("!Q", packet, header + 8)[0] if len(packet) >= header + 16 else None
    return struct.unpack_from("!I", packet, header + 4)[0]


def chosen(policies, count, seed=7):
    """Near the edges of rules, where one rule may be taken for another; as many of them as possible are of written rules."""
    source = random.Random(seed)
    rules = [rule for group in policies.groups for rule in group]
    drawn = []
    for _ in range(count):
        rule = source.choice(rules)
        low, high = source.choice(rule.source_bounds or [(0x0b000001, 0xdf000000)])
        low_port, high_port = source.choice(rule.ports or [(1, 65_535)])
        address = source.choice([low, high, source.randint(low, high), low - 1, high + 1])
        port = source.choice([low_port, high_port, source.randint(low_port, high_port), low_port - 1, high_port + 1])
        protocol = rule.protocol if rule.protocol != "*" and source.random() < 0.9 else source.choice(["Tcp", "Udp"])
        drawn.append((protocol, address, min(max(port, 1), 65_535)))
    for network, _, port in policies.mix(count // 4):
        drawn.append(("Udp", int(network), port))
    # The same streams as `flows` sends, of which these are the first.
    for stream in (policies.spread(count // 6)[0], policies.unmatched(count // 6)):
        drawn += [("Udp", address, port) for address, port in stream]
    clients = int(ipaddress.ip_network(policy.CLIENTS).network_address)
    for protocol, port in [("Tcp", policy.CONNECT), ("Tcp", policy.STREAM), ("Udp", policy.DATAGRAM), ("Udp", policy.DENIED),
                           ("Udp", policy.SWITCHED), ("Tcp", policy.DENIED)]:
        drawn += [(protocol, clients + source.randrange(1 << 16), port) for _ in range(5)]
    # Addresses that a machine does not take from outside are none of the firewall's business.
    return [flow for flow in dict.fromkeys(drawn) if policy.is_routed(flow[1])]


def check(trio, flows, decide, number=0):
    """Sends a probe for each (protocol, source, port); raises where the answer differs from `decide`."""
    with trio.inside(trio.server):
        receivers = [socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
                     for protocol in (socket.IPPROTO_UDP, socket.IPPROTO_TCP)]
    with trio.inside(trio.client):
        sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for receiver in receivers:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    base = number * 100_000 + 1
    probes = {base + index: Probe(base + index, protocol, source, port, decide(protocol, source, port))
              for index, (protocol, source, port) in enumerate(flows)}
    client = int(ipaddress.ip_network(policy.CLIENTS).network_address) + 77
    # The last one is allowed by every configuration: when it has arrived, so have the others.
    last = Probe(base + len(flows), "Udp", client, policy.DATAGRAM, True)
    arrived = set()
    for probe in [*probes.values(), last]:
        sender.sendto(probe.packet(), (policy.SERVER, 0))
    deadline = time.monotonic() + DEADLINE
    while last.number not in arrived and time.monotonic() < deadline:
        for receiver in select.select(receivers, [], [], 0.1)[0]:
            arrived.add(number_in(receiver.recv(2_048)))
    while ready := select.select(receivers, [], [], 0.05)[0]:
        for receiver in ready:
            arrived.add(number_in(receiver.recv(2_048)))
    for open_socket in (*receivers, sender):
        open_socket.close()
    wrong = [probe for probe in probes.values() if (probe.number in arrived) != probe.expected]
    if last.number not in arrived or wrong:
        shown = "; ".join(f"{probe}: should be {'allowed' if probe.expected else 'denied'}" for probe in wrong[:3])
        raise BenchError(f"{len(wrong)} of {len(probes)} probes were misjudged: {shown or 'nothing arrives'}")
    return len(probes), sum(probe.expected for probe in probes.values())
