#!/usr/bin/env python3
"""What a delivery costs when the browser chose its channel itself, beside the same message on a plain route.

    Benchmarks/channels.py                 about 5 minutes
    Benchmarks/channels.py --quick         one short round

One gateway with the memory layer, fresh for each run and alone on its core; the load tool has another. A publisher says the
same 128 bytes on the same group in each case, and what is different is who listens: sockets of a plain route, which get
them as they are, or sockets that speak the Centrifugo client protocol and subscribed to the channel, which get them in a
push. Rounds are interleaved; ratios are medians of the rounds' own.
"""

import statistics
import sys

import harness
import peers
from harness import BenchError, table
from run import Results, written

SCENARIOS = {
    "one-1k": ("1 group × 1 000", dict(groups=1, members=1000, window=8)),
    # One burst after the other: else some runs settle at halves of it under way by turns, which cost half as much more.
    "burst-1k": ("1 group × 1 000, bursts of 64", dict(groups=1, members=1000, window=64, whole=1)),
    "one-10k": ("1 group × 10 000", dict(groups=1, members=10000, window=8)),
    "many": ("1 000 groups × 10", dict(groups=1000, members=10, window=1)),
}
PATH = "/channels/connection/websocket"
#: Options of the load tool, and whom it is compared with.
LISTENERS = {
    "plain": ("plain route", {}, None),
    "json": ("channel, JSON", dict(protocol="json", subscribe=PATH), "plain"),
    "protobuf": ("channel, Protobuf", dict(protocol="protobuf", subscribe=PATH), "plain"),
    "plain-2": ("plain route with 2 groups", dict(subscribe="/channels/pairs/g{n}"), None),
    "json-2": ("2 channels, JSON", dict(protocol="json", subscribe=PATH, also=1), "plain-2"),
}
LIMIT = 1.15


def all_runs(arguments, gateway):
    durations = harness.durations(arguments)
    server_core, load_core = harness.cores()
    lines = []
    for number in range(arguments.rounds):
        for scenario, (_, options) in SCENARIOS.items():
            for listener, (_, more, _) in LISTENERS.items():
                with gateway.serve(server_core) as (port, pids):
                    try:
                        line = harness.load(load_core, port, pids, {"mode": "closed", **durations, **options, **more})
                    except BenchError as error:
                        line = {"error": str(error)}
                lines.append({"round": number + 1, "scenario": scenario, "server": listener, **line})
                said = line.get("error") or (
                    f"{line['cpu_seconds_per_million']:.3f} CPU s per million, "
                    f"{line['deliveries_per_second']:.0f} deliveries/s, {line['deliveries_per_read']:.1f} a read")
                print(f"round {number + 1}  {scenario:<10}{listener:<10}{said}", file=sys.stderr)
    return lines


def cpu(line):
    return line["cpu_seconds_per_million"]


def ratios(results, listener):
    """One per scenario."""
    against = LISTENERS[listener][2]
    return [results.ratio(scenario, listener, against, cpu) for scenario in SCENARIOS]


def report(results, about):
    goals = []
    for listener, (title, _, against) in LISTENERS.items():
        found = [ratio for ratio in ratios(results, listener) if ratio is not None] if against else []
        if found:
            worst, middle = max(found), statistics.geometric_mean(found)
            goals.append([f"{title}, against {LISTENERS[against][0]}", written(middle) + "×", written(worst) + "×",
                          f"at most {LIMIT:g}×",
                          "yes" if worst <= LIMIT else "in the mean" if middle <= LIMIT else "**no**"])
    head = ["listeners"] + [title for title, _ in SCENARIOS.values()]
    costs = [[title] + [written(results.median(scenario, listener, cpu)) for scenario in SCENARIOS]
             for listener, (title, _, _) in LISTENERS.items()]
    beside = [[title] + [written(ratio) + "×" if ratio else "–" for ratio in ratios(results, listener)]
              for listener, (title, _, against) in LISTENERS.items() if against]
    return "\n".join([
        f"{about}\n", "### Number to reach: CPU per delivery of a channel against a plain route\n",
        table(["what", "mean of the scenarios", "worst scenario", "wanted", "reached"], goals),
        "\n### The same, by scenario\n", table(head, beside),
        "\n### Server CPU seconds per million deliveries of 128 bytes\n", table(head, costs)])


def main():
    arguments = harness.read(harness.flags(__doc__))
    try:
        harness.need_load_tool()
        gateway = peers.ALL["carillon"]
        gateway.prepare(arguments)
        about = harness.about(arguments.rounds)
        lines = all_runs(arguments, gateway)
    except BenchError as error:
        sys.exit(f"bench: {error}")
    harness.finish("channels", report(Results(lines), about), about, lines)


if __name__ == "__main__":
    main()
