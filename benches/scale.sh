#!/usr/bin/env bash
# `make scale`: what a request and a session cost as connections, routes, sessions and groups grow. Numbers go to
# docs/scaling.tsv, a plot of them to docs/scaling.png. By environment: BINARY as for compare.sh, ROUNDS (5), OUT, another
# folder for both files, and QUICK, a tenth of everything.
set -euo pipefail
cd "$(dirname "$0")/.."
# 10,000 connections, and some to spare, in the gateway as in its client.
ulimit -n 12000 || { echo "raise the limit of open files to 12000" >&2; exit 1; }
folder=target/scale
built=${CARGO_TARGET_DIR:-target}/x86_64-unknown-linux-musl/release
gateway=${BINARY:-$built/davgate}
token_lifetime=7200
# shellcheck source=benches/stage.sh
source benches/stage.sh
need nginx python3

rounds=${ROUNDS:-5} out=${OUT:-docs} tenth=${QUICK:+0}
most=${tenth:+100000} most=${most:-1000000} requests=${tenth:+2000} requests=${requests:-20000}
# The program too, for the allocator of the static build decides what a session weighs.
deploy/scripts/static --release --bin davgate --example scale
cargo build --quiet --package davgate --example load
cargo build --quiet --package davgate-demo
scale=$built/examples/scale
trap stop EXIT
numbers=$folder/numbers
declare -A port pid_of

# The demo's route and others, COUNT in all.
routes() { # COUNT
    local number
    printf 'policies:\n- name: default\n  routes:\n'
    printf '  - {endpoint: /files/, backend: "http://127.0.0.1:%s", identity: headers}\n' "$backend_port"
    printf '  - {endpoint: /, backend: "http://127.0.0.1:%s", identity: none}\n' "$backend_port"
    for ((number = 3; number <= $1; number++)); do
        printf '  - {endpoint: /apps/application-%d/, backend: "http://127.0.0.1:%s"}\n' "$number" "$backend_port"
    done
}

start_with_routes() { # COUNT
    mkdir -p "$folder/routes-$1"
    routes "$1" >"$folder/routes-$1/proxy.yaml"
    gateway_port=$(free_port) debug_port=$(free_port)
    settings=(PROXY_OIDC_AUDIENCES=davgate PROXY_TLS=false PROXY_WORKERS=1 "OC_CONFIG_DIR=$here/routes-$1"
        "OC_BASE_DATA_PATH=$here/routes-$1")
    start_gateway "$backend_port"
    port[$1]=$gateway_port pid_of[$1]=${pids[-1]}
    wait_until_ready
}

# Nanoseconds of CPU that a gateway spends on requests.
spent() { # ROUTES ARGUMENTS...
    local before answers count=$1
    shift
    before=$(cpu_time "${pid_of[$count]}")
    answers=$("$load" requests --path /files/kibibyte --token "$TOKEN" --address "127.0.0.1:${port[$count]}" "$@")
    [[ $answers == *" 0 "* ]] || { echo "requests failed: $answers" >&2; return 1; }
    echo $(($(cpu_time "${pid_of[$count]}") - before))
}
middle() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# Microseconds per request, connecting not counted: the difference of two runs. They come at a rate that leaves the gateway
# time, so that it is the number of connections that differs, not how many requests wait.
per_connection() { # CONNECTIONS
    local few many round
    for ((round = 1; round <= rounds; round++)); do
        few=$(spent 10 --connections "$1" --count "$1" --rate 4000)
        many=$(spent 10 --connections "$1" --count $(($1 + requests)) --rate 4000)
        echo $((many - few))
    done | middle | awk -v n="$requests" -v c="$1" '{ printf "connections %d %.2f\n", c, $1 / n / 1000 }'
}
per_route() { # rounds interleaved
    local count round
    for ((round = 1; round <= rounds; round++)); do
        for count in 10 100 1000; do echo "$count $(spent "$count" --connections 32 --count $((requests * 2)))"; done
    done >"$folder/by-routes"
    for count in 10 100 1000; do
        awk -v c=$count '$1 == c { print $2 }' "$folder/by-routes" | middle |
            awk -v n=$((requests * 2)) -v c=$count '{ printf "request_by_routes %d %.2f\n", c, $1 / n / 1000 }'
    done
}

{
    for ((count = 10; count <= most; count *= 10)); do "$scale" sessions $count; done
    # A cache that is too small for them evicts and stays right; the program fails otherwise.
    "$scale" sessions 100000 --cache-bytes $((64 << 20)) | sed 's/^sessions/evicting/'
    for count in 10 100 1000; do "$scale" routes $count; done
    for count in 5 100 1000 10000; do "$scale" groups $count; done
} | tee "$numbers"

start_issuer
start_backend
for count in 10 100 1000; do start_with_routes $count; done
TOKEN=$(eval "$(token_command alan enigma)")
for count in 10 100 1000; do spent $count --count 1000 >/dev/null; done # warm
per_route | tee -a "$numbers"
for count in 10 100 1000 10000; do per_connection $count; done | tee -a "$numbers"

sed 's/ /\t/g' "$numbers" >"$out/scaling.tsv"
venv=${CARGO_TARGET_DIR:-target}/plot
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: matplotlib==3.10.7
"$venv/bin/python" benches/plot.py "$out/scaling.tsv" "$out/scaling.png"
