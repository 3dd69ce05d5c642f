"""The same policy as people write it for nftables, and for iptables with ipset: a rule for each security rule."""

import policy
from policy import DEFAULT_RULES, port_text


# --- nftables

def nft_set(values):
    return values[0] if len(values) == 1 else "{ " + ", ".join(values) + " }"


def nft_rule(rule):
    parts = []
    if rule.sources is not None:
        parts.append("ip saddr " + nft_set([str(source) for source in rule.sources]))
    if rule.destinations is not None:
        parts.append("ip daddr " + nft_set([str(destination) for destination in rule.destinations]))
    protocol = rule.protocol.lower()
    if rule.ports is not None:
        ports = nft_set([port_text(pair) for pair in rule.ports])
        parts.append(f"meta l4proto {{ tcp, udp }} th dport {ports}" if protocol == "*" else f"{protocol} dport {ports}")
    elif protocol != "*":
        parts.append(f"meta l4proto {protocol}")
    parts.append("return" if rule.allows else "drop")
    return " ".join(parts)


def nft_list(policies):
    """The whole table, with a pair of chains for each interface."""
    lines = ["table ip bench {"]
    for number, each in enumerate(policies):
        for level, rules in zip(("subnet", "nic"), each.groups):
            lines += [f"chain {level}{number} {{", *map(nft_rule, rules + DEFAULT_RULES), "}"]
    lines += ["chain forward {", "type filter hook forward priority 0; policy accept;", "ct state established,related accept"]
    for number in range(len(policies)):
        lines += [f'oifname "{policy.device(number)}" jump {level}{number}' for level in ("subnet", "nic")]
    return "\n".join([*lines, "}", "}"]) + "\n"


def in_parts(table, size=100):
    """The same table for several calls of nft: the chains, then so many rules at a time."""
    lines = table.splitlines()
    chains, rules, chain = [lines[0]], [], None
    for line in lines[1:-1]:
        if line.startswith("chain "):
            chain = line.split()[1]
            chains.append(line)
        elif line == "}" or line.startswith("type "):
            chains.append(line)
        else:
            rules.append(f"add rule ip bench {chain} {line}")
    yield "\n".join([*chains, "}"]) + "\n"
    for first in range(0, len(rules), size):
        yield "\n".join(rules[first:first + size]) + "\n"


def nft_conntrack_only():
    return """table ip bench {
chain forward { type filter hook forward priority 0; policy accept; ct state established,related accept; ct state new accept; }
}
"""


# --- iptables

def iptables_rules(chain, number, rule):
    """One security rule, which takes two where its protocol is any and it has ports; and the set that it needs, or none."""
    match, made = [], []
    if rule.sources is not None and len(rule.sources) > 1:
        name = f"{chain}-{number}"
        made = [f"create {name} hash:net family inet"] + [f"add {name} {source}" for source in rule.sources]
        match.append(f"-m set --match-set {name} src")
    elif rule.sources is not None:
        match.append(f"-s {rule.sources[0]}")
    if rule.destinations is not None:
        match.append(f"-d {rule.destinations[0]}")
    target = "RETURN" if rule.allows else "DROP"
    if rule.ports is None:
        protocols = [[]] if rule.protocol == "*" else [[f"-p {rule.protocol.lower()}"]]
    else:
        ports = ",".join(port_text(pair).replace("-", ":") for pair in rule.ports)
        names = ["tcp", "udp"] if rule.protocol == "*" else [rule.protocol.lower()]
        protocols = [[f"-p {name}", f"-m multiport --dports {ports}" if "," in ports else f"-m {name} --dport {ports}"]
                     for name in names]
    return [" ".join([f"-A {chain}", *match, *protocol, f"-j {target}"]) for protocol in protocols], made


def iptables_list(policies):
    """Input for iptables-restore, and for ipset restore."""
    chains, rules, sets = [], [], []
    for number, each in enumerate(policies):
        for level, group in zip(("subnet", "nic"), each.groups):
            chain = f"{level}{number}"
            chains.append(f":{chain} - [0:0]")
            for index, rule in enumerate(group + DEFAULT_RULES):
                written, made = iptables_rules(chain, index, rule)
                rules += written
                sets += made
    jumps = ["-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"]
    jumps += [f"-A FORWARD -o {policy.device(number)} -j {level}{number}"
              for number in range(len(policies)) for level in ("subnet", "nic")]
    text = "\n".join(["*filter", ":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]",
                      *chains, *jumps, *rules, "COMMIT"]) + "\n"
    return text, "\n".join(sets) + "\n"
