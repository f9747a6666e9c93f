#!/usr/bin/env bash
# Makes the captures of CaptureAnalysisTests anew, in a network namespace of its own, and what tshark says of them.
# Needs root, ffmpeg, GStreamer, tcpdump, tshark and python3. Numbers differ each time, as the streams are real; the
# tests hold for any.
#
#   h264    ffmpeg, H.264, dynamic payload type, with RTCP
#   dtx     GStreamer, Opus with discontinuous transmission: two seconds of sound, then silence
#   two     GStreamer, two sources with one pair of socket addresses
#   ts      ffmpeg, MPEG-TS, static payload type
#   rtcp    GStreamer, a sender and a receiver with RTCP in both directions, of which RTCP is kept; at its end
#           extended reports made by hand, as GStreamer sends none
#   udpts   ffmpeg, MPEG-TS without RTP: picture and sound at a constant rate, null packets
#   tscut   ts without one, two and three of its datagrams
#   udpcut  udpts without one and two of its datagrams, and two exchanged
#   edited  h264 with loss, reordering (also of the first packets), duplicates, and both numbers wrapping
#
# Before the streams with dynamic payload types stands their session description in a SAP packet (RFC 2974), from
# which tshark takes clock rates and ports.
set -euo pipefail

fixtures=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
chmod 755 "$work"
space=sranalyze$$
ip netns add "$space"
trap 'ip netns del "$space"; rm -rf "$work"' EXIT
ip -n "$space" link set lo up

begin() {
    ip netns exec "$space" tcpdump -q -i lo -Z root -w "$work/$1.pcap" udp portrange 5004-5099 2>/dev/null &
    capture=$!
    sleep 1
}
end() {
    sleep 1
    kill -INT "$capture"
    wait "$capture"
}
inside() { ip netns exec "$space" "$@" </dev/null; }

begin h264
inside ffmpeg -loglevel error -re -f lavfi -i testsrc=size=160x120:rate=25 -t 8 -c:v libx264 -g 25 -b:v 100k \
    -pix_fmt yuv420p -f rtp -sdp_file "$work/h264.sdp" rtp://127.0.0.1:5004
end
begin dtx
# The mixer goes on after its sources have ended: timeout ends it.
inside timeout -s INT 12 gst-launch-1.0 -q audiomixer name=m ! audioconvert ! audioresample \
    ! opusenc dtx=true audio-type=voice bitrate=16000 ! rtpopuspay pt=97 dtx=true \
    ! udpsink host=127.0.0.1 port=5006 \
    audiotestsrc is-live=true wave=sine num-buffers=100 ! audio/x-raw,rate=48000,channels=1 ! m. \
    audiotestsrc is-live=true wave=silence num-buffers=400 ! audio/x-raw,rate=48000,channels=1 ! m. || true
end
begin two
telephone() {
    inside gst-launch-1.0 -q audiotestsrc is-live=true num-buffers="$1" samplesperbuffer=160 \
        ! audio/x-raw,rate=8000,channels=1 ! "$2" ! "$3" ssrc="$4" min-ptime=20000000 max-ptime=20000000 \
        ! udpsink host=127.0.0.1 port=5008 bind-port=5090 &
}
telephone 150 mulawenc rtppcmupay 0x11111111
first=$!
telephone 120 alawenc rtppcmapay 0x22222222
wait $! "$first"
end
begin ts
inside ffmpeg -loglevel error -re -f lavfi -i testsrc=size=160x120:rate=25 -t 3 -c:v libx264 -preset ultrafast \
    -b:v 150k -pix_fmt yuv420p -f rtp_mpegts rtp://127.0.0.1:5010
end
begin rtcp
inside timeout -s INT 16 gst-launch-1.0 -q rtpbin name=r udpsrc port=5020 \
    caps=application/x-rtp,media=audio,clock-rate=8000,encoding-name=PCMA,payload=8 ! r.recv_rtp_sink_0 \
    udpsrc port=5021 ! r.recv_rtcp_sink_0 \
    r.send_rtcp_src_0 ! udpsink host=127.0.0.1 port=5025 sync=false async=false \
    r. ! rtppcmadepay ! fakesink &
