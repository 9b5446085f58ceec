#!/usr/bin/env bash
# `make compare`: what davgate with authentication costs beside others, in one run; see docs/design/design.md 4 and peers.sh.
#
# One thread each; davgate checks a token, writes an access log and counts metrics. Rounds are interleaved, because a
# machine is never quiet: only ratios within one round mean anything. The table goes to benches/results.md too.
#
# By environment: BINARY, the davgate to measure (else the static one is built, as the image ships it); RUNS (1), whose
# median the table shows; ROUNDS (10) of SECONDS_PER_ROUND (1); FEW_ROUNDS (2) of bulk and of the latency of peers no
# figure is bound to; OUT, another place for the table.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=target/compare
gateway=${BINARY:-${CARGO_TARGET_DIR:-target}/x86_64-unknown-linux-musl/release/davgate}
token_lifetime=7200
# shellcheck source=benches/stage.sh
source benches/stage.sh
need wrk nginx haproxy curl python3
# shellcheck source=benches/peers.sh
source benches/peers.sh
# shellcheck source=benches/table.sh
source benches/table.sh

runs=${RUNS:-1} rounds=${ROUNDS:-10} seconds=${SECONDS_PER_ROUND:-1} few_rounds=${FEW_ROUNDS:-2}
[ -n "${BINARY:-}" ] || deploy/scripts/static
# Optimised, because on a machine of two cores a slow client is what would be measured.
cargo build --quiet --release --package davgate --example load
load=${CARGO_TARGET_DIR:-target}/release/examples/load
cargo build --quiet --package davgate-demo
trap stop EXIT
certificate_files=("$here/data/proxy/server.crt" "$here/data/proxy/server.key")
bulk_bytes=$((512 << 20))

# Starts davgate anew, with TLS or without.
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
    port[davgate]=$gateway_port port[davgate-tls]=$gateway_port
    wait_until_ready
    sleep 1
}

address() { echo "127.0.0.1:${port[$1]}"; } # PEER
asks() { # PEER COMMAND ARGUMENTS...; the load tool with address, token and TLS of a peer
    local name=$1 tls=()
    shift
    [[ $name != *-tls ]] || tls=(--tls)
    "$load" "$@" "${tls[@]}" --token "$TOKEN" --address "$(address "$name")"
}

# Each measurement is a line in `rounds`: what, peer, run, round, value.
note() { echo "$1 $2 $run $3 $4" >>"$folder/rounds"; } # WHAT PEER ROUND VALUE

