#!/usr/bin/env python3
"""`make compare-opencloud`: the proxy of a running OpenCloud beside davgate, both in front of the same server.

The server, its own proxy and davgate are started by whoever measures; nothing is started here. By environment:

STOCK, DAVGATE   base URLs of the two gateways, on loopback
BACKEND          base URL of the graph service itself (http://127.0.0.1:9120)
TOKENS           file with an access token a line: the first is used warm, each further one for one cold login
JWT_SECRET_FILE  the deployment's secret, for asking the graph service without a gateway
REQUESTS         warm requests a round (200); ROUNDS (10), by turns

Prints the table in Markdown, which is kept in benches/results.md. Linux only: CPU and memory are read from /proc.
"""
import base64
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import ssl
import statistics
import sys
import time
import urllib.parse

TICK = os.sysconf("SC_CLK_TCK")
ME = "/graph/v1.0/me"


def listener(url):
    """The process that listens on the port of a URL."""
    port = f":{urllib.parse.urlsplit(url).port:04X}"
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in open(table).readlines()[1:]:
            field = line.split()
            if field[3] == "0A" and field[1].endswith(port):
                inodes.add(f"socket:[{field[9]}]")
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(fd) in inodes for fd in (process / "fd").iterdir()):
                return int(process.name)
        except OSError:
            continue
    sys.exit(f"nothing listens at {url}")


def cpu(pid):
    """Seconds of CPU a process has used, all threads."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident(pid):
    """MiB."""
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read())[1]) / 1024


class Client:
    """One kept-alive connection."""

    def __init__(self, base):
        url = urllib.parse.urlsplit(base)
        if not (url.hostname or "").startswith("127.") and url.hostname not in ("localhost", "::1"):
            sys.exit(f"{base}: only loopback addresses are measured")
        context = ssl._create_unverified_context()
        self.connection = (
            http.client.HTTPSConnection(url.hostname, url.port, context=context)
            if url.scheme == "https"
            else http.client.HTTPConnection(url.hostname, url.port)
        )

    def get(self, path, headers):
        """Milliseconds, and the body."""
        began = time.perf_counter()
        self.connection.request("GET", path, headers=headers)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            sys.exit(f"{path}: {answer.status} {body[:200]!r}")
        return (time.perf_counter() - began) * 1000, body


def reva_token(secret, user):
    """What a gateway tells the backend, for the backend's own time."""
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")
    path = base64.b64encode(b'{"path":"/"}').decode()
    claims = {
        "iss": "compare",
        "aud": ["reva"],
        "exp": int(time.time()) + 3600,
        "user": {"id": {"idp": "compare", "opaque_id": user["id"], "type": 1}, "username": user["onPremisesSamAccountName"]},
        "scope": {"user": {"resource": {"decoder": "json", "value": path}, "role": 1}},
    }
    text = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(claims)
    mac = base64.urlsafe_b64encode(hmac.new(secret, text, hashlib.sha256).digest()).rstrip(b"=")
    return (text + b"." + mac).decode()


def main():
    stock, davgate = os.environ["STOCK"], os.environ["DAVGATE"]
    backend = os.environ.get("BACKEND", "http://127.0.0.1:9120")
    requests, rounds = int(os.environ.get("REQUESTS", "200")), int(os.environ.get("ROUNDS", "10"))
    tokens = open(os.environ["TOKENS"]).read().split()
    pids = {"stock proxy": listener(stock), "davgate": listener(davgate)}
    server = listener(backend)
    start = {name: resident(pid) for name, pid in pids.items()}
    clients = {"stock proxy": Client(stock), "davgate": Client(davgate)}
    bearer = lambda token: {"Authorization": f"Bearer {token}"}

    user = json.loads(clients["davgate"].get(ME, bearer(tokens[0]))[1])
    clients["stock proxy"].get(ME, bearer(tokens[0]))
    secret = open(os.environ["JWT_SECRET_FILE"]).read().strip().encode()
    own = {"x-access-token": reva_token(secret, user)}
    clients["backend alone"] = Client(backend)

    warm = {name: [] for name in clients}
    used = {name: {"gateway": 0.0, "server": 0.0} for name in clients}
    for _ in range(rounds):
        for name, client in clients.items():
            headers = own if name == "backend alone" else bearer(tokens[0])
            gateway = pids.get(name)
            before = (cpu(gateway) if gateway else 0.0, cpu(server))
            warm[name] += [client.get(ME, headers)[0] for _ in range(requests)]
            used[name]["gateway"] += (cpu(gateway) if gateway else 0.0) - before[0]
            used[name]["server"] += cpu(server) - before[1]
    cold = {name: [] for name in pids}
    for index, token in enumerate(tokens[1:]):
        name = list(pids)[index % 2]
        first = clients[name].get(ME, bearer(token))[0]
        cold[name].append(first - clients[name].get(ME, bearer(token))[0])

    count = rounds * requests
    per = {name: {key: value / count * 1e6 for key, value in parts.items()} for name, parts in used.items()}
    caused = {name: per[name]["gateway"] + per[name]["server"] - per["backend alone"]["server"] for name in pids}
    median = {name: statistics.median(values) for name, values in warm.items()}
    pair = lambda form, values: " | ".join(form.format(values[name]) for name in pids)
    print(f"| {count} warm requests each, by turns, to `{ME}` | stock proxy | davgate |\n|---|---|---|")
    print(f"| CPU of the gateway process, us a request | {pair('{:.0f}', {name: per[name]['gateway'] for name in pids})} |")
    print(f"| the same with what it causes in the server's process, us | {pair('{:.0f}', caused)} |")
    print(f"| davgate's share of the stock proxy's | 1 | 1/{caused['stock proxy'] / max(caused['davgate'], 0.1):.0f} |")
    print(f"| median, ms (the backend alone: {median['backend alone']:.2f}) | {pair('{:.2f}', median)} |")
    if all(cold.values()):
        print(f"| a new token's first request beyond a warm one, median ms | {pair('{:.2f}', {name: statistics.median(values) for name, values in cold.items()})} |")
    print(f"| resident before the first request here, MiB | {pair('{:.0f}', start)} |")
    print(f"| resident at the end, MiB | {pair('{:.0f}', {name: resident(pid) for name, pid in pids.items()})} |")


main()
