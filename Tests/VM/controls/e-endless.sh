#   vm: guest=control seconds=2
echo "ok a check that holds: but it does not end"
sleep 60
