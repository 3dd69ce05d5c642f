"""Every machine to every other: what the policy says, what real packets do, and what the flow logs tell of it.

Exit status 0 when all three agree on every flow, 1 when they do not.
"""

import argparse
import json
import sys
import time

import lab

# What is tried, in order. The servers of every machine answer on all of them.
SERVICES = [("TCP", 80), ("TCP", 443), ("TCP", 22), ("TCP", 23), ("UDP", 514), ("UDP", 5060)]
DATABASE = [("TCP", 1433), ("UDP", 1433), ("TCP", 80), ("TCP", 22), ("UDP", 514)]
PING = ("ICMP", None)
# Flow records are written once an interval (5 s in Config/lab) and settle a little later.
LOG_DEADLINE = 30


class Row:
    """One flow, and the three accounts of it."""

    def __init__(self, source, destination, service, answer):
        self.source = source
        self.destination = destination
        self.protocol, self.port = service
        self.answer = answer
        self.probe = {"machine": source.name, "protocol": self.protocol, "source": source.address,
                      "destination": destination.address, "port": self.port or 0}
        self.record = None
        self.tuple = None

    @property
    def key(self):
        ports = (None, None) if self.protocol == "ICMP" else (self.probe["sourcePort"], self.port)
        return self.protocol, self.source.address, ports[0], self.destination.address, ports[1]

    @property
    def pair(self):
        return self.source.name, self.destination.name

    @property
    def packets(self):
        """`passed`, `blocked`, or what else happened. What the gateway itself sends is dropped before its eyes."""
        outcome = self.probe.get("outcome", "not tried")
        return {"answered": "passed", "silence": "blocked", "dropped": "blocked"}.get(outcome, outcome)

    def find_records(self, logs):
        """Looks for the records of the decision, at the checkpoint and by the rule that the policy names."""
        if self.answer.place is None:
            return
        stage = self.answer.stage
        if self.record is None:
            self.record = next((record for record in logs.decisions.get(self.key, []) if self.is_told_by(record)), None)
        if self.tuple is None and self.wants_tuple:
            group = stage["networkSecurityGroup"].rsplit("/", 1)[-1].lower()
            rule = stage["ruleName"].replace("defaultSecurityRules/", "DefaultRule_").replace("securityRules/", "UserRule_")
            access = self.answer.access[0]
            direction = self.answer.place[1][0]
            for name, logged, text in logs.tuples.get(self.key, []):
                if name == group and logged == rule and text.split(",")[6:9] == [direction, access, "B"]:
                    self.tuple = text

    def is_told_by(self, record):
        nic, direction = self.answer.place
        if record["nic"].rsplit("/", 1)[-1] != nic or record["direction"] != direction:
            return False
        if record["access"] != self.answer.access:
            return False
        told = [(stage["level"], stage["ruleName"], stage["access"]) for stage in record["stages"]]
        asked = [(stage["level"], stage["ruleName"], stage["access"]) for stage in self.answer.reply["stages"]]
        return told == asked

    @property
    def wants_tuple(self):
        """Azure's NSG flow logs hold TCP and UDP, and only what a group decided."""
        return self.answer.place is not None and self.protocol in ("TCP", "UDP")

    @property
    def is_logged(self):
        if self.answer.place is None:
            return True
        return self.record is not None and (self.tuple is not None or not self.wants_tuple)

    @property
    def disagreements(self):
        found = []
        if self.packets != {"Allow": "passed", "Deny": "blocked"}[self.answer.access]:
            error = f" ({self.probe['error']})" if "error" in self.probe else ""
            found.append(f"policy says {self.answer.access}, packets say {self.packets}{error}")
        if self.answer.place is not None and self.record is None:
            found.append("flows.jsonl has no record that says so")
        if self.wants_tuple and self.tuple is None:
            found.append("the NSG flow log has no tuple that says so")
        return found


def services_to(destination):
    return DATABASE if destination.name == "db1" else SERVICES


def rows():
    """For each pair of machines: a TCP service that is allowed, one that is not, one over UDP, and ping."""
    known = list(lab.machines().values())
    pairs = [(source, destination) for source in known for destination in known if source is not destination]
    flows = [(source, destination, *service) for source, destination in pairs
             for service in [*services_to(destination), PING]]
    answers = iter(lab.answers(flows))
    for source, destination in pairs:
        offers = [Row(source, destination, service, next(answers)) for service in [*services_to(destination), PING]]
        tcp = [row for row in offers if row.protocol == "TCP"]
        udp = [row for row in offers if row.protocol == "UDP"]
        chosen = [next((row for row in tcp if row.answer.access == access), None) for access in ("Allow", "Deny")]
        # Over UDP, turn about: both answers should be seen, and which services differ depends on the pair.
        denied = [row for row in udp if row.answer.access == "Deny"]
        chosen.append(denied[0] if denied else udp[0])
        chosen.append(offers[-1])
        yield from (row for row in chosen if row is not None)


