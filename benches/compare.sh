#!/usr/bin/env bash
# `make compare`: what davgate with authentication costs beside nginx and HAProxy without, in one run; see design.md 4.
#
# One thread each; davgate checks a token, writes an access log and counts metrics, the others only proxy. Rounds are
# interleaved, because a machine is never quiet: only ratios within one run mean anything. The table goes to
# benches/results.md too. By environment: ROUNDS (10), SECONDS_PER_ROUND (2), BULK_ROUNDS (5), and `gateway`, a binary to
# measure instead of the release build; with OUT the table goes elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=target/compare
# shellcheck source=benches/stage.sh
source benches/stage.sh
need wrk nginx haproxy

rounds=${ROUNDS:-10} seconds=${SECONDS_PER_ROUND:-2} bulk_rounds=${BULK_ROUNDS:-5}
nginx_port=$(free_port) nginx_tls_port=$(free_port) haproxy_port=$(free_port)
[ -n "${DAVGATE_IS_BUILT:-}" ] || cargo build --quiet --release --package davgate --bin davgate
cargo build --quiet --package davgate --example load
cargo build --quiet --package davgate-demo
trap stop EXIT
declare -A peer
certificate_files=("$here/data/proxy/server.crt" "$here/data/proxy/server.key")

haproxy_configuration() {
    cat <<CONFIGURATION
global
    nbthread 1
    maxconn 8000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend in
    bind 127.0.0.1:$haproxy_port
    default_backend out
backend out
    server backend 127.0.0.1:$backend_port
CONFIGURATION
}

start_peers() {
    local proxied="location / { proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection '';
        proxy_buffering off; proxy_request_buffering off; }"
    nginx_configuration nginx "server { listen 127.0.0.1:$nginx_port; $proxied }" "server {
        listen 127.0.0.1:$nginx_tls_port ssl; ssl_certificate ${certificate_files[0]};
        ssl_certificate_key ${certificate_files[1]}; ssl_protocols TLSv1.3; ssl_session_cache off; $proxied }"
    nginx -c "$here/nginx.conf" 2>/dev/null & pids+=($!)
    peer[nginx]=$! peer[nginx-tls]=$!
    haproxy_configuration >"$folder/haproxy.cfg"
    haproxy -db -f "$folder/haproxy.cfg" >/dev/null 2>&1 & pids+=($!)
    peer[haproxy]=$!
}

# Starts davgate anew, with TLS or without, and notes its memory before the first request.
restart_gateway() { # true|false
    local old=${peer[davgate]:-} pid others=()
    if [ -n "$old" ]; then
        kill "$old" || true
        wait "$old" || true
        for pid in "${pids[@]}"; do [ "$pid" = "$old" ] || others+=("$pid"); done
        pids=("${others[@]}")
    fi
    settings=(PROXY_OIDC_AUDIENCES=davgate "PROXY_TLS=$1" PROXY_WORKERS=1)
    start_gateway "$backend_port"
    peer[davgate]=${pids[-1]} peer[davgate-tls]=${pids[-1]}
    wait_until_ready
    sleep 1
}

address() { # PEER
    case $1 in
    nginx) echo "127.0.0.1:$nginx_port" ;;
    nginx-tls) echo "127.0.0.1:$nginx_tls_port" ;;
    haproxy) echo "127.0.0.1:$haproxy_port" ;;
    *) echo "127.0.0.1:$gateway_port" ;;
    esac
}

# Runs a command and prints the microseconds of CPU that a peer spent meanwhile, divided by UNITS, and the output.
spent() { # PEER UNITS COMMAND...
    local name=$1 units=$2 before after output
    shift 2
    before=$(cpu_time "${peer[$name]}")
    output=$("$@")
    after=$(cpu_time "${peer[$name]}")
    echo "$(awk -v n=$((after - before)) -v u="$units" 'BEGIN { printf "%.3f", n / 1000 / u }') $output"
}
asks() { # PEER COMMAND ARGUMENTS...; the load tool with address, token and TLS of a peer
    local name=$1 tls=()
    shift
    [[ $name == *-tls ]] && tls=(--tls)
    "$load" "$@" "${tls[@]}" --token "$TOKEN" --address "$(address "$name")"
}

# One round of wrk: microseconds of CPU per request, requests per second, failures.
warm_round() { # PEER
    local before after output
    before=$(cpu_time "${peer[$1]}")
    output=$(wrk --threads 1 --connections 32 --duration "${seconds}s" --header "Authorization: Bearer $TOKEN" \
        "http://$(address "$1")/files/kibibyte")
    after=$(cpu_time "${peer[$1]}")
    awk -v nanoseconds=$((after - before)) '
        / requests in / { requests = $1 }
        /Requests\/sec/ { rate = $2 }
        /Non-2xx/ { failed = $NF }
        /Socket errors/ { gsub(/[^0-9 ]/, ""); for (i = 1; i <= NF; i++) failed += $i }
        END { printf "%.3f %.0f %d\n", nanoseconds / 1000 / (requests ? requests : 1), rate, failed }' <<<"$output"
}

