"""The policy that is measured: a list of security rules for a subnet's group and one for a network interface's.

The same seed gives the same rules. The rules are given as Azure's documents for nsgd, and as values from which the peers' rules
are written; `Policy.decide` is the reference that everything is checked against before it is measured.
"""

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


# What Azure adds behind the written rules, where a packet comes in.
DEFAULT_RULES = [
    Rule("AllowVnetInBound", 65000, True, "*", [network(NETWORK)], [network(NETWORK)], None),
    Rule("AllowAzureLoadBalancerInBound", 65001, True, "*", [network("168.63.129.16/32")], None, None),
    Rule("DenyAllInBound", 65500, False, "*", None, None, None),
]


class Generator:
    """Rules as people write them: Tcp, Udp and any; single ports, ranges and lists; 1 to 20 sources; Allow and Deny."""

    def __init__(self, seed, count):
        self.random = random.Random(seed)
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
        return [network("10.1.0.0/24" if kind < 0.9 else f"{SERVER}/32" if kind < 0.95 else "10.1.0.5/32")]

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

    def __init__(self, count, seed=1, switched_allows=False):
        self.count = min(count, MOST_RULES)
        self.generator = Generator(seed, self.count)
        self.groups = [self.generator.group(self.count, switched_allows), self.generator.group(self.count, True)]

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
                "addressPrefix": f"10.1.{number}.0/24", "networkSecurityGroup": f"subnet{number}"}})
            interfaces.append({"name": f"vm{number}", "properties": {
                "networkSecurityGroup": f"nic{number}",
                "ipConfigurations": [{"name": "a", "properties": {
                    "privateIPAddress": f"10.1.{number}.4", "subnet": f"bench/s{number}"}}]}})
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
