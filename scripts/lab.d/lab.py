"""The running lab as the demonstrations see it: machines, probes, the policy's answers and the flow logs."""

import concurrent.futures
import datetime
import json
import os
import pathlib
import subprocess
import time

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent
FOLDER = pathlib.Path(os.environ["NSGD_LAB_RUN"])


class LabError(Exception):
    """The lab cannot be driven; as against a disagreement, which is a result."""


class Machine:
    def __init__(self, name, address, device):
        self.name = name
        self.address = address
        self.device = device

    def command(self, *arguments):
        return [str(SCRIPTS / "lab"), "run", self.name, *arguments]


def machines():
    lines = (SCRIPTS / "lab.d" / "machines").read_text().splitlines()
    return {fields[0]: Machine(*fields) for fields in (line.split() for line in lines if not line.startswith("#"))}


# --- nsgctl

def nsgctl(*arguments, input=None, check=True):
    command = [str(SCRIPTS / "lab"), "ctl", *arguments]
    result = subprocess.run(command, input=input, capture_output=True, text=True)
    if check and result.returncode != 0:
        raise LabError(f"nsgctl {' '.join(arguments)}: exit status {result.returncode}: "
                       f"{(result.stderr or result.stdout).strip()}")
    return result


def checkpoints(source, destination):
    """The (NIC, direction) pairs where a packet between two machines is judged, in order.

    A machine's own link is judged whoever is at the other end, the gateway included. The gateway's network card is its link
    to the internet, so it judges what crosses that and nothing else.
    """
    places = []
    if source.name not in ("internet", "gateway"):
        places.append((source.name, "Outbound"))
    if destination.name == "internet":
        places.append(("gateway", "Outbound"))
    if source.name == "internet":
        places.append(("gateway", "Inbound"))
    if destination.name not in ("internet", "gateway"):
        places.append((destination.name, "Inbound"))
    return places


class Answer:
    """What the policy says about a flow, from IP flow verify at each checkpoint on its way."""

    def __init__(self, places, replies):
        self.steps = list(zip(places, replies))
        denying = [step for step in self.steps if step[1]["access"] == "Deny"]
        judging = [step for step in self.steps if step[1]["stages"]]
        self.access = "Deny" if denying else "Allow"
        # A flow ends at the first checkpoint that denies; an allowed one is decided by the last that has a group.
        decisive = denying[:1] or judging[-1:]
        self.place, self.reply = decisive[0] if decisive else (None, None)

    @property
    def stage(self):
        """The entry of `stages` that decided."""
        if self.reply is None:
            return None
        stages = self.reply["stages"]
        return next((stage for stage in stages if stage["access"] == "Deny"), stages[-1])

    @property
    def rule(self):
        if self.reply is None:
            return "no group on the way"
        nic, direction = self.place
        group = self.stage["networkSecurityGroup"].rsplit("/", 1)[-1]
        name = self.stage["ruleName"].split("/", 1)[-1]
        return f"{nic} {direction.removesuffix('bound').lower()}: {group}/{name}"


def answers(flows):
    """The policy's answer to each (source, destination, protocol, port), all in one call."""
    questions = []
    for source, destination, protocol, port in flows:
        for nic, direction in checkpoints(source, destination):
            near = (source.address, "*")
            far = (destination.address, port)
            local, remote = (near, far) if direction == "Outbound" else (far, near)
            questions.append({"nic": nic, "direction": direction, "protocol": protocol,
                              "local": endpoint(local, protocol), "remote": endpoint(remote, protocol)})
    text = "".join(json.dumps(question) + "\n" for question in questions)
    lines = nsgctl("verify", "--batch", "-", "-o", "json", input=text).stdout.splitlines()
    if len(lines) != len(questions):
        raise LabError(f"nsgctl verify --batch answered {len(lines)} of {len(questions)} questions")
    replies = iter(lines)
    result = []
    for source, destination, _, _ in flows:
        places = checkpoints(source, destination)
        result.append(Answer(places, [reply(next(replies)) for _ in places]))
    return result


