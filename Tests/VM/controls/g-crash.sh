#   vm: guest=control seconds=10
echo "ok a check that holds: but the kernel does not survive it"
echo c >/proc/sysrq-trigger
sleep 9
