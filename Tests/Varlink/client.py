#!/usr/bin/env python3
"""Calls methods with the varlink package from PyPI, as any program would.

Usage: client.py SOCKET. Standard input: one step a line, {"interface", "method", "parameters", "more": bool, "count": int,
"beside": [argument...]}; or {"run": [argument...]} between calls. With more, it takes so many replies and leaves; "beside" is run
again and again until they have come. Standard output: an answer a line, {"replies": [...], "messages": [...]} or {"error",
"parameters"}; "messages" are the parameters as they came, "replies" what the package made of them by the interface's types.
"""

import json
import subprocess
import sys
import threading

import varlink


class Handler(varlink.SimpleClientInterfaceHandler):
    """Keeps the parameters of each reply as they came."""

    messages = []

    def _next_varlink_message(self):
        parameters, more = super()._next_varlink_message()
        self.messages.append(json.loads(json.dumps(parameters)))
        return parameters, more


class Client(varlink.Client):
    handler = Handler


def call(client, step):
    with client.open(step["interface"]) as connection:
        # Opening asks for the interface, which is no reply to the step.
        connection.messages.clear()
        method = getattr(connection, step["method"])
        parameters = step.get("parameters", {})
        if not step.get("more"):
            return [method(**parameters)]
        replies = []
        done = threading.Event()
        if "beside" in step:
            threading.Thread(target=repeat, args=(step["beside"], done), daemon=True).start()
        try:
            for reply in method(**parameters, _more=True):
                replies.append(reply)
                if len(replies) == step.get("count", 1 << 30):
                    break
        finally:
            done.set()
        return replies


def repeat(arguments, done):
    while not done.wait(0.05):
        subprocess.run(arguments, check=False)


def answer(client, step):
    if "run" in step:
        subprocess.run(step["run"], check=True)
        return {}
    Handler.messages = []
    try:
        return {"replies": call(client, step), "messages": Handler.messages}
    except varlink.VarlinkError as error:
        return {"error": error.error(), "parameters": error.parameters()}
    except Exception as error:  # A reply that the package does not take, a connection that breaks.
        return {"error": repr(error), "parameters": {}}


def main():
    client = Client("unix:" + sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(answer(client, json.loads(line))), flush=True)


main()
