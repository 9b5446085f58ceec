#!/usr/bin/env bash
# `make demo`: davgate with a small issuer, embedded accounts and a WebDAV store, until Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=target/demo
gateway_port=${DEMO_PORT:-9200} debug_port=${DEMO_DEBUG_PORT:-9205}
issuer_port=${DEMO_ISSUER_PORT:-9310} store_port=${DEMO_STORE_PORT:-9311}
# shellcheck source=deploy/demo/stack.sh
source deploy/demo/stack.sh

echo "Building davgate and the demo (the first time takes a few minutes) ..."
build
trap stop EXIT
start
wait_until_ready

cat <<LINES

davgate listens on https://localhost:$gateway_port, the issuer on http://127.0.0.1:$issuer_port.
Users: alan with password enigma (admin), mary with password basic (user). Paste into another terminal, in this folder:

  # A token, by the issuer's login form; for the login in a browser leave --user and --password out.
  $(token_line)

  # A file to the store and back.
  $(put_line README.md)
  $(get_line README.md)

  # A folder, with rclone; it asks for a new token whenever the old one has ended.
  $(rclone_line docs :webdav:docs)
  $(rclone_line :webdav:docs /tmp/docs)

Files are in $folder/files, the gateway's log in $folder/davgate.log. Ctrl-C stops everything.
LINES

trap 'exit 0' INT TERM
# Ends early only if a part does, which is a fault.
wait -n
echo "A part of the demo ended:" >&2
tail -n 5 "$folder"/*.log >&2
exit 1
