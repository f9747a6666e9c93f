#   vm: guest=control seconds=10
exit 0
