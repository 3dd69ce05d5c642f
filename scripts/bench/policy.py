"""The policy that is measured: a list of security rules for a subnet's group and one for a network interface's.

The same seed gives the same rules. The rules are given as Azure's documents for nsgd, and as values from which the peers' rules
are written; `Policy.decide` is the reference that everything is checked against before it is measured.
"""

import bisect
import ipaddress
import json
import random

SERVER = "10.1.0.4"
NETWORK = "10.1.0.0/16"
# The benchmark range of RFC 2544: where the traffic comes from. No rule before the late ones matches it.
CLIENTS = "198.18.0.0/16"
# Ports of the traffic: the late rules allow 40000 to 40009. 40012 is denied by a late rule of its own, or allowed: the decision
# that a reload changes. 40020 is denied by DenyAllInBound.
CONNECT, STREAM = 40001, 40002
DATAGRAM, STAMPED, STEADY = 40001, 40002, 40003
SWITCHED, DENIED = 40012, 40020
COMMON_PORTS = [53, 123, 161, 443, 514, 1433, 1812, 3306, 5060, 5432, 8080, 8443]
# Where `Policy.spread` and `Policy.unmatched` send to; somebody listens at each of them.
SPREAD_PORTS = [*COMMON_PORTS, DATAGRAM, SWITCHED, DENIED]
# Priorities of one direction go from 100 to 4096.
MOST_RULES = 3_997


class Rule:
    """One inbound rule. `sources` and `destinations` are networks, or None for any; `ports` are pairs, or None."""

    def __init__(self, name, priority, allows, protocol, sources, destinations, ports):
        self.name, self.priority, self.allows, self.protocol = name, priority, allows, protocol
        self.sources, self.destinations, self.ports = sources, destinations, ports
        self.source_bounds = bounds(sources)
        self.destination_bounds = bounds(destinations)

    def matches(self, protocol, source, destination, port):
        """Addresses are numbers, the protocol is Tcp or Udp."""
        return (self.protocol in ("*", protocol) and within(self.source_bounds, source)
                and within(self.destination_bounds, destination) and within(self.ports, port))

    def document(self):
        def side(name, networks):
            if networks is None:
                return {f"{name}AddressPrefix": "*"}
            return {f"{name}AddressPrefixes": [str(network) for network in networks]}

        ports = {"destinationPortRange": "*"}
        if self.ports is not None:
            ports = {"destinationPortRanges": [port_text(pair) for pair in self.ports]}
        return {
            "name": self.name,
            "properties": {
                "priority": self.priority, "direction": "Inbound", "access": "Allow" if self.allows else "Deny",
                "protocol": self.protocol, "sourcePortRange": "*", **ports,
                **side("source", self.sources), **side("destination", self.destinations),
            },
        }


def bounds(networks):
    if networks is None:
        return None
    return [(int(network.network_address), int(network.broadcast_address)) for network in networks]


def within(pairs, value):
    return pairs is None or any(low <= value <= high for low, high in pairs)


def port_text(pair):
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}-{pair[1]}"


def network(text):
    return ipaddress.ip_network(text)


def subnet(machine):
    return f"10.1.{machine}.0/24"


def address(machine):
    """The only address of a machine; that of the first one is SERVER."""
    return f"10.1.{machine}.4"


# What Azure adds behind the written rules, where a packet comes in.
DEFAULT_RULES = [
    Rule("AllowVnetInBound", 65000, True, "*", [network(NETWORK)], [network(NETWORK)], None),
    Rule("AllowAzureLoadBalancerInBound", 65001, True, "*", [network("168.63.129.16/32")], None, None),
    Rule("DenyAllInBound", 65500, False, "*", None, None, None),
]


