# The datapath with each extension that we ship goes through this kernel's verifier. In a run of all tests the suites of
# guest datapath see to it.
#   vm: guest=module seconds=180 short
folder=/tests/datapaths
. /tests/verify.inc
[ $count -ge 1 ] || { echo "not ok datapaths: none loaded"; status=1; }
exit $status
