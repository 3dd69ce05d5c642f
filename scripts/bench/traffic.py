"""The two ends of the traffic: a bench-traffic process in the client's namespace and one in the server's."""

import json
import os
import select
import subprocess

import policy
from network import BenchError

DEADLINE = 30


class End:
    """One process that does what it is told, a line at a time. Each end has a core of its own."""

    def __init__(self, command, core):
        cores = sorted(os.sched_getaffinity(0))
        chosen = {cores[core % len(cores)]}
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            preexec_fn=lambda: os.sched_setaffinity(0, chosen))
        self.received = b""
        self.read()

    def read(self):
        """The next answer."""
        output = self.process.stdout.fileno()
        while b"\n" not in self.received:
            if not select.select([output], [], [], DEADLINE)[0]:
                raise BenchError("bench-traffic does not answer")
            piece = os.read(output, 1 << 20)
            if not piece:
                raise BenchError("bench-traffic ended")
            self.received += piece
        line, _, self.received = self.received.partition(b"\n")
        answer = json.loads(line)
        if "error" in answer:
            raise BenchError(f"bench-traffic: {answer['error']}")
        return answer

    def write(self, *words):
        self.process.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, *words):
        self.write(*words)
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Traffic:
    """Both ends in the namespaces of a trio. Rates are per second, of what arrived at the server."""

    def __init__(self, trio, program):
        self.trio = trio
        ports = [policy.DATAGRAM, policy.STEADY, policy.SWITCHED, policy.DENIED, *policy.COMMON_PORTS]
        self.server = End(trio.command(trio.server, program, "serve", policy.SERVER, str(policy.CONNECT), str(policy.STREAM),
                                       str(policy.STAMPED), ",".join(map(str, ports))), 1)
        self.client = End(trio.command(trio.client, program, "send", policy.SERVER, policy.CLIENTS.split("/")[0]), 0)

        # Flows that were begun, each of which is a decision.
        self.begun = 0

    def close(self):
        self.client.close()
        self.server.close()

    def arrived(self, kind):
        """How many datagrams (`udp/`), connections (`tcp/`) or bytes (`bytes/`) arrived since the last reset."""
        return sum(count[0] for name, count in self.server.ask("counts").items() if name.startswith(kind))

    def rate(self, kind, *command):
        self.server.ask("reset")
        answer = self.client.ask(*command)
        self.begun += answer["sent"] if command[0] in ("tcp-new", "udp-new", "udp-mix") else 1
        return self.arrived(kind) / answer["seconds"]

    def new_connections(self, seconds, most=60_000):
        return self.rate("tcp/", "tcp-new", seconds, most, policy.CONNECT)

    def new_flows(self, seconds, most=180_000):
        return self.rate("udp/", "udp-new", seconds, most, policy.DATAGRAM)

    def mixed_flows(self, seconds, file, most=180_000):
        return self.rate("udp/", "udp-mix", seconds, most, file)

    def refused_flows(self, seconds, file, most):
        """Datagrams that the router takes from the client a second and does not send on; all of them, or it is an error."""
        before = self.trio.forwarded()
        self.server.ask("reset")
        answer = self.client.ask("udp-mix", seconds, most, file)
        self.begun += answer["sent"]
        passed = self.arrived("udp/")
        received, sent_on = (now - then for now, then in zip(self.trio.forwarded(), before))
        # Neighbours and multicast groups are asked for now and then.
        if passed or sent_on > 20 or abs(received - answer["sent"]) > 20:
            raise BenchError(f"of {answer['sent']} datagrams that are denied {received} came to the router, "
                             f"{sent_on} were sent on, and {passed} arrived")
        return (received - sent_on) / answer["seconds"]

    def one_way(self, seconds):
        return self.rate("udp/", "udp-same", seconds, policy.DATAGRAM)

    def established(self, seconds):
        return self.rate("udp/", "udp-established", seconds, policy.DATAGRAM)

    def stream(self, seconds, streams=4):
        return self.rate("bytes/", "tcp-stream", seconds, streams, policy.STREAM)

    def stop_paced(self):
        """Ends `udp-paced`, which goes on until the next command; its answer."""
        self.client.write("reset")
        answer = self.client.read()
        self.client.read()
        if answer["refused"]:
            raise BenchError(f"the sender could not send {answer['refused']} datagrams")
        return answer

    def first_datagrams(self, count):
        """Nanoseconds from sending to arrival at the server's device, of datagrams that each begin a flow."""
        self.server.ask("stamps", "on")
        self.client.ask("udp-stamped", count, policy.STAMPED)
        return self.server.ask("stamps", "off")["nanoseconds"]

    def first_answers(self, count):
        """Nanoseconds from SYN to SYN-ACK."""
        return self.client.ask("tcp-stamped", count, policy.CONNECT)["nanoseconds"]