receiver=$!
sleep 1
inside timeout -s INT 20 gst-launch-1.0 -q rtpbin name=r audiotestsrc is-live=true num-buffers=600 samplesperbuffer=160 \
    ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay min-ptime=20000000 max-ptime=20000000 \
    ! r.send_rtp_sink_0 r.send_rtp_src_0 ! udpsink host=127.0.0.1 port=5020 \
    r.send_rtcp_src_0 ! udpsink host=127.0.0.1 port=5021 sync=false async=false udpsrc port=5025 ! r.recv_rtcp_sink_0 \
    || [ $? -eq 124 ]
wait "$receiver" || true
end
begin udpts
inside ffmpeg -loglevel error -re -f lavfi -i testsrc=size=160x120:rate=25 -re -f lavfi -i sine=frequency=440 -t 4 \
    -c:v libx264 -preset ultrafast -b:v 150k -pix_fmt yuv420p -c:a aac -b:a 32k -muxrate 400k \
    -f mpegts 'udp://127.0.0.1:5012?pkt_size=1316'
end

python3 - "$work" "$fixtures" <<'PYTHON'
import random, struct, sys
random.seed(3550)
work, fixtures = sys.argv[1:]
def read(name):
    data = open(f'{work}/{name}.pcap', 'rb').read()
    head, data, records = data[:24], data[24:], []
    while len(data) >= 16:
        seconds, micros, kept, _ = struct.unpack('<IIII', data[:16])
        records.append([(seconds, micros), bytearray(data[16:16 + kept])])
        data = data[16 + kept:]
    return head, records
def write(name, head, records):
    with open(f'{fixtures}/{name}.pcap', 'wb') as file:
        file.write(head)
        for (seconds, micros), packet in records:
            file.write(struct.pack('<IIII', seconds, micros, len(packet), len(packet)) + bytes(packet))
def announcement(port, payload_type, encoding, media):
    lines = ['v=0', 'o=- 0 0 IN IP4 127.0.0.1', 's=t', 'c=IN IP4 127.0.0.1', 't=0 0',
             f'm={media} {port} RTP/AVP {payload_type}', f'a=rtpmap:{payload_type} {encoding}', '']
    sap = struct.pack('>BBH4s', 0x20, 0, 1, bytes([127, 0, 0, 1])) + b'application/sdp\0' + '\r\n'.join(lines).encode()
    udp = struct.pack('>HHHH', 9875, 9875, 8 + len(sap), 0) + sap
    ip = bytearray(struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + len(udp), 0, 0, 1, 17, 0, bytes([127, 0, 0, 1]),
                               bytes([224, 2, 127, 254])))
    total = sum(struct.unpack('>10H', bytes(ip)))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    ip[10:12] = struct.pack('>H', total ^ 0xffff)
    return bytearray(12) + b'\x08\0' + ip + udp

announced = {'h264': (5004, 96, 'H264/90000', 'video'), 'dtx': (5006, 97, 'opus/48000/2', 'audio')}
for name in ('h264', 'dtx', 'two', 'ts', 'udpts'):
    head, records = read(name)
    if name in announced: records.insert(0, [records[0][0], announcement(*announced[name])])
    write(name, head, records)

head, records = read('ts')
write('tscut', head, [r for i, r in enumerate(records) if i not in (10, 20, 21, 30, 31, 32)])
head, records = read('udpts')
records[50][1], records[51][1] = records[51][1], records[50][1]
write('udpcut', head, [r for i, r in enumerate(records) if i not in (20, 70, 71)])

rtp = 14 + 20 + 8
head, records = read('h264')
records = [r for r in records if r[1][36:38] == struct.pack('>H', 5004) and not 192 <= r[1][rtp + 1] <= 223]
number, time = struct.unpack('>HI', records[0][1][rtp + 2:rtp + 8])
for _, packet in records:
    n, t = struct.unpack('>HI', packet[rtp + 2:rtp + 8])
    packet[rtp + 2:rtp + 8] = struct.pack('>HI', (n - number + 65460) & 0xffff, (t - time - 200000) & 0xffffffff)
    packet[40:42] = b'\0\0'  # no UDP checksum
records[0][1], records[4][1] = records[4][1], records[0][1]
last = len(records)
records = [r for i, r in enumerate(records) if i < 6 or i > last - 3 or random.random() > .06]
for i in range(8, len(records) - 5):
    if random.random() < .05: records[i][1], records[i + 2][1] = records[i + 2][1], records[i][1]
for i in range(8, len(records) - 5):
    if random.random() < .02: records[i + 1][1] = bytearray(records[i][1])
