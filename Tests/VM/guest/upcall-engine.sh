# A lab whose nodes run engine upcall: refused without the module and without its part, then packets pass, also where
# the daemon was killed, and nothing is left after it.
#   vm: guest=lab seconds=300 long
. /tests/host-root.inc
enter_host
place=/tmp/upcall
mkdir -p /host$place
cp /tests/rewrite.srx /host$place/

#     camera 10.77.0.1 ---- edge 10.77.0.2 ---- studio 10.77.0.3
cat >/host$place/upcall.yaml <<'YAML'
version: 1
name: upcall
nodes:
  camera: {address: 10.77.0.1, engine: upcall}
  edge: {address: 10.77.0.2, engine: upcall}
  studio: {address: 10.77.0.3, engine: upcall}
links: [camera -- edge, edge -- studio]
streams:
  video:
    protocol: rtp
    from: camera:5004
    via: [edge]
    to: studio:6004
    extensions: [{name: rewrite, with: {payloadType: 111}, at: edge}]
YAML
refused() {
    streamrouter lab up $place/upcall.yaml >/tmp/log 2>&1
    [ $? != 0 ] && grep -q "$1" /tmp/log
    tell $? "$2: refused: $(grep -c "$1" /tmp/log) line with $1"
    streamrouter lab down $place/upcall.yaml >/dev/null 2>&1
}
rmmod streamrouter 2>/dev/null
refused "modprobe streamrouter upcall=1" "without the module"
insmod "$SR_MODULE" || { echo "not ok module: does not load"; exit 1; }
refused "without its part upcall" "without the part"
rmmod streamrouter
insmod "$SR_MODULE" upcall=1 || { echo "not ok module: does not load with upcall=1"; exit 1; }

streamrouter lab up $place/upcall.yaml >/tmp/log 2>&1
tell $? "lab up: $(tail -n 1 /tmp/log)"
# One run of a stream: how many packets were sent, how many came.
run() {
    start_receiver video --topology upcall --count "$1" --idle 5s --fail-when 'loss>0'
    streamrouter send --stream video --topology upcall --rate 500 --count "$1" >/tmp/sent 2>&1
    wait $receiver
    result=$?
    cat /tmp/sent /tmp/errors /tmp/received >/tmp/log
    return $result
}
run 2000
tell $? "2,000 packets: $(grep -m 1 -i received /tmp/received)"
streamrouter monitor --json --lab upcall >/tmp/log 2>&1 || streamrouter monitor --json >/tmp/log 2>&1
count=$(grep -o '"engine" *: *"upcall"' /tmp/log | wc -l)
[ "$count" -ge 3 ]
tell $? "monitor: $count relays say engine upcall"
runs=$(tr -d ' \n' </tmp/log | sed -n 's/.*"runs":\([0-9]*\).*/\1/p')
[ "${runs:-0}" -ge 2000 ]
tell $? "the extension ran $runs times"

anchors=$(cat /proc/[0-9]*/comm 2>/dev/null | grep -c '^sr-anchor$')
[ "$anchors" -ge 2 ]
tell $? "anchors: $anchors run"
kill_daemon edge
[ "$killed" = 1 ]
tell $? "edge's daemon: $killed killed"
sleep 1
run 500
tell $? "500 packets without edge's daemon: $(grep -m 1 -i received /tmp/received)"

streamrouter lab down $place/upcall.yaml >/tmp/log 2>&1
tell $? "lab down: $(tail -n 1 /tmp/log)"
unload
tell $? "after lab down the module can be removed, after $second s"
exit $status
