#   vm: guest=control seconds=10
echo "ok a check that holds: but the code is 3"
exit 3
