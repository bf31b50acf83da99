#!/usr/bin/env python3
"""Fan-out benchmark: Carillon beside two bare C servers, nchan, node `ws` and Daphne, in one run.

    make bench                                       all of it, about 17 minutes
    Benchmarks/run.py --quick                        one short round
    Benchmarks/run.py --only one-1k,carillon,batch   some scenarios and servers

The server is alone on one core and the load tool on another. Rounds are interleaved, so that a noisy minute of the
machine meets every server; the tables show medians, and ratios are medians of the rounds' own. Each server is fresh
for each run.
"""

import dataclasses
import statistics
import sys

import harness
import peers
from harness import BenchError, table


@dataclasses.dataclass
class Scenario:
    title: str
    options: dict
    #: A run is this many times as long as the others: ten messages a second make few samples.
    stretch: int = 1


SCENARIOS = {
    "one-1k": Scenario("1 group × 1 000", dict(mode="closed", groups=1, members=1000, window=8)),
    "burst-1k": Scenario("1 group × 1 000, bursts of 64", dict(mode="closed", groups=1, members=1000, window=64)),
    "one-10k": Scenario("1 group × 10 000", dict(mode="closed", groups=1, members=10000, window=8)),
    "many": Scenario("1 000 groups × 10", dict(mode="closed", groups=1000, members=10, window=1)),
    "latency": Scenario(
        "1 group × 1 000, 10 messages/s", dict(mode="open", groups=1, members=1000, rate=10, window=200), stretch=2),
    "latency-many": Scenario(
        "1 000 groups × 10, 1 000 messages/s", dict(mode="open", groups=1000, members=10, rate=1000, window=50)),
    "idle": Scenario("10 000 idle", dict(mode="idle", groups=1, members=10000, warm=100, settle=2)),
}
FAN_OUT = ["one-1k", "burst-1k", "one-10k", "many"]


# Measuring

def measure(peer, name, scenario, durations, the_cores):
    """One run of one scenario against a fresh server."""
    options = {**durations, "seconds": durations["seconds"] * scenario.stretch, **scenario.options,
               **(peer.instead.get(name) or {})}
    server_core, load_core = the_cores
    with peer.serve(server_core) as (port, pids):
        return harness.load(load_core, port, pids, options)


def all_runs(arguments, chosen_peers, chosen_scenarios):
    """Every run's line, in the order they were made."""
    durations = harness.durations(arguments)
    the_cores = harness.cores()
    lines = []
    for number in range(arguments.rounds):
        for name, scenario in chosen_scenarios.items():
            for key, peer in chosen_peers.items():
                if peer.instead.get(name, {}) is None:
                    continue
                try:
                    line = measure(peer, name, scenario, durations, the_cores)
                except BenchError as error:
                    line = {"error": str(error)}
                lines.append({"round": number + 1, "scenario": name, "server": key, **line})
                print(progress(lines[-1]), file=sys.stderr)
    return lines


def progress(line):
    head = f"round {line['round']}  {line['scenario']:<13}{line['server']:<10}"
    if "error" in line:
        return f"{head}FAILED: {line['error']}"
    if "latency_us" in line:
        return f"{head}p50 {line['latency_us']['p50']:.0f} µs, p99 {line['latency_us']['p99']:.0f} µs"
    if "deliveries" in line:
        return (f"{head}{line['cpu_seconds_per_million']:.3f} CPU s per million, "
                f"{line['deliveries_per_second']:.0f} deliveries/s, {line['deliveries_per_read']:.1f} a read, "
                f"load tool at {line['load_cpu_seconds'] / line['seconds']:.0%}")
    return (f"{head}{line['bytes_per_connection']:.0f} bytes, {line['handshake_cpu_us']:.1f} µs a handshake, "
            f"{line['handshakes_per_second']:.0f} handshakes/s")


# Medians

class Results:
    def __init__(self, lines):
        self.lines = lines

    def median(self, scenario, server, pick):
        """The median over the rounds, or None when there was no good run."""
        values = [pick(line) for line in self.lines
                  if line["scenario"] == scenario and line["server"] == server and "error" not in line]
        return statistics.median(values) if values else None

    def ratio(self, scenario, server, against, pick):
        """The median of the rounds' ratios: the two ran minutes apart at most, under the same neighbours."""
        ratios = []
        for number in {line["round"] for line in self.lines}:
            pair = [next((pick(line) for line in self.lines if line["round"] == number and "error" not in line
                          and line["scenario"] == scenario and line["server"] == name), None)
                    for name in (server, against)]
            if pair[0] is not None and pair[1]:
                ratios.append(pair[0] / pair[1])
        return statistics.median(ratios) if ratios else None

    def failed(self, scenario, server):
        return any(line["scenario"] == scenario and line["server"] == server and "error" in line
                   for line in self.lines)

    def has(self, scenario):
        return any(line["scenario"] == scenario for line in self.lines)

    def servers(self):
        return [key for key in peers.ALL if any(line["server"] == key for line in self.lines)]


def field(name):
    return lambda line: line[name]


def latency(name):
    return lambda line: line["latency_us"][name]


# Tables

