# The Swift test suites that run packets through the BPF datapath, on this kernel: through BPF_PROG_TEST_RUN and through
# devices in namespaces. A suite counts where it ran and passed, and no test of it was
# skipped: what is skipped has tested nothing.
#   vm: guest=datapath seconds=900
. /tests/host-root.inc
enter_host
# Several tests at a time ask for the same ones, and a kernel that is just loading one has no such device for the other.
modprobe -a veth dummy vrf bridge 8021q 2>/dev/null
# Labs of several tests at a time would wait for each other, and count their packets in one backlog.
case $SUITES in
*SystemTests.*) parallel=--no-parallel ;;
*) parallel=--parallel ;;
esac
on_host timeout 800 "$BINARIES/StreamRouterPackageTests.xctest" --testing-library swift-testing $parallel \
    --filter "$(printf %s "$SUITES" | sed 's/^ *//; s/ *$//; s/  */|/g')" >/tmp/log 2>&1
code=$?
said=$(sed -n 's/.*Test run with \([0-9]*\) test.* passed after \([0-9]*\).*/\1 tests in \2 s/p' /tmp/log)
skipped=$(grep -c '^➜ .* skipped' /tmp/log)
[ $code = 0 ] && [ -n "$said" ] && [ "$skipped" = 0 ]
tell $? "all suites: code $code, ${said:-no tests passed}, $skipped skipped"
# Names hold what a shell would take as patterns.
set -f
for suite in $SUITES; do
    name=${suite#*.}
    name=${name%%/*}
    passed=$(sed -n "s/^✔ Suite $name passed after \([0-9]*\).*/passed after \1 s/p" /tmp/log)
    if [ -n "$passed" ]; then
        echo "ok $suite: $passed"
    else
        echo "not ok $suite: has not passed"
        status=1
    fi
done
if [ $status != 0 ]; then grep -E '✘|^➜|rror' /tmp/log | cut -c 1-400 | head -n 25; fi
exit $status
