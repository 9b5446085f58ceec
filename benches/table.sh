# shellcheck shell=bash
# The tables of compare.sh, from the lines it noted: the median of the runs' medians, and of each round's ratio to a peer.
# shellcheck disable=SC2154  # set by the reader

# The median of lines `RUN VALUE` within each run, then of the runs; with `range`, the lowest and highest value too.
median_of_runs() { # [range]
    sort -k1,1n -k2,2g | awk -v range="${1:-}" '
        function middle(from, to) { return (to - from) % 2 ? (v[int((from + to) / 2)] + v[int((from + to) / 2) + 1]) / 2 : v[(from + to) / 2] }
        { if ($1 != run) { if (NR > 1) m[++n] = middle(from, NR - 1); run = $1; from = NR }
          v[NR] = $2; if (NR == 1 || $2 < low) low = $2; if (NR == 1 || $2 > high) high = $2 }
        END { if (!NR) { printf "-"; exit }
              m[++n] = middle(from, NR)
              for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (m[j] < m[i]) { t = m[i]; m[i] = m[j]; m[j] = t }
              result = n % 2 ? m[(n + 1) / 2] : (m[n / 2] + m[n / 2 + 1]) / 2
              printf (range ? "%.2f (%.2f-%.2f)" : result < 10 ? "%.2f" : result < 100 ? "%.1f" : "%.0f"), result, low, high }'
}
median() { # WHAT PEER
    awk -v what="$1" -v peer="$2" '$1 == what && $2 == peer { print $3, $5 }' "$folder/rounds" | median_of_runs
}
ratio() { # WHAT PEER OTHER
    awk -v what="$1" -v peer="$2" -v other="$3" '
        $1 == what && $2 == peer { own[$3 " " $4] = $5 }
        $1 == what && $2 == other { base[$3 " " $4] = $5 }
        END { for (i in own) if (base[i] > 0) { split(i, at, " "); print at[1], own[i] / base[i] } }' "$folder/rounds" |
        median_of_runs range
}

machine() {
    local model
    model=$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1)
    echo "$(nproc) cores, ${model:-unknown processor}, Linux $(uname -r | cut -d. -f1-2)"
}

does() { # PEER
    case $1 in
    davgate) echo "**token verified once, identity told, access log, metrics, time limits**" ;;
    haproxy-jwt) echo "token verified at each request" ;;
    envoy-jwt) echo "token verified once and cached" ;;
    *) echo "proxies only" ;;
    esac
}
row() { # PEER
    local name=$1 cells="" what
    if [ -n "${absent[$name]:-}" ]; then
        echo "| $name $(version_of "$name") | $(does "$name") | not measured: ${absent[$name]} | | | | | | | | |"
        return
    fi
    for what in rate cpu; do cells+=" $(median "$what" "$name") |"; done
    if [ "$name" = nginx ]; then cells+=" 1 |"; else cells+=" $(ratio cpu "$name" nginx) |"; fi
    for what in p50 p99 start get put idle; do cells+=" $(median "$what" "$name") |"; done
    echo "| $name $(version_of "$name") | $(does "$name") |$cells"
}

# WHAT, and how many of it a second of CPU does.
per_second() { awk -v us="$(median "$1" "$2")" 'BEGIN { printf (us > 0 ? "%.0f" : "-"), 1e6 / (us > 0 ? us : 1) }'; }

table() {
    local m=median name
    cat <<HEAD
# What davgate costs beside others

Written by \`RUNS=$runs make compare\` on $(date -u +%F): $(machine); $(file_kind). One thread each, a loopback backend, 32 kept-alive connections, 1 KiB answers, an
RS256 token of ${#TOKEN} bytes in every request; medians of $runs runs of $rounds interleaved rounds of $seconds s ($few_rounds of bulk). Ratios are
taken within each round, lowest and highest in brackets. Load average $(cut -d' ' -f1 /proc/loadavg) at the end, $(((SECONDS - began) / 60)) minutes in all.

| peer | what it does | requests/s | CPU us/request | of nginx | p50 us | p99 us | resident KiB | down, CPU s/GiB | up | KiB/idle connection |
|---|---|---|---|---|---|---|---|---|---|---|
HEAD
    for name in "${plain_peers[@]}" "${jwt_peers[@]}" davgate; do row "$name"; done
    cat <<GOALS

p50 and p99 at half of davgate's rate ($(half_load davgate)/s), or of the peer's own where that is less. Resident after the start, before the first request.

| davgate beside the goals of its design | measured | goal |
|---|---|---|
| CPU of a warm request / nginx | $(ratio cpu davgate nginx) | 1.00, limit 1.10 |
| p99 at half load / HAProxy | $(ratio p99 davgate haproxy) | 1.10 |
| download, CPU per GiB / HAProxy | $(ratio get davgate haproxy) | 0.60 |
| upload, CPU per GiB / HAProxy | $(ratio put davgate haproxy) | 0.60 |
| resident after start, KiB | $($m start davgate) | 15360 |
| KiB per idle HTTP/1.1 connection | $($m idle davgate) | 16 |
| KiB per idle TLS and HTTP/2 connection | $($m idle-http2 davgate-tls) | 40 |
| TLS request / nginx | $(ratio tls-request davgate-tls nginx-tls) | 0.85 |
| TLS full handshake / nginx | $(ratio handshake davgate-tls nginx-tls) | 0.60 |
| TLS upload / nginx | $(ratio tls-put davgate-tls nginx-tls) | 0.70 |
| a new token's first request, us | $($m cold davgate), the second $($m warm davgate) | round trips + 1000 |

| TLS 1.3, P-256 | nginx | davgate | ratio |
|---|---|---|---|
| CPU us per request | $($m tls-request nginx-tls) | $($m tls-request davgate-tls) | $(ratio tls-request davgate-tls nginx-tls) |
| full handshakes with one request, per CPU second | $(per_second handshake nginx-tls) | $(per_second handshake davgate-tls) | $(ratio handshake davgate-tls nginx-tls) of the CPU |
| resumed ones | $(per_second resumption nginx-tls) | $(per_second resumption davgate-tls) | $(ratio resumption davgate-tls nginx-tls) of the CPU |
| download, CPU s/GiB | $($m tls-get nginx-tls) | $($m tls-get davgate-tls) | $(ratio tls-get davgate-tls nginx-tls) |
| upload, CPU s/GiB | $($m tls-put nginx-tls) | $($m tls-put davgate-tls) | $(ratio tls-put davgate-tls nginx-tls) |

New tokens: medians of 15 a run, connection included; signature, userinfo at the demo's issuer, embedded account.
GOALS
}

# The build that was measured.
file_kind() {
    if readelf --program-headers "$gateway" 2>/dev/null | grep -q INTERP; then
        echo "davgate $(version_of davgate), a dynamic build"
    else
        echo "davgate $(version_of davgate), the static build of the image"
    fi
}
