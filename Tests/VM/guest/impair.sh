# `streamrouter lab impair` where the kernel has netem: delay and loss of a link are set and felt, and taken away.
#   vm: guest=lab seconds=400 kernel=6.12 long
. /tests/host-root.inc
enter_host

mkdir -p /host/tmp/impair
#     camera 10.42.0.1 ---- edge 10.42.0.2
cat >/host/tmp/impair/link.yaml <<'YAML'
version: 1
name: link
nodes:
  camera: {address: 10.42.0.1, engine: process}
  edge: {address: 10.42.0.2, engine: process}
links: [camera -- edge]
streams:
  video: {protocol: udp, from: camera:5004, to: edge:6004}
YAML
streamrouter lab up /tmp/impair/link.yaml >/tmp/log 2>&1
tell $? "lab up: $(tail -n 1 /tmp/log)"
# By busybox, whose options and answers are known.
ping_edge() { streamrouter lab exec link camera -- busybox ping "$@" 10.42.0.2; }
median() { ping_edge -c 15 -i 0.1 -W 2 | sed -n 's/.*time=\([0-9]*\).*/\1/p' | sort -n | sed -n 8p; }
received() { ping_edge -c "$1" -i 0.02 -W 1 -q | sed -n 's/.* \([0-9]*\) packets received.*/\1/p'; }
ping_edge -c 1 -W 3 -q >/dev/null 2>&1

plain=$(median)
streamrouter lab impair --link camera--edge --delay 40ms >/tmp/log 2>&1 || cat /tmp/log
slow=$(median)
# Both ends delay.
[ "${plain:-99}" -lt 30 ] && [ "${slow:-0}" -ge 80 ] && [ "${slow:-0}" -lt 150 ]
tell $? "delay of 40 ms each way: median $plain ms without, $slow ms with"

streamrouter lab impair --link camera--edge --loss 30 >/tmp/log 2>&1 || cat /tmp/log
some=$(received 300)
# Request and answer each pass with 0.7, so 147 of 300 come back; standard deviation 8.7.
[ "${some:-0}" -gt 95 ] && [ "${some:-0}" -lt 200 ]
tell $? "loss of 30 % each way: $some of 300 came back"

streamrouter lab impair --link camera--edge --clear >/tmp/log 2>&1 || cat /tmp/log
all=$(received 50)
[ "${all:-0}" = 50 ]
tell $? "after --clear: $all of 50 came back"
streamrouter lab down /tmp/impair/link.yaml >/tmp/log 2>&1
tell $? "lab down: $(tail -n 1 /tmp/log)"
exit $status
