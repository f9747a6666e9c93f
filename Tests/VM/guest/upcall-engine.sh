# A lab whose nodes run engine upcall: refused without that part of the module (what is said without the module is in
# bench-cost); then packets pass. Another daemon takes over what a killed one left, under traffic; an extension's parameters
# change under traffic; parity that an extension makes repairs a stream; an extension that is aborted is told of by its name,
# while others go on; IPv6 in mode shared.
# Nothing is left after it.
#   vm: guest=lab seconds=600 kernel=6.12 long
. /tests/host-root.inc
enter_host
place=/tmp/upcall
mkdir -p /host$place
cp /tests/*.srx /tests/fec-repair /host$place/

#     camera .1 ---- edge .2 ---- studio .3     PREFIX, payload type, further streams
topology() {
    cat >/host$place/upcall.yaml <<YAML
version: 1
name: upcall
nodes:
  camera: {address: "${1}1", engine: upcall}
  edge: {address: "${1}2", engine: upcall}
  studio: {address: "${1}3", engine: upcall}
links: [camera -- edge, edge -- studio]
streams:
  video:
    protocol: rtp
    from: camera:5004
    via: [edge]
    to: studio:6004
    extensions: [{name: rewrite, with: {payloadType: $2}, at: edge}]
$3
YAML
}
up() { streamrouter lab up $place/upcall.yaml >/tmp/log 2>&1; }
begin() { # PACKETS, how many a second
    start_receiver video --topology upcall --count "$1" --idle 10s --fail-when 'loss>0' --json
    streamrouter send --stream video --topology upcall --rate "$2" --count "$1" >/tmp/sent 2>&1 &
    sender=$!
}
end() {
    wait $sender
    wait $receiver
    result=$?
    cat /tmp/sent /tmp/errors /tmp/received >/tmp/log
    return $result
}
received() { tr -d ' \n' </tmp/received | sed -n 's/.*"packets":\([0-9]*\),"queueDrops.*/\1/p'; }
types() { tr -d ' \n' </tmp/received | sed -n 's/.*"payloadTypes":\[\([0-9,]*\)\].*/\1/p'; }
# What the monitor's document has for a counter: the largest.
largest() { tr -d ' \n' </tmp/document | grep -o "\"$1\":[0-9]*" | cut -d: -f2 | sort -n | tail -n 1; }
look() { streamrouter monitor --json >/tmp/document 2>/tmp/log; }

# A lab of one node of that engine, which nobody can reach.
cat >/host$place/refused.yaml <<'YAML'
version: 1
name: refused
nodes:
  camera: {address: 10.79.1.1, engine: upcall}
  studio: {address: 10.79.1.2, engine: process}
links: [camera -- studio]
streams:
  video: {protocol: rtp, from: camera:5004, to: studio:6004}
YAML
rmmod streamrouter 2>/dev/null
insmod "$SR_MODULE" || { echo "not ok module: does not load"; exit 1; }
streamrouter lab up $place/refused.yaml >/tmp/log 2>&1
[ $? != 0 ] && grep -q "without its part upcall" /tmp/log
tell $? "without the part refused: $(grep -m 1 "without its part upcall" /tmp/log)"
streamrouter lab down $place/refused.yaml >/dev/null 2>&1
rmmod streamrouter
insmod "$SR_MODULE" upcall=1 || { echo "not ok module: does not load with upcall=1"; exit 1; }

topology 10.79.0. 111 ''
up
tell $? "lab up: $(tail -n 1 /tmp/log)"
begin 500 500
end
tell $? "500 packets: $(received) came"
look
count=$(grep -o '"engine" *: *"upcall"' /tmp/document | wc -l)
[ "$count" -ge 3 ] && [ "$(largest runs)" = 500 ]
tell $? "monitor: $count relays say engine upcall, the extension ran $(largest runs) times"
anchors=$(cat /proc/[0-9]*/comm 2>/dev/null | grep -c '^sr-anchor$')
[ "$anchors" -ge 2 ]
tell $? "anchors: $anchors run"

# The daemon of edge is killed and another one takes its relays over while packets pass.
begin 3000 200
sleep 3
kill_daemon edge
sleep 1
up
result=$?
grep -q edge /tmp/log && [ $result = 0 ] && [ $killed = 1 ]
tell $? "edge's daemon: killed and started again: $(tail -n 1 /tmp/log)"
running=1
kill -0 $sender 2>/dev/null || running=0
end
tell $? "3,000 packets meanwhile: $(received) came"
[ $running = 1 ]
tell $? "packets still passed when the daemon was there again"
look
[ "$(largest runs)" = 3500 ] && [ "$(largest packets_in)" = 3500 ]
tell $? "its account goes on: $(largest runs) runs, $(largest packets_in) packets"

topology 10.79.0. 112 ''
begin 4000 200
sleep 3
up
tell $? "another payload type: $(tail -n 1 /tmp/log)"
end
tell $? "4,000 packets meanwhile: $(received) came"
[ "$(types)" = 111,112 ]
tell $? "payload types $(types)"
look
[ "$(largest runs)" = 7500 ]
tell $? "the extension's account goes on: $(largest runs) runs"

topology 10.79.0. 112 '  bad: {protocol: udp, from: camera:5014, via: [edge], to: studio:6014, extensions: [{name: crash, at: edge}]}
  repaired: {protocol: rtp, from: camera:5024, via: [edge], to: studio:6024, extensions: [{name: fec, at: edge}]}'
up
tell $? "two more streams: $(tail -n 1 /tmp/log)"
streamrouter lab exec upcall studio -- $place/fec-repair receive 10.79.0.3 6024 >/tmp/log 2>&1 &
receiver=$!
sleep 4
streamrouter lab exec upcall camera -- $place/fec-repair send 10.79.0.1 5024 500 >/tmp/sent 2>&1
wait $receiver
tell $? "parity made in ring 3: $(tail -n 1 /tmp/log)"
look
[ "$(largest packets_made)" = 50 ]
tell $? "the account has $(largest packets_made) packets that an extension made"
streamrouter send --stream bad --topology upcall --rate 100 --count 200 >/tmp/log 2>&1
sleep 3
look
[ "$(largest drop_fault)" = 200 ]
tell $? "its packets are dropped: $(largest drop_fault)"
grep -o '"engineReason" : "extension crash [^"]*' /tmp/document >/tmp/log
tell $? "the monitor says: $(sed 's/.*: "//' /tmp/log)"
begin 500 500
end
tell $? "the other stream: $(received) of 500 came"
streamrouter lab down $place/upcall.yaml >/tmp/log 2>&1
tell $? "lab down: $(tail -n 1 /tmp/log)"
unload
tell $? "the module can be removed, after $second s"

insmod "$SR_MODULE" upcall=1 upcall_mode=shared
topology fd79:: 113 ''
up
tell $? "IPv6, mode shared: lab up: $(tail -n 1 /tmp/log)"
begin 500 500
end && [ "$(types)" = 113 ]
tell $? "IPv6, mode shared: $(received) of 500 came, payload type $(types)"
streamrouter lab down $place/upcall.yaml >/tmp/log 2>&1
unload
tell $? "IPv6, mode shared: the module can be removed, after $second s"
exit $status
