#   vm: guest=control seconds=10
echo "ok a check that holds: 1"