records.insert(0, [records[0][0], announcement(*announced['h264'])])
write('edited', head, records)
def framed(like, payload):
    udp = like[34:38] + struct.pack('>HH', 8 + len(payload), 0) + payload
    ip = bytearray(like[14:34])
    ip[2:4], ip[10:12] = struct.pack('>H', 20 + len(udp)), b'\0\0'
    total = sum(struct.unpack('>10H', bytes(ip)))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    ip[10:12] = struct.pack('>H', total ^ 0xffff)
    return bytearray(like[:14]) + ip + udp

head, records = read('rtcp')
records = [r for r in records if r[1][36:38] != struct.pack('>H', 5020)]
report = next(r for r in records if r[1][43] == 201)
(seconds, micros), like = records[-1][0], report[1]
receiver, = struct.unpack('>I', like[46:50])
sender, = struct.unpack('>I', like[50:54])
def extended(reporter, *blocks):
    body = struct.pack('>I', reporter) + b''.join(blocks)
    return struct.pack('>BBH', 0x80, 207, len(body) // 4) + body
for step, payload in enumerate([
    extended(receiver, struct.pack('>BBHII', 4, 0, 2, 0xeeb1d2c3, 0x40000000)),
    extended(sender, struct.pack('>BBHIII', 5, 0, 3, receiver, 0xd2c34000, 0x00008000)),
    extended(receiver, struct.pack('>BBHIHHIIIIIIBBBB', 6, 0xe8, 9, sender, 25199, 25799, 7, 3, 1, 240, 17, 9, 61, 64, 63, 1),
             struct.pack('>BBHIBBBBHHHHbbBBBBBBBBHHH', 7, 0, 8, sender, 5, 2, 128, 1, 120, 5000, 31, 62, -20, -70, 127, 16,
                         93, 127, 41, 40, 0x30, 0, 40, 80, 200)),
]):
    records.append([(seconds + 1 + step, micros), framed(like, payload)])
write('rtcp', head, records)
PYTHON

for name in h264 dtx two ts edited; do
    tshark -r "$fixtures/$name.pcap" -d udp.port==5008,rtp -d udp.port==5010,rtp -q -z rtp,streams |
        grep -E '0x[0-9A-F]{8}' >"$fixtures/$name.streams.txt"
done
fields=(frame.time_epoch rtcp.pt rtcp.senderssrc rtcp.timestamp.ntp.msw rtcp.timestamp.ntp.lsw rtcp.timestamp.rtp
    rtcp.sender.packetcount rtcp.sender.octetcount rtcp.ssrc.identifier rtcp.ssrc.fraction rtcp.ssrc.cum_nr
    rtcp.ssrc.ext_high rtcp.ssrc.jitter rtcp.ssrc.lsr rtcp.ssrc.dlsr rtcp.xr.beginseq rtcp.xr.endseq rtcp.xr.stats.lost
    rtcp.xr.stats.dups rtcp.xr.stats.minjitter rtcp.xr.stats.maxjitter rtcp.xr.stats.meanjitter rtcp.xr.stats.devjitter
    rtcp.xr.stats.minttl rtcp.xr.stats.maxttl rtcp.ssrc.discarded rtcp.xr.voipmetrics.burstdensity
    rtcp.xr.voipmetrics.gapdensity rtcp.xr.voipmetrics.burstduration rtcp.xr.voipmetrics.gapduration
    rtcp.xr.voipmetrics.rtdelay rtcp.xr.voipmetrics.esdelay rtcp.xr.voipmetrics.rfactor rtcp.xr.voipmetrics.moslq
    rtcp.xr.voipmetrics.moscq rtcp.xr.voipmetrics.jbnominal rtcp.xr.voipmetrics.jbmax rtcp.xr.lrr rtcp.xr.dlrr)
for name in h264 rtcp; do
    tshark -r "$fixtures/$name.pcap" -d udp.port==5005,rtcp -d udp.port==5021,rtcp -d udp.port==5025,rtcp -Y rtcp -T fields \
        -E header=y "${fields[@]/#/-e}" >"$fixtures/$name.rtcp.tsv"
done
for name in ts tscut udpts udpcut; do
    tshark -r "$fixtures/$name.pcap" -d udp.port==5010,rtp -d udp.port==5012,mp2t -Y mp2t -T fields -e mp2t.pid \
        -e mp2t.analysis.skips -e mp2t.af.pcr -e mp2t.cc -e mp2t.afc >"$fixtures/$name.mpegts.tsv"
done
