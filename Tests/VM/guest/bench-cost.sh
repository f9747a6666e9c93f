# `streamrouter bench cost --only upcall` with the module loaded, in each of its modes: null upcalls beside woken threads,
# on an idle and on a busy processor, and the comparison of both runs. Emulated, so that there are figures counts, not
# what they are.
#   vm: guest=lab seconds=400 kernel=6.1 long
. /tests/host-root.inc
enter_host
place=/tmp/bench-cost
bench() { streamrouter bench "$@" >/tmp/log 2>&1; }
# What results.json of a mode has for a series of a figure: its one value, which stands on a line of its own.
value() {
    awk -v figure="\"key\" : \"$2\"" -v way="\"way\" : \"$3\"" '
        /"key" : / {key = $0}
        /^ *[0-9.e+-]+$/ {value = $1}
        index($0, way) && index(key, figure) {print value}' "/host$place/$1/results.json"
}
rmmod streamrouter 2>/dev/null
for mode in private shared; do
    insmod "$SR_MODULE" upcall=1 upcall_mode=$mode || { echo "not ok module: does not load in mode $mode"; exit 1; }
    bench cost --only upcall --repetitions 1 --output $place/$mode
    tell $? "mode $mode: measured"
    for row in "cost-upcall null upcall, mode $mode" "cost-wake null upcall, mode $mode" \
        "cost-wake woken thread, SCHED_FIFO" "cost-wake woken thread, SCHED_OTHER"; do
        for load in "" ", busy processor"; do
            figure=${row%% *} series="${row#* }$load"
            found=$(value $mode "$figure" "$series")
            # At most a second in ns, or some of it in cycles.
            awk -v found="$found" 'BEGIN {exit !(found > 0 && found < 5e9)}'
            tell $? "mode $mode, $figure, $series: $found"
        done
    done
    # Nothing is left out but the other mode, and the run says how to have that.
    other=shared
    [ $mode = private ] || other=private
    [ "$(grep -c '"reason" : ' "/host$place/$mode/results.json")" = 1 ] &&
        grep -q "\"reason\" : .*upcall_mode=$other" "/host$place/$mode/results.json"
    tell $? "mode $mode: mode $other alone was not measured"
    unload
    tell $? "mode $mode: the module can be removed, after $second s"
done
bench compare $place/private $place/shared
grep -q 'only in the first.*null upcall, mode private' /tmp/log &&
    grep -q 'only in the second.*null upcall, mode shared' /tmp/log
tell $? "compare has both modes: $(grep -c . /tmp/log) lines"
bench cost --only upcall --repetitions 1
grep -q 'modprobe streamrouter upcall=1' /tmp/log
tell $? "without the module: $(grep -m 1 'not measured' /tmp/log)"
exit $status
