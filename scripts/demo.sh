#!/usr/bin/env bash
# The whole of StreamRouter on one machine: three nodes, a real H.264 and Opus RTP stream from ffmpeg through all
# of them, a second ffmpeg that decodes it, and the account of what arrived.
#
#     ffmpeg -> camera ---- edge ---- studio -> ffmpeg
#
# As root each node is a network namespace and relays run at interrupt time (topologies/three-hop.yaml). Without
# root the nodes share the loopback device and relays are ordinary sockets (topologies/loopback.yaml).
# Exit status 0: every frame was decoded and no hop lost a packet.
#
#   scripts/demo.sh [SECONDS]     length of the stream, 4 to 50; default 12
#
# STREAMROUTER=PATH uses that program instead of building one.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-12}
if ! [[ $seconds =~ ^[0-9]+$ ]] || ((seconds < 4 || seconds > 50)); then
    echo "demo: '$seconds' is no number of seconds from 4 to 50" >&2
    exit 64
fi

# Where both topologies let the streams in and out: `from` and `to` of their streams.
readonly video_port=5004 audio_port=5008
readonly frame_rate=30

work=$(mktemp -d)
receiver='' sender='' account='' we_started_it='' lab=''

say() { printf '\n== %s\n' "$*"; }

fail() {
    printf 'demo: %s\n' "$*" >&2
    exit 1
}

