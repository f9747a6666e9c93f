#!/bin/bash
# Makes the pictures in docs/img from the real program: a lab of topologies/three-hop.yaml, a real stream through it,
# the monitor in a terminal of its own size. Needs root, ffmpeg, tmux, python3 and chromium. Takes about 100 s, so that the
# sparkline of the last minute is full.
#
# Usage: scripts/pictures.sh [STREAMROUTER]      the program, .build/release/streamrouter unless it is named
set -euo pipefail
cd "$(dirname "$0")/.."

browser=$(command -v chromium) || { echo "pictures.sh: there is no chromium; install it: apt-get install chromium" >&2; exit 1; }
program=$(realpath "${1:-.build/release/streamrouter}")
topology=topologies/three-hop.yaml
lab=three-hop
work=$(mktemp -d)
pids=()
terminal() { tmux -L "streamrouter-pictures-$$" -f /dev/null "$@"; }

if "$program" lab status $lab >/dev/null 2>&1; then
  echo "pictures.sh: lab $lab runs already; take it down first: streamrouter lab down $lab" >&2
  exit 1
fi

clean() {
  terminal kill-server 2>/dev/null || true
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  "$program" lab down $lab >/dev/null 2>&1 || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap clean EXIT

"$program" lab up $topology >/dev/null

# What SDP says of the stream: H.264 and Opus, received at the studio.
cat >"$work/studio.sdp" <<SDP
v=0
o=- 0 0 IN IP4 10.42.0.3
s=three-hop
c=IN IP4 10.42.0.3
t=0 0
m=video 5004 RTP/AVP 96
a=rtpmap:96 H264/90000
m=audio 5008 RTP/AVP 97
a=rtpmap:97 opus/48000/2
SDP
"$program" lab exec $lab studio -- ffmpeg -v error -nostdin -protocol_whitelist file,udp,rtp \
  -i "$work/studio.sdp" -f null - 2>"$work/receiver.log" &
pids+=($!)
"$program" lab exec $lab camera -- ffmpeg -v error -nostdin -re \
  -f lavfi -i testsrc2=size=1280x720:rate=30 -re -f lavfi -i sine=frequency=440:sample_rate=48000 \
  -map 0:v -c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -g 30 -b:v 4M \
  -f rtp 'rtp://10.42.0.1:5004?pkt_size=1200' \
  -map 1:a -c:a libopus -b:a 96k -payload_type 97 -f rtp rtp://10.42.0.1:5008 \
  >/dev/null 2>"$work/sender.log" &
pids+=($!)

# picture NAME TITLE: what the terminal shows now.
picture() {
  terminal capture-pane -e -p -N -t 0 |
    python3 scripts/screen-to-svg.py "$2" >"docs/img/$1.svg.new"
  mv "docs/img/$1.svg.new" "docs/img/$1.svg"
}

terminal new-session -d -x 120 -y 14 "LC_ALL=C.UTF-8 '$program' monitor $topology"
terminal set-option status off
terminal resize-window -x 120 -y 14
"$program" report $topology --for 60s --html --output "$work/report.html" 2>"$work/report.log" &
report=$!
sleep 66
wait $report || { cat "$work/report.log" >&2; exit 1; }
"$browser" --headless --no-sandbox --hide-scrollbars --window-size=1000,1500 \
  --screenshot="$work/report.png" "file://$work/report.html" >/dev/null 2>&1
mv "$work/report.png" docs/img/report.png
picture monitor "streamrouter monitor: six relays, two streams over three hops"

# The middle hop of the video: the stream's path, the last minute, all about the hop.
terminal resize-window -x 120 -y 58
terminal send-keys j j j j Enter
sleep 3
picture detail "streamrouter monitor, detail: the path hop by hop, the last minute, one relay and its counters"

terminal resize-window -x 120 -y 22
terminal send-keys Escape n
sleep 2
picture nodes "streamrouter monitor, nodes: load, engines, relays"
terminal resize-window -x 130 -y 40
terminal send-keys j Enter
sleep 2
picture node "streamrouter monitor, one node: its load over the last minute, its engines and relays"
terminal resize-window -x 130 -y 22
terminal send-keys Escape Escape l
sleep 2
picture links "streamrouter monitor, links: loss by direction, round trip, delay variation, clocks"
terminal resize-window -x 100 -y 30
terminal send-keys Escape c
sleep 1
picture columns "streamrouter monitor, columns: which are shown and in which order"

# Something to tell: a link that loses, and stops losing.
terminal send-keys Escape
"$program" lab impair $lab --link edge--studio --loss 3 >/dev/null
sleep 5
"$program" lab impair $lab --link edge--studio --clear >/dev/null
sleep 4
terminal resize-window -x 120 -y 14
terminal send-keys e
sleep 2
picture events "streamrouter monitor, events: what happened since it was started"

for pid in "${pids[@]}"; do
  kill -0 "$pid" 2>/dev/null || { cat "$work"/*.log >&2; echo "pictures.sh: a stream ended early" >&2; exit 1; }
done
echo "wrote docs/img/{monitor,detail,nodes,node,links,columns,events}.svg and docs/img/report.png"
