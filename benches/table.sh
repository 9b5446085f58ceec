# shellcheck shell=bash
# The table of compare.sh, from the lines it noted: medians, and the median of each round's ratio to a peer.
# shellcheck disable=SC2154  # set by the reader

# WHAT PEER OTHER: the median of the ratios of PEER to OTHER within each round.
ratio() {
    awk -v what="$1" -v peer="$2" -v other="$3" '
        $1 == what && $2 == peer { own[$3] = $4 }
        $1 == what && $2 == other { base[$3] = $4 }
        END { for (i in own) if (base[i] > 0) print own[i] / base[i] }' "$folder/rounds" | sort -n |
        awk '{ v[NR] = $1 } END { if (NR) printf "%.2f (%.2f-%.2f)", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2, v[1], v[NR] }'
}

machine() {
    local model
    model=$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1)
    echo "$(nproc) cores, ${model:-unknown processor}, Linux $(uname -r | cut -d. -f1-2)"
}


table() {
    local m=source_median
    cat <<HEAD
# What davgate costs beside others

Written by \`make compare\` on $(date -u +%F): $(machine); $(nginx -v 2>&1 | sed 's/.*: //'), HAProxy $(haproxy -v | sed -n '1s/.*version \([0-9.]*\).*/\1/p'), $("$gateway" version).
One thread each, a loopback backend, 32 kept-alive connections, 1 KiB answers, a token of ${#TOKEN} bytes in every request; $rounds interleaved rounds of $seconds s,
$bulk_rounds of bulk. davgate authenticates, with access log, metrics and time limits on; nginx and HAProxy only proxy. Ratios are medians of each round's ratio, lowest
and highest in brackets. Load average $(cut -d' ' -f1 /proc/loadavg) while it ran: absolute figures are those of a busy machine.

| one request | nginx | HAProxy | davgate | davgate / nginx | davgate / HAProxy | goal |
|---|---|---|---|---|---|---|
| CPU, us | $($m cpu nginx) | $($m cpu haproxy) | $($m cpu davgate) | $(ratio cpu davgate nginx) | $(ratio cpu davgate haproxy) | 1.00 of nginx, limit 1.10 |
| requests/s | $($m rate nginx) | $($m rate haproxy) | $($m rate davgate) | $(ratio rate davgate nginx) | $(ratio rate davgate haproxy) | |
| p50 at $half/s, us | $($m p50 nginx) | $($m p50 haproxy) | $($m p50 davgate) | $(ratio p50 davgate nginx) | $(ratio p50 davgate haproxy) | |
| p99 at $half/s, us | $($m p99 nginx) | $($m p99 haproxy) | $($m p99 davgate) | $(ratio p99 davgate nginx) | $(ratio p99 davgate haproxy) | 1.1 of HAProxy |
| download, CPU s/GiB | $($m get nginx) | $($m get haproxy) | $($m get davgate) | $(ratio get davgate nginx) | $(ratio get davgate haproxy) | 0.60 of HAProxy |
| upload, CPU s/GiB | $($m put nginx) | $($m put haproxy) | $($m put davgate) | $(ratio put davgate nginx) | $(ratio put davgate haproxy) | 0.60 of HAProxy |
| resident after start, KiB | $($m start nginx) | $($m start haproxy) | $($m start davgate) | | | 15,360 |
| KiB per idle connection | $($m idle nginx) | $($m idle haproxy) | $($m idle davgate) | | | 16 |

| TLS 1.3, P-256 | nginx | davgate | ratio | goal |
|---|---|---|---|---|
| CPU per request, us | $($m tls-request nginx-tls) | $($m tls-request davgate-tls) | $(ratio tls-request davgate-tls nginx-tls) | 0.85 |
| full handshake with one request, us | $($m handshake nginx-tls) | $($m handshake davgate-tls) | $(ratio handshake davgate-tls nginx-tls) | 0.60 |
| resumed handshake with one request, us | $($m resumption nginx-tls) | $($m resumption davgate-tls) | $(ratio resumption davgate-tls nginx-tls) | |
| download, CPU s/GiB | $($m tls-get nginx-tls) | $($m tls-get davgate-tls) | $(ratio tls-get davgate-tls nginx-tls) | |
| upload, CPU s/GiB | $($m tls-put nginx-tls) | $($m tls-put davgate-tls) | $(ratio tls-put davgate-tls nginx-tls) | 0.70 |
| KiB per idle HTTP/2 connection | | $($m idle-http2 davgate-tls) | | 40 |

A new token's first request takes $($m cold davgate) us, its second $($m warm davgate) us (medians of 15, connection included): verification, userinfo at the demo's issuer, embedded account.
HEAD
}