cleanup() {
    local status=$?
    trap - EXIT INT TERM HUP
    local process
    for process in $sender $receiver $account; do
        kill "$process" 2>/dev/null || true
    done
    wait 2>/dev/null || true
    if [[ -n $we_started_it ]]; then "$streamrouter" lab down "$topology" >/dev/null || status=1; fi
    rm -rf "$work"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# The first IPv4 address behind a node's name in the topology file.
address_of() {
    awk -v node="$1" '
        /^[a-z]+:/ { section = $1 }
        section == "nodes:" && /^  [^ #]/ { current = $1; sub(/:.*/, "", current) }
        section == "nodes:" && current == node && match($0, /[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+/) {
            print substr($0, RSTART, RLENGTH)
            exit
        }' "$topology"
}

# The last value of a key in a file that ffmpeg writes with -progress.
progress_of() { awk -F = -v key="$2" '$1 == key { value = $2 } END { print value + 0 }' "$1"; }

# The number before some words in the statistics that ffmpeg -v verbose ends with: FILE, LINE, WORDS.
statistic_of() {
    sed -n "s/^ *$2.*[^0-9]\([0-9][0-9]*\) $3.*/\1/p" "$1" | tail -n 1
}

# --- Build and bring up -------------------------------------------------------------------------------------

if [[ -z ${STREAMROUTER:-} ]]; then
    scripts/setup.sh demo
    say "building"
    swift build --product streamrouter
    streamrouter="$(swift build --show-bin-path)/streamrouter"
else
    streamrouter=$STREAMROUTER
fi

bring_up() {
    topology=$1
    local said status=0
    said=$("$streamrouter" lab up "$topology") || status=$?
    if ((status == 0)); then
        printf '%s\n' "${said%%$'\n'*}"
        # A lab that was there before stays when we go.
        [[ $said != *' is up: '* ]] || we_started_it=yes
    fi
    return $status
}

say "bringing the lab up"
status=77
((EUID != 0)) || {
    status=0
    bring_up topologies/three-hop.yaml || status=$?
}
if ((status == 77)); then
    # Not root, or root without the capabilities, as in many containers.
    echo "without root: all nodes on the loopback device, relays by ordinary sockets"
    status=0
    bring_up topologies/loopback.yaml || status=$?
fi
((status == 0)) || exit "$status"
lab=$(awk '/^name:/ { print $2; exit }' "$topology")
camera=$(address_of camera)
studio=$(address_of studio)
[[ -n $camera && -n $studio ]] || fail "cannot find the addresses of camera and studio in $topology"

# --- The receiver first, so that it misses nothing ----------------------------------------------------------

cat >"$work/stream.sdp" <<SDP
v=0
o=- 0 0 IN IP4 $studio
s=StreamRouter demo
c=IN IP4 $studio
t=0 0
m=video $video_port RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1
m=audio $audio_port RTP/AVP 97
a=rtpmap:97 opus/48000/2
SDP

# localaddr: in the loopback topology the other nodes' relays have these ports on their own addresses.
# threads 1: with more, the decoder holds a frame back for each of them, and loses them when it is told to end.
# fps_mode passthrough: each decoded frame is counted once, none is repeated or left out to keep a rate.
"$streamrouter" lab exec "$lab" studio -- \
    ffmpeg -hide_banner -nostdin -nostats -v verbose \
    -protocol_whitelist file,udp,rtp -localaddr "$studio" -threads 1 \
    -reorder_queue_size 512 -buffer_size 4000000 -i "$work/stream.sdp" \
    -map 0:v -map 0:a -fps_mode passthrough -f null - \
    >"$work/receiver.log" 2>&1 &
receiver=$!

# The receiver's RTP sockets, a line each; the second field is how many bytes wait to be read.
receiver_sockets() {
    "$streamrouter" lab exec "$lab" studio -- \
        ss -Huln "src $studio and ( sport = :$video_port or sport = :$audio_port )"
}
for ((try = 0; ; try++)); do
    kill -0 "$receiver" 2>/dev/null && ((try < 100)) || {
        tail -n 5 "$work/receiver.log" >&2
        fail "the receiving ffmpeg did not open its ports on $studio"
    }
    (($(receiver_sockets | wc -l) < 2)) || break
    sleep 0.1
done

# --- The account: one reading before the stream and one behind it -------------------------------------------

"$streamrouter" monitor "$topology" --csv --interval $((seconds + 6))s --count 1 \
    >"$work/account.csv" 2>"$work/account.log" &
account=$!

# --- The sender ---------------------------------------------------------------------------------------------

say "sending $seconds s of H.264 (1280x720, $frame_rate frames/s) and Opus to $camera:$video_port and :$audio_port"
timeout --kill-after 5 $((seconds + 30)) \
    "$streamrouter" lab exec "$lab" camera -- \
    ffmpeg -hide_banner -nostdin -nostats -v verbose \
    -re -f lavfi -i "testsrc2=size=1280x720:rate=$frame_rate" \
    -re -f lavfi -i 'sine=frequency=440:sample_rate=48000' -progress "$work/sent" \
    -t "$seconds" -map 0:v -c:v libx264 -preset veryfast -tune zerolatency -profile:v baseline -pix_fmt yuv420p \
    -g 15 -b:v 2M -maxrate 2M -bufsize 500k \
    -payload_type 96 -f rtp "rtp://$camera:$video_port?localaddr=$camera&pkt_size=1200" \
    -t "$seconds" -map 1:a -c:a libopus -ac 2 -b:a 96k \
    -payload_type 97 -f rtp "rtp://$camera:$audio_port?localaddr=$camera&pkt_size=1200" \
    >"$work/sender.log" 2>&1 &
sender=$!

sleep 2
if [[ -t 1 ]]; then
    timeout --foreground --signal TERM $((seconds / 2)) "$streamrouter" monitor "$topology" || true
else
    "$streamrouter" monitor "$topology" --once || true
fi

if ! wait "$sender"; then
    tail -n 10 "$work/sender.log" >&2
    fail "the sending ffmpeg failed"
fi
sender=''
# Until nothing has waited in the receiver's sockets for a second.
for ((quiet = 0, try = 0; quiet < 4 && try < 60; try++)); do
    if [[ -z $(receiver_sockets | awk '$2 > 0') ]]; then quiet=$((quiet + 1)); else quiet=0; fi
    sleep 0.25
done
# The first signal asks ffmpeg to end after the next packet, the second not to wait for one; it then decodes what it
# still holds, and counts. A fourth would make it leave at once, uncounted.
for ((try = 0; try < 2; try++)); do
    kill -TERM "$receiver" 2>/dev/null || true
    sleep 0.3
done
for ((try = 0; try < 100; try++)); do
    kill -0 "$receiver" 2>/dev/null || break
    sleep 0.1
done
kill -KILL "$receiver" 2>/dev/null || true
# Its exit status only says that it was told to end; its account says how it went.
wait "$receiver" || true
receiver=''
if ! wait "$account"; then
    cat "$work/account.log" >&2
    fail "streamrouter monitor has no account of the stream"
fi
account=''

# --- What arrived -------------------------------------------------------------------------------------------

frames_sent=$(progress_of "$work/sent" frame)
frames_decoded=$(statistic_of "$work/receiver.log" 'Input stream #0:0 (video)' 'frames decoded')
audio_sent=$(statistic_of "$work/sender.log" 'Output stream #1:0 (audio)' 'packets muxed')
audio_received=$(statistic_of "$work/receiver.log" 'Input stream #0:1 (audio)' 'packets read')
broken=$(grep -ciE 'error while decoding|concealing|missed [0-9]+ packets|corrupt' "$work/receiver.log" || true)

say "what arrived after three hops"
printf '  video  %s frames sent, %s decoded, %s decoding errors\n' "$frames_sent" "${frames_decoded:-0}" "$broken"
printf '  audio  %s packets sent, %s received\n' "${audio_sent:-0}" "${audio_received:-0}"

say "what each hop added"
account_status=0
awk -F , '
    function time(seconds) {
        if (seconds == "") return "-"
        if (seconds < 0.001) return sprintf("%.1f us", seconds * 1000000)
        return sprintf("%.2f ms", seconds * 1000)
    }
    NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
    $column["stream"] == "" { next }
    {
        hops++
        lost = $column["packetsLost"] + 0
        dropped = $column["packetsDropped"] + 0
        if (lost + dropped > 0 || $column["packets_in"] == 0) bad++
        line[hops] = sprintf("  %-8s %3d  %-10s %-8s %8d %6d %8d %10s %10s %10s %10s", $column["stream"],
            $column["hop"], $column["node"], $column["engine"], $column["packets_in"], lost, dropped,
            time($column["jitterSeconds"]), time($column["residenceP50Seconds"]),
            time($column["residenceP99Seconds"]), time($column["residenceMaxSeconds"]))
        key[hops] = $column["stream"] " " $column["hop"]
    }
    END {
        printf "  %-8s %3s  %-10s %-8s %8s %6s %8s %10s %10s %10s %10s\n", "stream", "hop", "node", "engine",
            "packets", "lost", "dropped", "jitter", "added p50", "p99", "max"
        # By stream and hop: few lines, so the plainest sort there is.
        for (i = 1; i <= hops; i++)
            for (j = i + 1; j <= hops; j++)
                if (key[j] < key[i]) {
                    swap = key[i]; key[i] = key[j]; key[j] = swap
                    swap = line[i]; line[i] = line[j]; line[j] = swap
                }
        for (i = 1; i <= hops; i++) print line[i]
        exit hops >= 6 && !bad ? 0 : 1
    }' "$work/account.csv" || account_status=$?

verdict() {
    ((frames_sent > 0)) || { echo "nothing was sent"; return; }
    [[ -n $frames_decoded ]] || { echo "the receiving ffmpeg left no account"; return; }
    ((frames_decoded == frames_sent)) || { echo "$((frames_sent - frames_decoded)) frames did not arrive"; return; }
    [[ -n $audio_sent && $audio_sent == "$audio_received" ]] || { echo "audio packets did not arrive"; return; }
    ((broken == 0)) || { echo "frames arrived broken"; return; }
    ((account_status == 0)) || { echo "a hop lost packets, or has no account"; return; }
}
problem=$(verdict)
if [[ -n $problem ]]; then
    printf '\n'
    fail "$problem"
fi
printf '\nEvery frame arrived and no packet was lost.\n'
