"""A rule is taken out while a connection that it allowed is open: the connection goes on, a new one is refused.

Works on the lab's copy of the policy, and puts the copy back at the end.
"""

import json
import subprocess
import sys

import lab

POLICY = lab.FOLDER / "config" / "policy.d" / "20-three-tier.json"
RULE = "Allow-HTTP-Inbound-Internet"


class Connection:
    """An open TCP connection from one machine to another."""

    def __init__(self, source, destination, port):
        command = source.command(str(lab.SCRIPTS / "lab-probe"), "hold", destination.address, str(port))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise lab.LabError("the connection could not be opened")
        return json.loads(line)["outcome"]

    def exchange(self):
        """Sends a line and waits for its echo."""
        self.process.stdin.write("still there?\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def without_rule(text, name):
    """The document without the object that has this name; its comments stay. Braces in our own texts pair up."""
    start = text.rindex("{", 0, text.index(f'"name": "{name}"'))
    depth, end = 0, start
    while True:
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
        if depth == 0:
            break
    return text[:start] + text[end:].removeprefix(",").lstrip()


class Demonstration:
    def __init__(self):
        machines = lab.machines()
        self.client = machines["internet"]
        self.server = machines["web1"]
        self.disagreements = 0

    def step(self, what, expected, happened):
        agrees = expected == happened
        self.disagreements += not agrees
        print(f"  {'ok' if agrees else 'DISAGREE':8}  {what}: {happened}" + ("" if agrees else f" (expected {expected})"))

    def policy(self, expected):
        answer, = lab.answers([(self.client, self.server, "TCP", 80)])
        self.step(f"policy for a new connection ({answer.rule})", expected, answer.access)

    def new_connection(self, expected):
        probe, = lab.observe([{"machine": self.client.name, "protocol": "TCP", "source": self.client.address,
                               "destination": self.server.address, "port": 80}])
        self.step("a new connection", expected, probe["outcome"])

    def run(self):
        text = POLICY.read_text()
        connection = Connection(self.client, self.server, 80)
        try:
            print(f"{self.client.name} to {self.server.name}, TCP 80, with the rule {RULE}:")
            self.step("the connection, open", "answered", connection.exchange())
            self.policy("Allow")

            POLICY.write_text(without_rule(text, RULE))
            print(f"The rule is taken out of {POLICY.name}; nsgctl reload:")
            lab.nsgctl("reload")
            self.policy("Deny")
            self.step("the connection, still open", "answered", connection.exchange())
            self.new_connection("silence")
        finally:
            POLICY.write_text(text)
            lab.nsgctl("reload")
        print("The rule is put back; nsgctl reload:")
        self.policy("Allow")
        self.step("the connection, still open", "answered", connection.exchange())
        self.new_connection("answered")
        connection.close()
        return self.disagreements


if __name__ == "__main__":
    try:
        sys.exit(1 if Demonstration().run() else 0)
    except lab.LabError as error:
        sys.exit(f"reload: {error}")
