# Every BPF object of bpf/, and the datapath with each extension that we ship, goes through this kernel's verifier.
#   vm: guest=module seconds=180
status=0
count=0
for object in /tests/objects/*.o; do
    name=$(basename "$object" .o)
    if bpftool prog load "$object" "/sys/fs/bpf/$name" type classifier >/tmp/log 2>&1; then
        taken=yes
        size=$(bpftool prog show pinned "/sys/fs/bpf/$name" | sed -n 's/.*xlated \([0-9]*B\).*/\1/p')
        rm -f "/sys/fs/bpf/$name"
    else
        taken=no
    fi
    if [ "$name" = must-be-refused ]; then
        if [ $taken = no ] && grep -q 'invalid access to packet' /tmp/log; then
            echo "ok refused: a read behind the packet's end"
        else
            echo "not ok refused: a read behind the packet's end was taken, or refused for another cause"
            tail -n 5 /tmp/log
            status=1
        fi
    elif [ $taken = yes ]; then
        echo "ok loaded $name: $size"
        count=$((count + 1))
    else
        echo "not ok loaded $name: refused"
        tail -n 20 /tmp/log
        status=1
    fi
done
# relay, loss, sink, and at least one with an extension.
[ $count -ge 4 ] || { echo "not ok objects: only $count loaded"; status=1; }
exit $status
