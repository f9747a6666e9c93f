# Extensions that need or like what the kernel module offers, in engine sandbox: without it or refused where it is not
# loaded; then hash and parity against their vectors, a stream whose packets come out of order and leave in order, parity
# packets that repair, and a module that stays while it is used.
#   vm: guest=lab seconds=400 kernel=6.1 long
. /tests/host-root.inc
enter_host
# A number of the account of the monitor's document: the largest that stands behind this name.
largest() { tr -d ' \n' </tmp/log | grep -o "\"$1\":[0-9]*" | cut -d: -f2 | sort -n | tail -n 1; }
place=/tmp/functions
mkdir -p /host$place
cp /tests/*.srx /tests/Seal.vectors.yaml /tests/fec-repair /host$place/

#     camera 10.78.0.1 ---- edge 10.78.0.2 ---- studio 10.78.0.3
#
# Of the engine that is tested here there is one: each verifies its datapath, which is what takes longest.
topology() {
    cat >"/host$place/lab.yaml" <<YAML
version: 1
name: functions
nodes:
  camera: {address: 10.78.0.1, engine: process}
  edge: {address: 10.78.0.2}
  studio: {address: 10.78.0.3, engine: process}
links: [camera -- edge, edge -- studio]
streams:
$1
YAML
}
stream() { printf '  %s: {protocol: %s, from: camera:%s, via: [edge], to: studio:%s%s}\n' "$1" "$2" "$3" "$4" "$5"; }
smooth=$(stream smooth rtp 5004 6004 ', extensions: {name: dejitter, with: {delayMs: 1500}, at: edge}')
sealed=$(stream sealed udp 5034 6034 ', extensions: {name: seal, at: edge}')
# One run of a stream: what came is in /tmp/received.
run() {
    start_receiver "$1" --topology functions --count 1000 --idle 5s --json
    streamrouter send --stream "$1" --topology functions --rate 500 --count 1000 >/tmp/sent 2>&1
    wait $receiver
    cat /tmp/sent /tmp/errors /tmp/received >/tmp/log
}

rmmod streamrouter 2>/dev/null
topology "$sealed"
streamrouter lab up $place/lab.yaml >/tmp/log 2>&1 && run sealed
[ "$(grep -o '"packets" *: *[0-9]*' /tmp/received | head -n 1 | tr -dc 0-9)" = 1000 ]
tell $? "without the module: an extension that merely likes it relays 1,000 of 1,000"
streamrouter monitor --json >/tmp/log 2>&1
[ "$(largest unsealed)" = 1000 ]
tell $? "without the module: it knew that there is no hash, $(largest unsealed) times"
topology "$smooth
$sealed
$(stream rough rtp 5014 6014 '')
$(stream repaired rtp 5024 6024 ', extensions: {name: fec, at: edge}')"
streamrouter lab up $place/lab.yaml >/tmp/log 2>&1
[ $? != 0 ] && grep -q 'extension dejitter needs what this node does not offer (hold)' /tmp/log
tell $? "without the module refused: $(grep 'needs what' /tmp/log | head -n 1)"

insmod "$SR_MODULE" || { echo "not ok module: does not load"; exit 1; }
streamrouter extension test $place/seal.srx --vectors $place/Seal.vectors.yaml >/tmp/log 2>&1 &&
    grep -q 'in bpf and native' /tmp/log
tell $? "hash and parity: $(tail -n 1 /tmp/log)"
# On the nodes that run already, which did without it so far.
streamrouter lab up $place/lab.yaml >/tmp/log 2>&1
tell $? "with the module: $(tail -n 1 /tmp/log)"
rmmod streamrouter 2>/tmp/log
[ $? != 0 ]
tell $? "the module stays while extensions use it: $(tail -n 1 /tmp/log)"
run sealed
streamrouter monitor --json >/tmp/log 2>&1
[ "$(largest sealed)" = 1000 ]
tell $? "with the module: $(largest sealed) of 1,000 packets sealed"

streamrouter lab exec functions studio -- $place/fec-repair receive 10.78.0.3 6024 >/tmp/log 2>&1 &
receiver=$!
sleep 4
streamrouter lab exec functions camera -- $place/fec-repair send 10.78.0.1 5024 1500 >/tmp/sent 2>&1
wait $receiver
tell $? "parity made in the kernel: $(tail -n 1 /tmp/log)"
streamrouter monitor --json >/tmp/log 2>&1
[ "$(largest packets_made)" = 150 ]
tell $? "the account has $(largest packets_made) packets that an extension made"

# netem lets packets of a varying delay overtake each other.
streamrouter lab impair functions --link camera--edge --direction a-to-b --delay 60ms --jitter 50ms >/tmp/log 2>&1
tell $? "arrivals vary by 50 ms: $(tail -n 1 /tmp/log)"
reordered() { tr -d ' \n' </tmp/received | sed -n 's/.*"reordered":\([0-9]*\).*/\1/p'; }
came() { tr -d ' \n' </tmp/received | sed -n 's/.*"received":\([0-9]*\).*/\1/p'; }
run rough
[ "$(reordered)" -gt 100 ]
tell $? "without extension: $(reordered) out of order"
# On one processor: of two, each has its own queue of packets received, and what is released first may be read second.
echo 0 >/sys/devices/system/cpu/cpu1/online
run smooth
echo 1 >/sys/devices/system/cpu/cpu1/online
[ "$(reordered)" = 0 ] && [ "$(came)" = 1000 ]
tell $? "held by extension dejitter: $(reordered) out of order, $(came) came"
streamrouter monitor --json >/tmp/log 2>&1
[ "$(largest held)" -gt 900 ] && [ "$(largest drop_hold)" = 0 ]
tell $? "dejitter held $(largest held), found no room for $(largest drop_hold)"

streamrouter lab down $place/lab.yaml >/tmp/log 2>&1
tell $? "lab down: $(tail -n 1 /tmp/log)"
unload
tell $? "after lab down the module can be removed, after $second s"
exit $status
