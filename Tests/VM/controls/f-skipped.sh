#   vm: guest=control seconds=10
echo "skip this test: it has a reason"
exit 77