class Generator:
    """Rules as people write them: Tcp, Udp and any; single ports, ranges and lists; 1 to 20 sources; Allow and Deny.

    Those with destinations name the subnet of their own machine, its address, or a few addresses around it. A rule for another
    machine could be left out by whoever compiles the list for this one, and a benchmark is not to be won by that."""

    def __init__(self, seed, count, machine=0):
        self.random = random.Random(seed)
        self.subnet, self.address = subnet(machine), address(machine)
        self.pool = [self.prefix() for _ in range(max(20, count))]

    def prefix(self):
        first = self.random.choice([13, 20, 40, 52, 104, 137, 151, 172, 191, 203])
        length = self.random.choices([32, 28, 26, 24, 20, 16], [30, 10, 10, 30, 12, 8])[0]
        address = first << 24 | self.random.randrange(1 << 24)
        return ipaddress.ip_network((address, length), strict=False)

    def sources(self):
        kind = self.random.random()
        if kind < 0.03:
            return None
        count = 1 if kind < 0.4 else self.random.randint(2, 20)
        chosen = self.random.sample(self.pool, count)
        if self.random.random() < 0.05:
            chosen[0] = network(self.random.choice(["198.18.0.0/15", "198.18.0.0/16", "198.18.64.0/18"]))
        return sorted(ipaddress.collapse_addresses(chosen))

    def one_port(self):
        if self.random.random() < 0.5:
            return self.random.choice(COMMON_PORTS)
        return self.random.randint(1, 32_000)

    def port_range(self):
        first = self.random.choice([1_024, 5_000, 8_000, 20_000, 50_000]) + self.random.randrange(2_000)
        return first, first + self.random.choice([1, 9, 99, 999])

    def ports(self, sources):
        kind = self.random.random()
        if kind < 0.05 and not reaches_clients(sources):
            return None
        if kind < 0.55:
            port = self.one_port()
            return [(port, port)]
        if kind < 0.8:
            return [self.port_range()]
        drawn = [self.port_range() if self.random.random() < 0.25 else (port := self.one_port(), port)
                 for _ in range(self.random.randint(2, 5))]
        return merged(drawn)

    def destinations(self):
        kind = self.random.random()
        if kind < 0.8:
            return None
        if kind < 0.9:
            return [network(self.subnet)]
        return [ipaddress.ip_network((self.address, 32 if kind < 0.95 else 29), strict=False)]

    def rule(self, name, priority):
        sources = self.sources()
        return Rule(name, priority, self.random.random() < 0.7, self.random.choices(["Tcp", "Udp", "*"], [60, 25, 15])[0],
                    sources, self.destinations(), self.ports(sources))

    def late(self, name, priority, allows, protocol, ports):
        chosen = self.random.sample(self.pool, 19) + [network(CLIENTS)]
        return Rule(name, priority, allows, protocol, sorted(ipaddress.collapse_addresses(chosen)), None, ports)

    def group(self, count, switched_allows=False):
        """So many rules; the last but two allow the traffic. Another `switched_allows` changes one rule and nothing else."""
        count = min(count, MOST_RULES)
        step = MOST_RULES // count
        rules = [self.rule(f"rule{index}", 100 + index * step) for index in range(count - 4)]
        late = [("late-tcp", True, "Tcp", [(40000, 40009)]), ("late-udp", True, "Udp", [(40000, 40009)]),
                ("switched", switched_allows, "Udp", [(SWITCHED, SWITCHED)]), ("last", False, "Tcp", [(40030, 40031)])]
        rules += [self.late(name, 100 + (count - 4 + index) * step, allows, protocol, ports)
                  for index, (name, allows, protocol, ports) in enumerate(late)]
        return rules


def reaches_clients(sources):
    return sources is None or any(source.overlaps(network(CLIENTS)) for source in sources)


def merged(pairs):
    """Disjoint and in order."""
    result = []
    for low, high in sorted(pairs):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return result


class Policy:
    """The groups of one interface: the subnet's, which is asked first, and the interface's own."""

    def __init__(self, count, seed=1, switched_allows=False, machine=0):
        self.count, self.machine = min(count, MOST_RULES), machine
        self.generator = Generator(seed, self.count, machine)
        self.groups = [self.generator.group(self.count, switched_allows), self.generator.group(self.count, True)]

    def reaching(self):
        """Of each group, how many rules can match a packet to the machine: those whose destinations hold its address."""
        own = int(ipaddress.ip_address(address(self.machine)))
        return [sum(within(rule.destination_bounds, own) for rule in group) for group in self.groups]

    def decide(self, protocol, source, port, groups=None):
        """Whether a new flow to the server is allowed by both groups, or by these, and the names of the deciding rules."""
        names, destination = [], int(ipaddress.ip_address(SERVER))
        for group in groups or self.groups:
            rule = next(rule for rule in group + DEFAULT_RULES if rule.matches(protocol, source, destination, port))
            names.append(rule.name)
            if not rule.allows:
                return False, names
        return True, names

    def mix(self, most=64):
        """Sources and ports of datagrams that many different rules allow: (network, bits of it that vary, port)."""
        found = {}
        for prefix in self.generator.pool[:400]:
            for port in COMMON_PORTS:
                allowed, names = self.decide("Udp", int(prefix.network_address), port)
                last, _ = self.decide("Udp", int(prefix.broadcast_address), port)
                if allowed and last:
                    found.setdefault(tuple(names), (prefix.network_address, min(16, 32 - prefix.prefixlen), port))
            if len(found) >= most:
                break
        return list(found.values())

    def spread(self, count, seed=11):
        """Sources and ports of datagrams that both groups allow: random addresses of all prefixes that rules name, as far as one
        of SPREAD_PORTS is open to them. (address, port), and in how many ways (pairs of rules) they are allowed."""
        columns = {port: Column(self, port) for port in SPREAD_PORTS}
        drawn, ways = [], set()
        for source, port in candidates(self.generator.pool, count, seed, strangers=0):
            allowed, names = columns[port].decide(source)
            if allowed:
                drawn.append((source, port))
                ways.add(tuple(names))
                if len(drawn) == count:
                    break
        return drawn, len(ways)

    def unmatched(self, count, seed=13):
        """Sources and ports of datagrams that no written rule of either group matches, so that DenyAllInBound decides: half of
        the addresses from prefixes that rules name, for other ports; half from anywhere. (address, port)."""
        columns = [{port: Column(self, port, [group]) for port in SPREAD_PORTS} for group in self.groups]
        drawn = []
        for source, port in candidates(self.generator.pool, count, seed, strangers=0.5):
            if all(column[port].decide(source)[1] == [DEFAULT_RULES[-1].name] for column in columns):
                drawn.append((source, port))
                if len(drawn) == count:
                    break
        return drawn


