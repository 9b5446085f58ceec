#!/usr/bin/env bash
# `make bench-check`: instructions that davgate spends on one warm, authenticated request, counted by callgrind and
# compared with benches/instructions.txt; more than 3 % above fails. Times on a shared machine vary by a tenth and more;
# this number varies by less than a hundredth. `--record` writes the file instead.
#
# The difference of two runs, of 500 and of 2,500 requests, so that the start is not counted. Kernel time is not seen.
# Valgrind's processor has no SHA instructions: the token's digest counts 29,000 here and costs a tenth of that on real ones.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=target/bench-check recorded=benches/instructions.txt
binary=${gateway:-${CARGO_TARGET_DIR:-target}/release/davgate}
gateway=$PWD/$folder/davgate
# shellcheck source=benches/stage.sh
source benches/stage.sh
need valgrind nginx

[ -n "${DAVGATE_IS_BUILT:-}" ] || cargo build --quiet --release --package davgate --bin davgate
cargo build --quiet --package davgate --example load
cargo build --quiet --package davgate-demo
trap stop EXIT

# Only the server runs under valgrind, not the health command.
cat >"$gateway" <<WRAPPER
#!/bin/sh
[ "\$1" = server ] || exec "$binary" "\$@"
exec valgrind --quiet --tool=callgrind --callgrind-out-file=$here/\$CALLGRIND_OUT "$binary" "\$@"
WRAPPER
chmod +x "$gateway"

instructions() { # REQUESTS; leaves the instructions of the whole run in `counted`
    settings=(PROXY_OIDC_AUDIENCES=davgate PROXY_TLS=false PROXY_WORKERS=1 "CALLGRIND_OUT=callgrind.$1")
    start_backend
    start_issuer
    start_gateway "$backend_port"
    wait_until_ready
    local token answers
    token=$(eval "$(token_command alan enigma)")
    answers=$("$load" requests --connections 8 --count "$1" --address "127.0.0.1:$gateway_port" --path /files/kibibyte \
        --token "$token")
    [[ $answers == "$1 0 "* ]] || { echo "requests failed: $answers" >&2; return 1; }
    stop
    counted=$(awk '/^totals:/ { print $2 }' "$folder/callgrind.$1")
}

instructions 500
few=$counted
instructions 2500
measured=$(((counted - few) / 2000))
if [ "${1:-}" = --record ]; then
    echo "warm_request $measured" >"$recorded"
    echo "recorded: $measured instructions per warm request"
    exit
fi
before=$(awk '$1 == "warm_request" { print $2 }' "$recorded")
echo "instructions per warm request: $measured, recorded $before"
if [ $((measured * 100)) -gt $((before * 103)) ]; then
    echo "that is more than 3 % above; \`benches/instructions.sh --record\` accepts it" >&2
    exit 1
fi
