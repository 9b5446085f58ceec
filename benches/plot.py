#!/usr/bin/env python3
"""Plots what benches/scale.sh measured: plot.py NUMBERS.tsv PLOT.png"""
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

lines = [line.split("\t") for line in open(sys.argv[1], encoding="utf-8")]


def series(name, column):
    found = [(float(line[1]), float(line[column])) for line in lines if line[0] == name]
    return [size for size, _ in found], [value for _, value in found]


figure, axes = plt.subplots(2, 3, figsize=(13, 7), constrained_layout=True)
for axis, name, column, title, unit in (
    (axes[0][0], "connections", 2, "a request, by open connections", "CPU us"),
    (axes[0][1], "request_by_routes", 2, "a request, by routes", "CPU us"),
    (axes[0][2], "sessions", 6, "a look for a session, by sessions", "CPU ns"),
    (axes[1][0], "sessions", 5, "resident memory, by sessions", "MiB"),
    (axes[1][1], "routes", 2, "a look for a route, by routes", "CPU ns"),
    (axes[1][2], "groups", 3, "the set-up of a session, by the user's groups", "CPU us"),
):
    sizes, values = series(name, column)
    axis.plot(sizes, values, marker="o")
    axis.set_xscale("log")
    axis.set_title(title)
    axis.set_ylabel(unit)
    axis.grid(alpha=0.3)
    if unit == "MiB":
        axis.set_yscale("log")
    else:
        axis.set_ylim(bottom=0)
figure.savefig(sys.argv[2], dpi=80)