class Column:
    """`Policy.decide` of Udp to one port, for many sources: asked once for all between which no rule makes a difference."""

    def __init__(self, policy, port, groups=None):
        server = int(ipaddress.ip_address(SERVER))
        self.policy, self.port = policy, port
        self.groups = [[rule for rule in group if rule.protocol in ("*", "Udp") and within(rule.ports, port)
                        and within(rule.destination_bounds, server)] for group in groups or policy.groups]
        edges = {0}
        for rule in [*(rule for group in self.groups for rule in group), *DEFAULT_RULES]:
            edges.update(edge for low, high in rule.source_bounds or [] for edge in (low, high + 1))
        self.edges, self.known = sorted(edges), {}

    def decide(self, source):
        index = bisect.bisect(self.edges, source) - 1
        if index not in self.known:
            self.known[index] = self.policy.decide("Udp", source, self.port, self.groups)
        return self.known[index]


def candidates(prefixes, count, seed, strangers):
    """Random sources, this part of them from anywhere and the others from the prefixes, each with one of SPREAD_PORTS. Many more
    than `count`, and yet not without end, as there may be too few that fit."""
    source = random.Random(seed)
    for _ in range(200 * count):
        if source.random() < strangers:
            address = source.randrange(1 << 32)
        else:
            prefix = source.choice(prefixes)
            address = int(prefix.network_address) + source.randrange(prefix.num_addresses)
        if is_routed(address):
            yield address, source.choice(SPREAD_PORTS)


def is_routed(address):
    """Whether routers and hosts take packets from it that come in from outside, and it is none of the benchmark's own."""
    return 0x01000000 <= address < 0xe0000000 and address >> 24 not in (10, 127) and address >> 16 not in (0xa9fe, 0xc000)


def group_document(name, rules):
    return {"name": name, "properties": {"securityRules": [rule.document() for rule in rules]}}


class Estate:
    """Interfaces, each with a subnet, a subnet's group and a group of its own. The first is the server's."""

    def __init__(self, policies):
        self.policies = policies

    def files(self):
        """Documents by the name of their file in policy.d: one file for each group, one for what they belong to."""
        files, subnets, interfaces = {}, [], []
        for number, policy in enumerate(self.policies):
            for level, rules in zip(("subnet", "nic"), policy.groups):
                files[f"{level}{number}.json"] = {"networkSecurityGroups": [group_document(f"{level}{number}", rules)]}
            subnets.append({"name": f"s{number}", "properties": {
                "addressPrefix": subnet(number), "networkSecurityGroup": f"subnet{number}"}})
            interfaces.append({"name": f"vm{number}", "properties": {
                "networkSecurityGroup": f"nic{number}",
                "ipConfigurations": [{"name": "a", "properties": {
                    "privateIPAddress": address(number), "subnet": f"bench/s{number}"}}]}})
        files["network.json"] = {
            "virtualNetworks": [{"name": "bench", "properties": {
                "addressSpace": {"addressPrefixes": [NETWORK]}, "subnets": subnets}}],
            "networkInterfaces": interfaces,
        }
        return files

    def bindings(self):
        return {"networkInterfaces": {
            f"vm{number}": {"interface": device(number), "attachment": "guest"} for number in range(len(self.policies))}}

    def write(self, folder, records):
        """Lays `folder` out like /etc/nsgd."""
        (folder / "policy.d").mkdir(parents=True, exist_ok=True)
        for name, document in self.files().items():
            write(folder / "policy.d" / name, document)
        write(folder / "bindings.json", self.bindings())
        limits = {"securityRulesPerGroup": 10_000, "addressesOrPortsPerGroup": 1_000_000}
        write(folder / "nsgd.json", {"limits": limits, "flowLogs": {"enabled": records}})


def device(number):
    """The router's end of the link to a machine."""
    return f"server{number}"


def write(path, document):
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