def cells(row):
    service = "ping" if row.protocol == "ICMP" else f"{row.protocol.lower()} {row.port}"
    return [row.source.name, row.destination.name, service, row.answer.access, row.packets, row.answer.rule, told(row),
            "ok" if not row.disagreements else "DISAGREE"]


def told(row):
    """The flow record, short: the tuple of the NSG flow log, or of flows.jsonl what that log leaves out."""
    if row.tuple is not None:
        return row.tuple
    if row.record is not None:
        record = row.record
        return f"{record['time']} {record['protocol']} {record['direction']} {record['access']} {record['state']}"
    return "-" if row.answer.place is None else "none"


TITLES = ["from", "to", "service", "policy", "packets", "deciding rule", "flow log", ""]


def print_table(table):
    lines = [TITLES, *map(cells, table)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(TITLES))]
    previous = None
    for line in lines:
        if line[0] != previous and previous is not None:
            print()
        previous = line[0]
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())


def print_in_full(row):
    """All three accounts of one flow, as nsgctl and the logs have them."""
    nic, direction = row.answer.place
    print(f"\nOne of them in full: {row.source.name} to {row.destination.name}, {row.protocol} {row.port}\n")
    print(f"  nsgctl verify --nic {nic} --direction {direction} --protocol {row.protocol} "
          f"--local {row.destination.address}:{row.port} --remote {row.source.address}:*")
    for stage in row.answer.reply["stages"]:
        group = stage["networkSecurityGroup"].rsplit("/", 1)[-1]
        written = f"  ({stage['file']})" if "file" in stage else ""
        print(f"    {stage['level']:<7} {group:<18} {stage['ruleName']:<36} {stage['access']}{written}")
    print(f"  packets    {row.packets} ({row.probe['outcome']} after {row.probe['seconds']} s)")
    print(f"  flows.jsonl\n    {json.dumps(row.record)}")
    print(f"  NSG flow log\n    {row.tuple}")


def print_summary(table, seconds):
    counts = {}
    for row in table:
        key = (row.protocol, row.answer.access)
        counts[key] = counts.get(key, 0) + 1
    parts = [f"{protocol} {counts.get((protocol, 'Allow'), 0)} allowed {counts.get((protocol, 'Deny'), 0)} denied"
             for protocol in ("TCP", "UDP", "ICMP")]
    logged = sum(row.record is not None for row in table)
    tuples = sum(row.tuple is not None for row in table)
    wrong = [row for row in table if row.disagreements]
    print(f"\n{len(table)} flows in {seconds:.1f} s: {'; '.join(parts)}.")
    print(f"{logged} told by flows.jsonl, {tuples} by NSG flow logs; "
          f"{sum(row.answer.place is None for row in table)} met no group.")
    print(f"Policy, packets and logs agree on {len(table) - len(wrong)} of {len(table)}.")
    for row in wrong:
        name = " ".join(cells(row)[:3])
        print(f"  {name}: {'; '.join(row.disagreements)} (expected {row.answer.rule}; {row.key})")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brief", action="store_true", help="print only the summary")
    arguments = parser.parse_args()
    began = time.monotonic()
    logs = lab.FlowLogs(lab.FOLDER / "logs")
    table = list(rows())
    lab.observe([row.probe for row in table])

    def everything_is_logged():
        logs.read()
        for row in table:
            row.find_records(logs)
        return all(row.is_logged for row in table)

    lab.wait_until(everything_is_logged, LOG_DEADLINE)
    if not arguments.brief:
        print_table(table)
        # The subnet's group allows it, and yet it does not pass.
        for row in table:
            if row.pair == ("internet", "vm1") and (row.protocol, row.port) == ("TCP", 443):
                print_in_full(row)
    print_summary(table, time.monotonic() - began)
    sys.exit(1 if any(row.disagreements for row in table) else 0)


if __name__ == "__main__":
    try:
        main()
    except lab.LabError as error:
        sys.exit(f"matrix: {error}")