def written(value, digits=2):
    if value is None:
        return "–"
    if value >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.{digits}f}"


def server_rows(results, columns):
    """`columns`: (scenario, pick) pairs."""
    rows = []
    for server in results.servers():
        row = [peers.ALL[server].title]
        for scenario, pick in columns:
            failed = results.failed(scenario, server)
            row.append(written(results.median(scenario, server, pick)) + (" (failed)" if failed else ""))
        rows.append(row)
    return rows


def fan_out_table(results, pick, wanted):
    names = [name for name in wanted if results.has(name)]
    if not names:
        return None
    head = ["server"] + [SCENARIOS[name].title for name in names]
    return table(head, server_rows(results, [(name, pick) for name in names]))


def latency_table(results):
    names = [name for name in ("latency", "latency-many") if results.has(name)]
    if not names:
        return None
    head, columns = ["server"], []
    for name in names:
        for part in ("p50", "p99", "max"):
            head.append(f"{SCENARIOS[name].title}: {part}")
            columns.append((name, latency(part)))
    return table(head, server_rows(results, columns))


def idle_table(results):
    if not results.has("idle"):
        return None
    head = ["server", "bytes per idle connection (PSS)", "CPU µs per handshake", "handshakes/s"]
    names = ("bytes_per_connection", "handshake_cpu_us", "handshakes_per_second")
    return table(head, server_rows(results, [("idle", field(name)) for name in names]))


def goals_table(results):
    """The numbers to reach, each with what came out."""
    cpu, p50, p99 = field("cpu_seconds_per_million"), latency("p50"), latency("p99")

    def against(server, scenario, pick=cpu):
        return results.ratio(scenario, "carillon", server, pick)

    memory = results.median("idle", "carillon", field("bytes_per_connection"))
    handshake = results.median("idle", "carillon", field("handshake_cpu_us"))
    goals = [
        ("CPU per delivery, 1 group × 1 000, against batch", against("batch", "one-1k"), "×", 2),
        ("the same against plain", against("plain", "one-1k"), "×", 1),
        ("CPU per delivery, 1 group × 10 000, against batch", against("batch", "one-10k"), "×", 2),
        ("CPU per delivery, 1 000 groups × 10, against plain", against("plain", "many"), "×", 1.5),
        ("p50 at 10 000 deliveries/s, against plain", against("plain", "latency", p50), "×", 1.5),
        ("p99 at 10 000 deliveries/s, against plain", against("plain", "latency", p99), "×", 1.5),
        ("memory per idle connection", memory, " bytes", 4096),
        ("CPU per connection accepted and upgraded", handshake, " µs", 70),
        ("CPU per delivery against Daphne, 1 group × 1 000", against("daphne", "one-1k"), "×", 1 / 50),
    ]
    rows = []
    for what, value, unit, limit in goals:
        if value is not None:
            digits = 4 if limit < 1 else 2
            reached = "yes" if value <= limit else "**no**"
            rows.append([what, written(value, digits) + unit, f"at most {limit:g}{unit}", reached])
    return table(["what", "measured", "wanted", "reached"], rows) if rows else None


def report(results, about):
    parts = [
        ("Numbers to reach", goals_table(results)),
        ("Server CPU seconds per million deliveries of 128 bytes",
         fan_out_table(results, field("cpu_seconds_per_million"), FAN_OUT)),
        ("Deliveries per second (server on one core)",
         fan_out_table(results, field("deliveries_per_second"), FAN_OUT)),
        ("Frames joined in one write (deliveries per read of the load tool)",
         fan_out_table(results, field("deliveries_per_read"), FAN_OUT)),
        ("Latency in µs at 10 000 deliveries a second", latency_table(results)),
        ("Connections", idle_table(results)),
    ]
    text = [f"{about}\n"]
    for title, content in parts:
        if content:
            text.append(f"### {title}\n\n{content}\n")
    return "\n".join(text)


# The command line

def chosen(only):
    """Names of scenarios and servers in any order; none of a kind means all of it."""
    names = [name for name in (only or "").split(",") if name]
    unknown = [name for name in names if name not in SCENARIOS and name not in peers.ALL]
    if unknown:
        raise BenchError(f"unknown: {', '.join(unknown)}; scenarios are {', '.join(SCENARIOS)}; "
                         f"servers are {', '.join(peers.ALL)}")
    scenarios = {key: value for key, value in SCENARIOS.items() if key in names}
    servers = {key: value for key, value in peers.ALL.items() if key in names}
    return scenarios or SCENARIOS, servers or peers.ALL


def main():
    parser = harness.flags(__doc__)
    parser.add_argument("--only", help="scenarios and servers, with commas")
    arguments = harness.read(parser)
    try:
        scenarios, servers = chosen(arguments.only)
        harness.need_load_tool()
        for peer in servers.values():
            peer.prepare(arguments)
        about = harness.about(arguments.rounds)
        lines = all_runs(arguments, servers, scenarios)
    except BenchError as error:
        sys.exit(f"bench: {error}")
    harness.finish("fan-out", report(Results(lines), about), about, lines)


if __name__ == "__main__":
    main()
