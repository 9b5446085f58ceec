#!/usr/bin/env bash
# `make demo-check`: starts the demo on free ports and runs the lines that `make demo` prints.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=target/demo-check
rm -rf "$folder"
mkdir -p "$folder"
# shellcheck source=tests/scripts/checks.sh
source tests/scripts/checks.sh
need curl rclone
gateway_port=$(free_port) debug_port=$(free_port) issuer_port=$(free_port) store_port=$(free_port)
# shellcheck source=deploy/demo/stack.sh
source deploy/demo/stack.sh

status() { # CODE CURL-ARGUMENTS...
    local wanted=$1 got
    shift
    got=$(curl --silent --output /dev/null --write-out '%{http_code}' --cacert "$(certificate)" "$@")
    [ "$got" = "$wanted" ] || { echo "status $got instead of $wanted"; return 1; }
}
refused_login() { ! eval "$(token_command alan guess | sed 's/--cache .*//')"; }

build
trap stop EXIT
start
wait_until_ready

# Names that have to survive two parsers: blanks, percent signs, letters beyond ASCII, an empty file, one of 3 MiB.
mkdir -p "$folder/up/deep folder/x"
for number in $(seq 20); do echo "file $number" >"$folder/up/deep folder/file $number.txt"; done
echo plain >"$folder/up/plain.txt"
echo percent >"$folder/up/100%25 #1 & more.txt"
echo letters >"$folder/up/deep folder/x/Grüße 文件.txt"
: >"$folder/up/empty"
head -c 3145728 /dev/urandom >"$folder/up/deep folder/x/random.bin"

eval "$(token_line)"
check "a token comes out of the login form" test -n "$TOKEN"
check "a wrong password gets no token" refused_login
check "curl uploads a file" eval "$(put_line "$folder/up/plain.txt")"
check "curl downloads it" eval "$(get_line plain.txt) | cmp - $folder/up/plain.txt"
check "without a token it is 401" status 401 "$(files_url)/plain.txt"
check "a forged Remote-User is 401" status 401 -H 'Remote-User: alan' "$(files_url)/plain.txt"
check "an altered token is 401" status 401 -H "Authorization: Bearer ${TOKEN%????}AAAA" "$(files_url)/plain.txt"
alan=$TOKEN
TOKEN=$(eval "$(token_command mary basic)")
check "another user does not see it" status 404 -H "Authorization: Bearer $TOKEN" "$(files_url)/plain.txt"
check "nor by a forged header" status 404 -H "Authorization: Bearer $TOKEN" -H 'Remote-User: alan' "$(files_url)/plain.txt"
TOKEN=$alan
check "the first user still does" status 200 -H "Authorization: Bearer $TOKEN" "$(files_url)/plain.txt"

export RCLONE_CONFIG=
check "rclone uploads a folder" eval "$(rclone_line "$folder/up" :webdav:synced)"
check "rclone downloads it" eval "$(rclone_line :webdav:synced "$folder/down")"
check "both are equal" diff -r "$folder/up" "$folder/down"
rm "$folder/up/plain.txt"
echo changed and longer >"$folder/up/empty"
check "rclone syncs changes" eval "$(rclone_line "$folder/up" :webdav:synced)"
check "rclone syncs them back" eval "$(rclone_line :webdav:synced "$folder/down")"
check "both are equal again" diff -r "$folder/up" "$folder/down"

gateway=${pids[1]}
kill "$gateway"
check "the gateway ends well on SIGTERM" wait "$gateway"
check "no token is in its log" eval "! grep -qF -e '$TOKEN' -e '${TOKEN##*.}' $folder/davgate.log"

summary demo