# Each measurement is a line in `rounds`: what, peer, round, value.
note() { echo "$*" >>"$folder/rounds"; }
note_requests() { # ROUND PEER
    local cpu rate failed
    read -r cpu rate failed < <(warm_round "$2")
    note cpu "$2" "$1" "$cpu"
    note rate "$2" "$1" "$rate"
    note failed "$2" "$1" "$failed"
}
note_latency() { # ROUND PEER RATE
    local count failed p50 p99
    read -r count failed _ p50 p99 < <(asks "$2" requests --count $(($3 * seconds)) --rate "$3" --path /files/kibibyte)
    note p50 "$2" "$1" "$p50"
    note p99 "$2" "$1" "$p99"
    note failed "$2" "$1" "$failed"
}
note_cpu() { # WHAT ROUND PEER UNITS COMMAND...
    local what=$1 number=$2 name=$3 cpu
    read -r cpu _ < <(spent "$name" "$4" asks "$name" "${@:5}")
    note "$what" "$name" "$number" "$cpu"
}

# KiB per connection that did one request and then waits.
idle_cost() { # PEER COUNT ARGUMENTS...
    local name=$1 count=$2 before after
    shift 2
    before=$(resident "${peer[$name]}")
    coproc HOLDER { asks "$name" idle --count "$count" --path /files/kibibyte "$@"; }
    local holder=$HOLDER_PID input=${HOLDER[1]}
    read -r -u "${HOLDER[0]}" _
    sleep 1
    after=$(resident "${peer[$name]}")
    eval "exec $input>&-"
    wait "$holder" || true
    awk -v k=$((after - before)) -v n="$count" 'BEGIN { printf "%.1f", k / n }'
}

new_token() { "$bin/davgate-demo" token --issuer "$issuer" --user alan --password enigma; }

# Milliseconds of the first and of the second request of new tokens, medians.
cold_and_warm() {
    local _ token first
    for _ in $(seq 15); do
        token=$(new_token)
        for turn in cold warm; do
            read -r _ _ _ first _ < <("$load" requests --connections 1 --count 1 --path /files/kibibyte --token "$token" \
                --address "$(address davgate)")
            note "$turn" davgate 1 "$first"
        done
    done
}

source_median() { # WHAT PEER
    awk -v what="$1" -v peer="$2" '$1 == what && $2 == peer { print $4 }' "$folder/rounds" | sort -n |
        awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# shellcheck source=benches/table.sh
source benches/table.sh

start_issuer
start_backend
restart_gateway true # once, for the certificate that nginx uses too
start_peers
restart_gateway false
for name in nginx haproxy davgate; do note start "$name" 1 "$(resident "${peer[$name]}")"; done
TOKEN=$(eval "$(token_command alan enigma)")

for name in nginx haproxy davgate; do warm_round "$name" >/dev/null; done # warm
for ((number = 1; number <= rounds; number++)); do
    for name in nginx haproxy davgate; do note_requests "$number" "$name"; done
done
half=$(awk -v rate="$(source_median rate davgate)" 'BEGIN { print int(rate / 2) }')
for ((number = 1; number <= rounds; number++)); do
    for name in nginx haproxy davgate; do note_latency "$number" "$name" "$half"; done
done
for ((number = 1; number <= bulk_rounds; number++)); do
    for name in nginx haproxy davgate; do
        note_cpu get "$number" "$name" 1000000 get --path /files/gibibyte
        note_cpu put "$number" "$name" 1000000 put --bytes $((1 << 30)) --path /files/sink/a
    done
done
note idle davgate 1 "$(idle_cost davgate 2000)"
note idle nginx 1 "$(idle_cost nginx 2000)"
note idle haproxy 1 "$(idle_cost haproxy 2000)"
cold_and_warm

restart_gateway true
asks davgate-tls requests --count 2000 --path /files/kibibyte >/dev/null # warm
for ((number = 1; number <= rounds; number++)); do
    for name in nginx-tls davgate-tls; do
        note_cpu tls-request "$number" "$name" 10000 requests --count 10000 --path /files/kibibyte
        note_cpu handshake "$number" "$name" 300 handshakes --count 300 --path /files/kibibyte
        note_cpu resumption "$number" "$name" 300 handshakes --count 300 --resume --path /files/kibibyte
    done
done
for ((number = 1; number <= bulk_rounds; number++)); do
    for name in nginx-tls davgate-tls; do
        note_cpu tls-get "$number" "$name" 1000000 get --path /files/gibibyte
        note_cpu tls-put "$number" "$name" 1000000 put --bytes $((1 << 30)) --path /files/sink/a
    done
done
note idle-http2 davgate-tls 1 "$(idle_cost davgate-tls 500 --http2)"

table | tee "${OUT:-benches/results.md}"
! grep -E '^failed .* [1-9][0-9]*$' "$folder/rounds"
