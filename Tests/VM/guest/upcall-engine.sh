# A lab whose nodes run engine upcall: refused without the module and without its part, then packets pass, also where
# the daemon was killed, and nothing is left after it.
#   vm: guest=datapath seconds=300
. /tests/host-root.inc
enter_host || { echo "not ok the build machine's files: cannot be mounted"; exit 1; }
status=0
tell() {
    if [ "$1" = 0 ]; then
        echo "ok $2"
    else
        echo "not ok $2"
        sed 's/^/    /' /tmp/log
        status=1
    fi
}
streamrouter() { on_host "$BINARIES/streamrouter" "$@"; }
folder=/tmp/upcall
mkdir -p /host$folder
cp /tests/rewrite.srx /host$folder/

#     camera 10.77.0.1 ---- edge 10.77.0.2 ---- studio 10.77.0.3
cat >/host$folder/upcall.yaml <<'YAML'
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
    streamrouter lab up $folder/upcall.yaml >/tmp/log 2>&1
    [ $? != 0 ] && grep -q "$1" /tmp/log
    tell $? "$2: refused: $(grep -c "$1" /tmp/log) line with $1"
    streamrouter lab down $folder/upcall.yaml >/dev/null 2>&1
}
rmmod streamrouter 2>/dev/null
refused "modprobe streamrouter upcall=1" "without the module"
insmod "$SR_MODULE" || { echo "not ok module: does not load"; exit 1; }
refused "without its part upcall" "without the part"
rmmod streamrouter
insmod "$SR_MODULE" upcall=1 || { echo "not ok module: does not load with upcall=1"; exit 1; }

streamrouter lab up $folder/upcall.yaml >/tmp/log 2>&1
tell $? "lab up: $(tail -n 1 /tmp/log)"
# One run of a stream: how many packets were sent, how many came.
run() {
    streamrouter receive --stream video --topology upcall --idle 8s --fail-when 'loss>0' >/tmp/received 2>&1 &
    receiver=$!
    sleep 5
    streamrouter send --stream video --topology upcall --rate 500 --count "$1" >/tmp/sent 2>&1
    wait $receiver
    result=$?
    cat /tmp/sent /tmp/received >/tmp/log
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

for process in $(pgrep -f 'node (run )?.*edge' | head -n 4) ; do kill -9 "$process"; done
sleep 1
run 500
tell $? "500 packets with edge's daemon killed: $(grep -m 1 -i received /tmp/received)"

streamrouter lab down $folder/upcall.yaml >/tmp/log 2>&1
tell $? "lab down: $(tail -n 1 /tmp/log)"
left=1
for second in $(seq 30); do
    if rmmod streamrouter 2>/tmp/log; then left=0 && break; fi
    sleep 1
done
tell $left "after lab down the module can be removed, after $second s"
exit $status
