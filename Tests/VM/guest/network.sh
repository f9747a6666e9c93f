# What streams need of a kernel and this project's build machines lack: SCTP, netem, veth.
#   vm: guest=module seconds=180
status=0
check() {
    if [ "$2" = "$3" ]; then
        echo "ok $1: $2"
    else
        echo "not ok $1: $2, expected $3"
        status=1
    fi
}

if modprobe sctp && [ -d /proc/net/sctp ]; then
    echo "ok sctp: loaded, $(wc -l </proc/net/sctp/eps) lines of endpoints"
else
    echo "not ok sctp: does not load"
    status=1
fi

#     here 10.79.0.1 -- veth -- 10.79.0.2 in there
ip netns add there
ip link add near type veth peer name far netns there
ip addr add 10.79.0.1/24 dev near
ip link set near up
ip -n there addr add 10.79.0.2/24 dev far
ip -n there link set far up
received() { ping -c "$1" -i 0.02 -W 1 -q 10.79.0.2 | sed -n 's/.* \([0-9]*\) packets received.*/\1/p'; }
median() { ping -c 21 -i 0.1 -W 1 10.79.0.2 | sed -n 's/.*time=\([0-9]*\).*/\1/p' | sort -n | sed -n 11p; }
ping -c 1 -W 2 -q 10.79.0.2 >/dev/null
check "veth passes all" "$(received 50)" 50
plain=$(median)
tc qdisc add dev near root netem delay 60ms
slow=$(median)
if [ "$plain" -lt 30 ] && [ "$slow" -ge 60 ] && [ "$slow" -lt 120 ]; then
    echo "ok netem delay of 60 ms: median $plain ms without, $slow ms with"
else
    echo "not ok netem delay of 60 ms: median $plain ms without, $slow ms with"
    status=1
fi
tc qdisc change dev near root netem loss 50%
some=$(received 400)
# Binomial, n = 400, p = 0.5: standard deviation 10.
if [ "$some" -gt 140 ] && [ "$some" -lt 260 ]; then
    echo "ok netem loss of 50 %: $some of 400 arrived"
else
    echo "not ok netem loss of 50 %: $some of 400 arrived"
    status=1
fi
tc qdisc del dev near root
check "after netem all arrive" "$(received 50)" 50
ip netns del there
exit $status
