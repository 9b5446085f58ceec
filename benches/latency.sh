#!/usr/bin/env bash
# `make compare-latency`: an HTTP/2 upload through davgate over a long line, beside a plain upload straight to the backend over
# the same line; at least 90 % of its rate is the goal. As root: the client runs in a network namespace of its own, and the
# line between it and the machine is slowed down by netem, or by benches/line.py where the kernel has none. Nothing of it is
# left behind.
#
# By environment: ROUNDS (3), LATENCY_MS one way (50), MBIT (100), MIB of one upload (64), `gateway` as for compare.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=target/compare-latency
namespace=davgate-$$ inside=dgi$$ outside=dgo$$
network=10.213.$((RANDOM % 256))
here_address=$network.1
settings=()
# shellcheck source=benches/stage.sh
source benches/stage.sh
need ip tc nginx
[ "$(id -u)" -eq 0 ] || { echo "network namespaces need root" >&2; exit 1; }

rounds=${ROUNDS:-3} latency=${LATENCY_MS:-50} mbit=${MBIT:-100} mib=${MIB:-64}
[ -n "${DAVGATE_IS_BUILT:-}" ] || cargo build --quiet --release --package davgate --bin davgate
cargo build --quiet --package davgate --example load
cargo build --quiet --package davgate-demo

clean_up() {
    stop
    [ -z "${LINE_PID:-}" ] || kill "$LINE_PID" 2>/dev/null || true
    ip netns delete "$namespace" 2>/dev/null || true
    ip link delete "$outside" 2>/dev/null || true
}
trap clean_up EXIT

# The client's end of the line is in the namespace, the other one here.
lay_line() {
    ip netns add "$namespace"
    ip link add "$outside" type veth peer name "$inside"
    # Room for whatever is under way, so that the line is slow but loses nothing.
    local slow=(root netem delay "${latency}ms" rate "${mbit}mbit" limit 100000)
    if tc qdisc add dev "$outside" "${slow[@]}" 2>/dev/null; then
        line=netem
        tc qdisc add dev "$inside" "${slow[@]}"
    else
        line="benches/line.py, as this kernel has no netem"
        ip link delete "$outside"
        coproc LINE { exec benches/line.py "$outside" "$inside" "$latency" "$mbit"; }
        read -r -t 10 _ <&"${LINE[0]}"
    fi
    ip link set "$inside" netns "$namespace"
    ip address add "$here_address/30" dev "$outside"
    ip link set "$outside" up
    ip -n "$namespace" address add "$network.2/30" dev "$inside"
    ip -n "$namespace" link set "$inside" up
}

# Mbit/s of one upload.
upload() { # PORT ARGUMENTS...
    local port=$1 seconds
    shift
    seconds=$(ip netns exec "$namespace" "$load" put --bytes $((mib << 20)) --address "$here_address:$port" \
        --token "$TOKEN" --path /files/sink/a "$@")
    awk -v mib="$mib" -v s="$seconds" 'BEGIN { printf "%.1f\n", mib * 8 * 1.048576 / s }'
}

start_issuer
start_backend
direct_port=$(free_port)
"$load" sink --address "0.0.0.0:$direct_port" & pids+=($!)
settings=(PROXY_OIDC_AUDIENCES=davgate PROXY_TLS=true PROXY_WORKERS=1 "PROXY_HTTP_ADDR=0.0.0.0:$gateway_port")
start_gateway "$backend_port"
wait_until_ready
TOKEN=$(eval "$(token_command alan enigma)")
lay_line

echo "$mib MiB at $mbit Mbit/s, $latency ms each way ($line); Mbit/s of the body:"
for ((round = 1; round <= rounds; round++)); do
    direct=$(upload "$direct_port")
    through=$(upload "$gateway_port" --http2 --tls)
    echo "round $round: direct $direct, HTTP/2 through davgate $through"
    echo "$direct $through" >>"$folder/rounds"
done
ratio=$(awk '{ print $2 / $1 }' "$folder/rounds" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }')
echo "median of $rounds: $ratio of the direct rate, goal 0.90"
awk -v ratio="$ratio" 'BEGIN { exit ratio < 0.9 }'