def endpoint(side, protocol):
    address, port = side
    return address if protocol == "ICMP" else f"{address}:{port}"


def reply(line):
    value = json.loads(line)
    if "error" in value:
        raise LabError(f"nsgctl verify: {value['error']}")
    return value


# --- Packets

def observe(probes):
    """Runs probes ({"machine", "protocol", "destination", "port"}) on their machines at once; adds the outcome to each."""
    waiting = {}
    for number, probe in enumerate(probes):
        probe["id"] = number
        waiting.setdefault(probe["machine"], []).append(probe)
    known = machines()

    def drive(name):
        lines = "".join(json.dumps(probe) + "\n" for probe in waiting[name])
        command = known[name].command(str(SCRIPTS / "lab-probe"), "agent")
        result = subprocess.run(command, input=lines, capture_output=True, text=True)
        if result.returncode != 0:
            raise LabError(f"lab-probe on {name}: {result.stderr.strip()}")
        return [json.loads(line) for line in result.stdout.splitlines()]

    with concurrent.futures.ThreadPoolExecutor(max_workers=len(waiting) or 1) as pool:
        for results in pool.map(drive, waiting):
            for result in results:
                probes[result["id"]].update(result)
    return probes


# --- Flow logs

def tuple_of(record):
    """Protocol, source, source port, destination, destination port; ICMP has no ports."""
    ports = (record.get("sourcePort"), record.get("destinationPort"))
    if record["protocol"] == "ICMP":
        ports = (None, None)
    return record["protocol"], record["source"], ports[0], record["destination"], ports[1]


def seconds(record):
    """Its time, since 1970."""
    return datetime.datetime.fromisoformat(record["time"].replace("Z", "+00:00")).timestamp()


class FlowLogs:
    """Decisions of `flows.jsonl` and tuples of the NSG flow logs, by 5-tuple. `read` takes what was written since."""

    def __init__(self, folder):
        self.folder = folder
        self.decisions = {}
        self.tuples = {}
        self.position = 0
        self.files = {}
        self.read()
        # What is there already belongs to earlier flows, which may have had the same ports. Only refused pings stay for a
        # minute: they all have one 5-tuple, and its refusals within a minute are one record.
        recent = time.time() - 60
        self.decisions = {key: records for key, records in self.decisions.items()
                          if key[0] == "ICMP" and records[-1]["access"] == "Deny" and seconds(records[-1]) > recent}
        self.tuples.clear()

    def read(self):
        self.read_lines()
        for path in self.folder.glob("insights-logs-networksecuritygroupflowevent/**/PT1H.json"):
            self.read_group_log(path)

    def read_lines(self):
        path = self.folder / "flows.jsonl"
        if not path.exists():
            return
        with path.open("rb") as file:
            file.seek(self.position)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # still being written
                self.position += len(line)
                record = json.loads(line)
                if record["event"] == "decision":
                    self.decisions.setdefault(tuple_of(record), []).append(record)

    def read_group_log(self, path):
        try:
            records = json.loads(path.read_text())["records"]
        except ValueError as error:
            raise LabError(f"{path} is not valid JSON: {error}") from error
        seen = self.files.get(path, 0)
        self.files[path] = len(records)
        for record in records[seen:]:
            for group in record["properties"]["flows"]:
                for flow in group["flows"]:
                    for text in flow["flowTuples"]:
                        self.add_tuple(record["resourceId"], group["rule"], text)

    def add_tuple(self, resource, rule, text):
        _, source, destination, source_port, destination_port, protocol = text.split(",")[:6]
        key = ({"T": "TCP", "U": "UDP"}[protocol], source, int(source_port), destination, int(destination_port))
        self.tuples.setdefault(key, []).append((resource.rsplit("/", 1)[-1].lower(), rule, text))


def wait_until(condition, seconds):
    """Polls until the condition holds; what it gave last."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result or time.monotonic() > deadline:
            return result
        time.sleep(0.1)
