#!/usr/bin/env bash
# `make profile`: has a davgate that counts its own branches do what gateways do, and writes deploy/musl/davgate.profdata from
# it, by which deploy/scripts/static lays out the binary that is shipped. Six minutes, most of them for that davgate's build.
#
# To be renewed when the compiler, a library or its optimisation changes, because the names of all functions do then (a profile
# that fits nothing costs a quarter of the speed, in silence), and when much of a request's way has changed. Every protocol has its share, because what
# never ran is taken for what never matters.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=target/profile target=x86_64-unknown-linux-musl
gateway=${CARGO_TARGET_DIR:-target}/profile-build/$target/release/davgate
token_lifetime=7200
# shellcheck source=benches/stage.sh
source benches/stage.sh
need nginx curl rclone
rustup component add llvm-tools
profdata=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/llvm-profdata

CARGO_ENCODED_RUSTFLAGS="-Cprofile-generate=$here/counts" CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/profile-build \
    cargo build --quiet --locked --release --package davgate --target $target --bin davgate
rm -rf "$folder/counts" # of what the build itself ran
cargo build --quiet --package davgate --example load
cargo build --quiet --package davgate-demo
trap stop EXIT

start_anew() { # TLS BACKEND-PORT
    stop
    start_backend
    start_issuer
    settings=(PROXY_OIDC_AUDIENCES=davgate "PROXY_TLS=$1" PROXY_WORKERS=1)
    start_gateway "$2"
    wait_until_ready
    TOKEN=$(eval "$(token_command alan enigma)")
}
asks() { "$load" "$@" --token "$TOKEN" --address "127.0.0.1:$gateway_port"; }
fetches() { # CURL-ARGUMENTS...
    curl --silent --show-error --fail --insecure --header "Authorization: Bearer $TOKEN" --output /dev/null "$@"
}

echo "HTTP/1.1"
start_anew false "$backend_port"
asks requests --connections 32 --count 40000 --path /files/kibibyte
asks get --path /files/gibibyte
asks put --bytes $((512 << 20)) --path /files/sink/a

echo "HTTP/1.1 over TLS"
start_anew true "$backend_port"
asks requests --connections 32 --count 30000 --path /files/kibibyte --tls
asks handshakes --count 500 --path /files/kibibyte --tls
asks get --path /files/gibibyte --tls
asks put --bytes $((512 << 20)) --path /files/sink/a --tls

echo "HTTP/2"
fetches --http2 --parallel --parallel-max 16 "https://localhost:$gateway_port/files/kibibyte?[1-10000]"
fetches --http2 "https://localhost:$gateway_port/files/gibibyte"
fetches --http2 --upload-file "$folder/files/gibibyte" "https://localhost:$gateway_port/files/sink/a"

echo "new tokens, refusals"
for _ in $(seq 100); do
    TOKEN=$("$bin/davgate-demo" token --issuer "$issuer" --user alan --password enigma)
    fetches "https://localhost:$gateway_port/files/kibibyte"
    fetches --header 'Authorization: Bearer none' "https://localhost:$gateway_port/files/kibibyte" 2>/dev/null || true
done

echo "a sync client"
start_anew true "$store_port"
mkdir -p "$folder/up"
for number in $(seq 1000); do echo "file $number" >"$folder/up/file $number"; done
export RCLONE_CONFIG=
eval "$(rclone_line "$folder/up" :webdav:synced)"
eval "$(rclone_line :webdav:synced "$folder/down")"
stop

"$profdata" merge --sparse --output deploy/musl/davgate.profdata "$folder"/counts/*.profraw
deploy/scripts/profile-fits >deploy/musl/davgate.profdata.for
echo "deploy/musl/davgate.profdata: $(stat --format %s deploy/musl/davgate.profdata) bytes"
