#!/usr/bin/env bash
# `make compare`: CPU per request of davgate with authentication beside nginx and HAProxy without, in one run.
#
# One thread each, 1 KiB answers, 32 kept-alive connections, a token in every request. Rounds are interleaved, because a
# machine is never quiet: only ratios of one run mean anything. ROUNDS (12) and SECONDS_PER_ROUND (2) by environment.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin
# shellcheck source=tests/scripts/checks.sh
source tests/scripts/checks.sh
need wrk nginx haproxy

rounds=${ROUNDS:-12} seconds=${SECONDS_PER_ROUND:-2}
folder=target/compare
rm -rf "$folder"
mkdir -p "$folder"
here=$PWD/$folder
gateway_port=$(free_port) debug_port=$(free_port) issuer_port=$(free_port) store_port=$(free_port)
backend_port=$(free_port) nginx_port=$(free_port) haproxy_port=$(free_port)
gateway=${CARGO_TARGET_DIR:-target}/release/davgate
settings=(PROXY_OIDC_AUDIENCES=davgate PROXY_TLS=false PROXY_WORKERS=1)
# shellcheck source=deploy/demo/stack.sh
source deploy/demo/stack.sh

nginx_configuration() { # NAME SERVER-BLOCK
    cat <<CONFIGURATION
worker_processes 1; daemon off; pid $here/$1.pid; error_log $here/$1.log;
events { worker_connections 1024; }
http {
    access_log off; keepalive_requests 1000000000; client_body_temp_path $here/tmp; proxy_temp_path $here/tmp;
    fastcgi_temp_path $here/tmp; uwsgi_temp_path $here/tmp; scgi_temp_path $here/tmp;
    upstream backend { server 127.0.0.1:$backend_port; keepalive 64; keepalive_requests 1000000000; }
    server { listen 127.0.0.1:$2; $3 }
}
CONFIGURATION
}
mkdir -p "$folder/files"
head -c 768 /dev/urandom | base64 -w 0 >"$folder/files/kibibyte"
nginx_configuration backend "$backend_port" "location /files/ { alias $here/files/; }" >"$folder/backend.conf"
nginx_configuration nginx "$nginx_port" \
    "location / { proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ''; }" >"$folder/nginx.conf"
cat >"$folder/haproxy.cfg" <<CONFIGURATION
global
    nbthread 1
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

cargo build --quiet --release --package davgate
cargo build --quiet --package davgate-demo
trap stop EXIT
# A peer's processes are the process started and its children.
declare -A peer
nginx -c "$here/backend.conf" 2>/dev/null & pids+=($!)
nginx -c "$here/nginx.conf" 2>/dev/null & pids+=($!)
peer[nginx]=$!
haproxy -db -f "$folder/haproxy.cfg" >/dev/null 2>&1 & pids+=($!)
peer[haproxy]=$!
start_issuer
start_gateway "$backend_port"
peer[davgate]=${pids[-1]}
wait_until_ready
TOKEN=$(eval "$(token_command alan enigma)")

declare -A port=([nginx]=$nginx_port [haproxy]=$haproxy_port [davgate]=$gateway_port)
names=(nginx haproxy davgate)

# Nanoseconds on a CPU, user and kernel, all threads: exact, where the ticks of /proc/PID/stat are samples.
cpu_time() {
    local pid
    for pid in "$1" $(pgrep -P "$1"); do
        cat /proc/"$pid"/task/*/schedstat
    done | awk '{ total += $1 } END { printf "%d\n", total }'
}
round() { # NAME; prints microseconds of CPU per request, requests per second and requests that failed
    local before after output
    before=$(cpu_time "${peer[$1]}")
    output=$(wrk --threads 1 --connections 32 --duration "${seconds}s" --header "Authorization: Bearer $TOKEN" \
        "http://127.0.0.1:${port[$1]}/files/kibibyte")
    after=$(cpu_time "${peer[$1]}")
    awk -v nanoseconds=$((after - before)) '
        / requests in / { requests = $1 }
        /Requests\/sec/ { rate = $2 }
        /Non-2xx/ { failed = $NF }
        /Socket errors/ { gsub(/[^0-9 ]/, ""); for (i = 1; i <= NF; i++) failed += $i }
        END { printf "%.2f %.0f %d\n", nanoseconds / 1000 / (requests ? requests : 1), rate, failed }' <<<"$output"
}

for name in "${names[@]}"; do round "$name" >/dev/null; done # warm
for ((number = 1; number <= rounds; number++)); do
    for name in "${names[@]}"; do
        echo "$number $name $(round "$name")" | tee -a "$folder/rounds" >&2
    done
done

# Medians, and the median of each round's ratio to nginx.
awk '
function median(list, count,   i, j, t) {
    for (i = 2; i <= count; i++) for (j = i; j > 1 && list[j - 1] > list[j]; j--) { t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
    return count % 2 ? list[(count + 1) / 2] : (list[count / 2] + list[count / 2 + 1]) / 2
}
{ cpu[$2, $1] = $3; rate[$2, $1] = $4; failed[$2] += $5; names[$2]; if ($1 > rounds) rounds = $1 }
END {
    printf "\n%-10s %18s %12s %16s %8s\n", "peer", "CPU per request", "requests/s", "ratio to nginx", "failed"
    count = split("nginx haproxy davgate", order, " ")
    for (n = 1; n <= count; n++) {
        name = order[n]
        for (i = 1; i <= rounds; i++) { c[i] = cpu[name, i]; r[i] = rate[name, i]; q[i] = cpu[name, i] / cpu["nginx", i] }
        printf "%-10s %15.1f us %12.0f %16.2f %8d\n", name, median(c, rounds), median(r, rounds), median(q, rounds), failed[name]
        bad += failed[name]
    }
    exit bad > 0
}' "$folder/rounds"
