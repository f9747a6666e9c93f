# The Swift test suites that run packets through the BPF datapath, on this kernel: through BPF_PROG_TEST_RUN and through
# devices in namespaces. A suite counts where it ran tests and none failed; one that skips all has tested nothing.
#   vm: guest=datapath seconds=900
. /tests/host-root.inc
enter_host
# Several tests at a time ask for the same ones, and a kernel that is just loading one has no such device for the other.
modprobe -a veth dummy vrf bridge 8021q 2>/dev/null
# Names hold what a shell would take as patterns.
set -f
for suite in $SUITES; do
    # Labs of several tests at a time would wait for each other, and count their packets in one backlog.
    case $suite in
    SystemTests.*) parallel=--no-parallel ;;
    *) parallel=--parallel ;;
    esac
    began=$(cut -d . -f 1 /proc/uptime)
    on_host timeout 600 "$BINARIES/StreamRouterPackageTests.xctest" --testing-library swift-testing $parallel \
        --filter "$suite" \
        >/tmp/log 2>&1
    code=$?
    took=$(($(cut -d . -f 1 /proc/uptime) - began))
    said=$(sed -n 's/.*Test run with \([0-9]*\) test.* passed after.*/\1/p' /tmp/log)
    skipped=$(grep -c '^➜ .* skipped' /tmp/log)
    if [ $code = 0 ] && [ "${said:-0}" -gt 0 ] && [ "$skipped" = 0 ]; then
        echo "ok $suite: $said tests, $took s"
    else
        echo "not ok $suite: code $code, ${said:-no} tests passed, $skipped skipped, $took s"
        grep -E '✘|^➜|rror' /tmp/log | cut -c 1-400 | head -n 25
        status=1
    fi
done
exit $status
