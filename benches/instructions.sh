#!/usr/bin/env bash
# `make bench-check`: instructions of user space, counted by callgrind and compared with benches/instructions.txt, a name and
# a number on each line; more than 3 % above any of them fails. Times on a shared machine vary by a tenth and more; these
# numbers vary by less than a hundredth.
#
#   benches/instructions.sh [--record] [warm|micro]
#
# `warm` is one warm, authenticated request through the whole gateway, `micro` the cases of benches/micro; both without an
# argument. `--record` writes what was counted into the file instead, and leaves its other lines alone.
#
# Kernel time is not seen. Valgrind's processor has no SHA instructions: a token's digest counts 38,000 here and costs a tenth
# of that on real ones. Signatures are counted as this machine's processor computes them; another may have other numbers.
set -euo pipefail
cd "$(dirname "$0")/.."
record=
[ "${1:-}" != --record ] || { record=1; shift; }
what=${1:-all}
folder=target/bench-check recorded=benches/instructions.txt
binary=${gateway:-${CARGO_TARGET_DIR:-target}/release/davgate}
gateway=$PWD/$folder/davgate
# shellcheck source=benches/stage.sh
source benches/stage.sh
need valgrind nginx
counts=$folder/counts
: >"$counts"

# Only the server runs under valgrind, not the health command.
wrap_gateway() {
    cat >"$gateway" <<WRAPPER
#!/bin/sh
[ "\$1" = server ] || exec "$binary" "\$@"
exec valgrind --quiet --tool=callgrind --callgrind-out-file=$here/\$CALLGRIND_OUT "$binary" "\$@"
WRAPPER
    chmod +x "$gateway"
}

total() { # CALLGRIND-FILE
    awk '/^(totals|summary):/ { print $2; exit }' "$1"
}

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
    counted=$(total "$folder/callgrind.$1")
}

# The difference of two runs, of 500 and of 2,500 requests, so that the start is not counted.
count_warm_request() {
    [ -n "${DAVGATE_IS_BUILT:-}" ] || cargo build --quiet --release --package davgate --bin davgate
    cargo build --quiet --package davgate --example load
    cargo build --quiet --package davgate-demo
    wrap_gateway
    trap stop EXIT
    instructions 500
    local few=$counted
    instructions 2500
    echo "warm_request $(((counted - few) / 2000))" >>"$counts"
}

# One run of all cases; callgrind writes a file whenever a count ends, numbered in their order. Of a case the least counts.
count_micro() {
    local bench name runs number=0
    # The bench's own profile keeps the symbols by which callgrind finds a case.
    bench=$(cargo bench --quiet --no-run --package davgate --bench micro --message-format json |
        sed -n 's/.*"executable":"\([^"]*\/micro-[^"]*\)".*/\1/p')
    valgrind --quiet --tool=callgrind --callgrind-out-file="$folder/micro" --collect-atstart=no \
        --toggle-collect=micro::counted_case --dump-after=micro::counted_case "$bench" --count >"$folder/cases"
    while read -r name runs; do
        number=$((number + 1))
        echo "$name $(($(total "$folder/micro.$number") / runs))"
    done <"$folder/cases" |
        awk '!($1 in least) { least[$1] = $2; order[++n] = $1 } $2 < least[$1] { least[$1] = $2 }
            END { for (i = 1; i <= n; i++) print order[i], least[order[i]] }' >>"$counts"
}

[ "$what" = micro ] || count_warm_request
[ "$what" = warm ] || count_micro

if [ -n "$record" ]; then
    touch "$recorded"
    awk 'NR == FNR { new[$1] = $2; order[++n] = $1; next }
        { print $1, ($1 in new) ? new[$1] : $2; seen[$1] = 1 }
        END { for (i = 1; i <= n; i++) if (!(order[i] in seen)) print order[i], new[order[i]] }' \
        "$counts" "$recorded" >"$folder/recorded"
    cp "$folder/recorded" "$recorded"
    echo "recorded: $(wc -l <"$counts") counts"
    exit
fi

awk 'NR == FNR { before[$1] = $2; next }
    !($1 in before) { printf "%-32s %10d  not recorded\n", $1, $2; bad++; next }
    { change = ($2 / before[$1] - 1) * 100; worse = $2 * 100 > before[$1] * 103
      printf "%-32s %10d  recorded %10d  %+.1f %%%s\n", $1, $2, before[$1], change, worse ? "  TOO MANY" : ""; bad += worse }
    END { exit bad > 0 }' "$recorded" "$counts" || {
    echo "more than 3 % above, or not recorded; \`benches/instructions.sh --record\` accepts it" >&2
    exit 1
}