note_requests() { # ROUND PEER; with wrk
    local before after output cpu rate failed
    before=$(cpu_time "${peer[$2]}")
    output=$(wrk --threads 1 --connections 32 --duration "${seconds}s" --header "Authorization: Bearer $TOKEN" \
        "http://$(address "$2")/files/kibibyte")
    after=$(cpu_time "${peer[$2]}")
    read -r cpu rate failed < <(awk -v nanoseconds=$((after - before)) '
        / requests in / { requests = $1 }
        /Requests\/sec/ { rate = $2 }
        /Non-2xx/ { failed = $NF }
        /Socket errors/ { gsub(/[^0-9 ]/, ""); for (i = 1; i <= NF; i++) failed += $i }
        END { printf "%.3f %.0f %d\n", nanoseconds / 1000 / (requests ? requests : 1), rate, failed }' <<<"$output")
    note cpu "$2" "$1" "$cpu"
    note rate "$2" "$1" "$rate"
    note failed "$2" "$1" "$failed"
}
note_latency() { # ROUND PEER RATE
    local failed p50 p99
    read -r _ failed _ p50 p99 < <(asks "$2" requests --count $(($3 * seconds)) --rate "$3" --path /files/kibibyte)
    note p50 "$2" "$1" "$p50"
    note p99 "$2" "$1" "$p99"
    note failed "$2" "$1" "$failed"
}
# Microseconds of CPU that a peer spends while the load tool does something, divided by UNITS.
note_cpu() { # WHAT ROUND PEER UNITS COMMAND...
    local before after
    before=$(cpu_time "${peer[$3]}")
    asks "$3" "${@:5}" >/dev/null
    after=$(cpu_time "${peer[$3]}")
    note "$1" "$3" "$2" "$(awk -v n=$((after - before)) -v u="$4" 'BEGIN { printf "%.3f", n / 1000 / u }')"
}
note_bulk() { # ROUND PEER PREFIX; CPU seconds per GiB
    local units=$((1000000 * bulk_bytes / (1 << 30)))
    note_cpu "$3get" "$1" "$2" $units get --path /files/half_gibibyte
    note_cpu "$3put" "$1" "$2" $units put --bytes $bulk_bytes --path /files/sink/a
}

# KiB per connection that did one request and then waits.
note_idle() { # WHAT PEER COUNT ARGUMENTS...
    local what=$1 name=$2 count=$3 before after holder input
    shift 3
    before=$(resident "${peer[$name]}")
    coproc HOLDER { asks "$name" idle --count "$count" --path /files/kibibyte "$@"; }
    holder=$HOLDER_PID input=${HOLDER[1]}
    read -r -u "${HOLDER[0]}" _
    sleep 1
    after=$(resident "${peer[$name]}")
    eval "exec $input>&-"
    wait "$holder" || true
    note "$what" "$name" 1 "$(awk -v k=$((after - before)) -v n="$count" 'BEGIN { printf "%.1f", k / n }')"
}

# Microseconds of the first and of the second request of new tokens.
note_new_tokens() {
    local number token turn took
    for number in $(seq 15); do
        token=$("$bin/davgate-demo" token --issuer "$issuer" --user alan --password enigma)
        for turn in cold warm; do
            read -r _ _ _ took _ < <("$load" requests --connections 1 --count 1 --path /files/kibibyte --token "$token" \
                --address "$(address davgate)")
            note "$turn" davgate "$number" "$took"
        done
    done
}

# Half of davgate's own rate, or of the peer's where that is less.
half_load() { # PEER
    awk -v own="$(median rate "$1")" -v ours="$(median rate davgate)" 'BEGIN { print int((own < ours ? own : ours) / 2) }'
}

one_run() {
    local number name
    mapfile -t measured < <(present "${plain_peers[@]}" "${jwt_peers[@]}")
    mapfile -t plain < <(present "${plain_peers[@]}")
    restart_gateway false
    note start davgate 1 "$(resident "${peer[davgate]}")"
    for name in "${measured[@]}" davgate; do
        asks "$name" requests --count 2000 --path /files/kibibyte >/dev/null # warm
    done
    for ((number = 1; number <= rounds; number++)); do
        for name in "${measured[@]}" davgate; do note_requests "$number" "$name"; done
    done
    for ((number = 1; number <= rounds; number++)); do
        for name in "${measured[@]}" davgate; do
            case $name in nginx | haproxy | davgate) ;; *) [ "$number" -le "$few_rounds" ] || continue ;; esac
            note_latency "$number" "$name" "$(half_load "$name")"
        done
    done
    for ((number = 1; number <= few_rounds; number++)); do
        for name in "${plain[@]}" davgate; do note_bulk "$number" "$name" ""; done
    done
    # Memory does not vary from run to run.
    [ "$run" -gt 1 ] || for name in "${plain[@]}" davgate; do note_idle idle "$name" 2000; done
    note_new_tokens

    restart_gateway true
    asks davgate-tls requests --count 2000 --path /files/kibibyte >/dev/null # warm
    for ((number = 1; number <= rounds; number++)); do
        for name in nginx-tls davgate-tls; do
            note_cpu tls-request "$number" "$name" 10000 requests --count 10000 --path /files/kibibyte
            note_cpu handshake "$number" "$name" 300 handshakes --count 300 --path /files/kibibyte
            note_cpu resumption "$number" "$name" 300 handshakes --count 300 --resume --path /files/kibibyte
        done
    done
    for ((number = 1; number <= few_rounds; number++)); do
        for name in nginx-tls davgate-tls; do note_bulk "$number" "$name" tls-; done
    done
    [ "$run" -gt 1 ] || note_idle idle-http2 davgate-tls 500 --http2
}

install_peers
began=$SECONDS run=1
start_issuer
start_backend
truncate -s "$bulk_bytes" "$folder/files/half_gibibyte"
restart_gateway true # once, for the certificate that nginx uses too
TOKEN=$(eval "$(token_command alan enigma)")
start_peers
for name in $(present "${plain_peers[@]}" "${jwt_peers[@]}"); do note start "$name" 1 "$(resident "${peer[$name]}")"; done
for ((run = 1; run <= runs; run++)); do one_run; done

table | tee "${OUT:-benches/results.md}"
! grep -E '^failed .* [1-9][0-9]*$' "$folder/rounds"
