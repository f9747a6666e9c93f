# Every BPF object of bpf/ goes through this kernel's verifier.
#   vm: guest=module seconds=120
folder=/tests/objects
. /tests/verify.inc
# relay, loss, sink.
[ $count -ge 3 ] || { echo "not ok objects: only $count loaded"; status=1; }
exit $status
