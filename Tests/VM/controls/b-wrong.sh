#   vm: guest=control seconds=10
echo "ok a check that holds: 1"
echo "not ok a check that fails: but the code is 0"
