"""Tables as they stand in docs/performance.md, and the same as JSON."""

import json
import os
import platform
import statistics
import subprocess
import time


def median(values):
    """None where nothing was measured."""
    measured = [value for value in values if value is not None]
    return statistics.median(measured) if measured else None


def machine(programs):
    """One line: what was measured on."""
    def version(*command):
        try:
            text = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        except FileNotFoundError:
            return None
        return text.splitlines()[0] if text else None

    parts = [f"{len(os.sched_getaffinity(0))} cores", f"Linux {platform.release()}", time.strftime("%Y-%m-%d"),
             version(f"{programs}/nsgd", "--version"), version("nft", "--version"), version("iptables", "--version"),
             version("ipset", "--version")]
    firewalld = version("firewall-offline-cmd", "--version")
    return ", ".join([part for part in parts if part] + ([f"firewalld {firewalld}"] if firewalld else []))


class Report:
    """Prints as it goes; `values` is what --json writes."""

    def __init__(self):
        self.values = {}

    def title(self, text):
        print(f"\n## {text}\n", flush=True)

    def line(self, text):
        print(text, flush=True)

    def table(self, titles, rows):
        """Markdown; the first column is text."""
        lines = [titles, ["---"] + ["--:"] * (len(titles) - 1), *rows]
        cells = [[str(cell) for cell in line] for line in lines]
        widths = [max(len(line[column]) for line in cells) for column in range(len(titles))]
        for line in cells:
            padded = [line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
            print("| " + " | ".join(padded) + " |")
        print(flush=True)

    def record(self, part, key, value):
        self.values.setdefault(part, {})[key] = value

    def write(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.values, file, indent=1)
            file.write("\n")


def rate(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if value < 10_000 else f"{value / 1_000:,.0f} k" if value < 1e7 else f"{value * 8 / 1e9:.1f} Gbit/s"


def ratio(value):
    return "-" if value is None else f"{value:.3f}" if value < 0.0995 else f"{value:.2f}"
