#!/usr/bin/env bash
# Makes the fixtures of TsharkTests anew, in a network namespace of its own. Needs root, ffmpeg, tcpdump, tshark and
# python3. Numbers differ each time, as the stream is real; the tests hold for any.
set -euo pipefail

fixtures=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
chmod 755 "$work"
space=srstats$$
ip netns add "$space"
trap 'ip netns del "$space"; rm -rf "$work"' EXIT
ip -n "$space" link set lo up

ip netns exec "$space" tcpdump -q -i lo -Z root -w "$work/ts.pcap" udp port 5004 2>/dev/null &
capture=$!
sleep 1
ip netns exec "$space" ffmpeg -loglevel error -re -f lavfi -i testsrc=size=320x240:rate=25 -t 5 -c:v libx264 \
    -preset ultrafast -b:v 600k -pix_fmt yuv420p -f rtp_mpegts rtp://127.0.0.1:5004 </dev/null
sleep 1
kill -INT "$capture"
wait "$capture"

python3 - "$work" <<'PYTHON'
import random, struct, sys
random.seed(4737)
data = open(sys.argv[1] + '/ts.pcap', 'rb').read()
head, data, records = data[:24], data[24:], []
while len(data) >= 16:
    seconds, micros, kept, _ = struct.unpack('<IIII', data[:16])
    records.append([(seconds, micros), bytearray(data[16:16 + kept])])
    data = data[16 + kept:]
rtp = 14 + 20 + 8
first = struct.unpack('>H', records[0][1][rtp + 2:rtp + 4])[0]
for _, packet in records:
    number = struct.unpack('>H', packet[rtp + 2:rtp + 4])[0]
    packet[rtp + 2:rtp + 4] = struct.pack('>H', (number - first + 65500) & 65535)
    packet[40:42] = b'\0\0'  # no UDP checksum
last = len(records)
records = [r for i, r in enumerate(records) if i < 2 or i > last - 3 or random.random() > .05]
for i in range(5, len(records) - 5):
    if random.random() < .04:
        records[i][1], records[i + 1][1] = records[i + 1][1], records[i][1]
for i in range(5, len(records) - 5):
    if random.random() < .02:
        records[i + 1][1] = bytearray(records[i][1])
with open(sys.argv[1] + '/edited.pcap', 'wb') as file:
    file.write(head)
    for (seconds, micros), packet in records:
        file.write(struct.pack('<IIII', seconds, micros, len(packet), len(packet)) + bytes(packet))
PYTHON

for name in ts edited; do
    tshark -r "$work/$name.pcap" -d udp.port==5004,rtp -q -z rtp,streams | sed -n 3p >"$fixtures/$name.streams.txt"
    tshark -r "$work/$name.pcap" -d udp.port==5004,rtp -T fields -e frame.time_epoch -e rtp.seq -e rtp.timestamp \
        -e rtp.ssrc -e rtp.p_type -e rtp.marker -e udp.length >"$fixtures/$name.tsv"
done
