#!/usr/bin/env bash
# Runs the tests of Tests/VM/guest/ in guests that run Debian's own kernels, with the module where kmodule/ is there.
# A guest is emulated (no KVM is asked for): it speaks for correctness, not for speed.
#
#   Tests/VM/run.sh [--short] [--kernel SERIES]... [--guest GUEST]... [TEST]...
#
# SERIES: 6.1, 6.12; GUEST: what a test's own line names; TEST: a file of Tests/VM/guest/ without its ending. Default: all.
# --short leaves out tests that say `long` and most Swift suites: what there is time for each time.
#
# A test is a shell script (run by dash) or a C program (linked statically, with libbpf where it names its headers); what
# several share is in header files and in *.inc. Each line that it prints is `ok WHAT: what was counted`, `not ok WHAT: why`,
# `skip WHAT: why` (and exit code 77), or what may help to understand a failure. Near its top may stand
#
#   vm: guest=NAME[,NAME]... seconds=LIMIT [kernel=SERIES] [long|short]
#
# that is in which guests it runs (below) and after how many seconds there it has failed; default: guest=module seconds=60.
# `kernel`: tries what is the same for each kernel, so a run of all tests on all kernels has it on that one. `short`: the
# suites of guest datapath try the same, so it runs where they do not, or by its name.
# All tests of a guest share one boot, in the order of their names. Tests are in /tests there, with bpf/*.bpf.c compiled
# beside them as NAME.bpf.o, and SR_MODULE names the module. In guests datapath and lab /host is this machine's root,
# read-only below a layer of its own, and REPOSITORY this repository in it.
#
# VM_CACHE: where kernels and builds are kept, default .build/vm; two runs at a time need two.
# VM_MODULE=none: leaves the module out. VM_SUITES: the Swift suites of guest datapath, default: all that run packets.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=Tests/VM
cache=${VM_CACHE:-.build/vm}
repository=$PWD

# What each guest is: memory in MiB, then what its kernel is told beyond the rest.
declare -A guests=(
    # A freed object that is used, an overrun, a double free are told of: what a kernel without KASAN can do.
    [module]='1024 slub_debug=FZPU page_poison=1 kfence.sample_interval=20'
    # Its clock counts instructions, so it stands still where this machine lets the guest wait: for what is measured
    # in microseconds.
    [clock]='512'
    # User and kernel page tables apart, which QEMU's processor would not need.
    [pti]='1024 pti=on'
    [datapath]='3072'
    # Labs of real daemons.
    [lab]='3072'
    # For the tests of this harness, Tests/VM/controls.sh.
    [control]='512'
)
all_series=(6.1 6.12)
wanted_guests=()
series_list=()
wanted_tests=()
tests_folder=${VM_TESTS:-$here/guest}
short=0
while (($# > 0)); do
    case $1 in
    --kernel) series_list+=("$2") && shift 2 ;;
    --short) short=1 && shift ;;
    --guest) wanted_guests+=("$2") && shift 2 ;;
    -*) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$here/run.sh" >&2 && exit 64 ;;
    *) wanted_tests+=("$1") && shift ;;
    esac
done
# Whether this is a run of all tests, on all kernels.
tries_all=0
if ((!short && ${#series_list[@]} + ${#wanted_guests[@]} + ${#wanted_tests[@]} == 0)) && [[ -z ${VM_SUITES:-} ]]; then
    tries_all=1
fi
((${#series_list[@]} > 0)) || series_list=("${all_series[@]}")

for tool in qemu-system-x86_64 busybox dash bpftool cpio depmod gcc clang apt-get; do
    command -v "$tool" >/dev/null || {
        echo "vm: needs $tool; 'scripts/setup.sh vm' installs what is missing" >&2
        exit 77
    }
done
[[ $(uname -m) == x86_64 ]] || {
    echo "vm: the guests are x86-64, and so has to be the machine that builds for them" >&2
    exit 77
}

# Which tests, for which guest, and how long: lines SERIES NAME FILE GUEST SECONDS.
plan() {
    local file name guest seconds length kernel series line word
    for file in "$tests_folder"/*.sh "$tests_folder"/*.c; do
        [[ -e $file ]] || continue
        name=$(basename "${file%.*}")
        if ((${#wanted_tests[@]} > 0)) && [[ " ${wanted_tests[*]} " != *" $name "* ]]; then continue; fi
        guest=module seconds=60 length=any kernel=
        line=$(head -n 15 "$file" | sed -n 's/.*vm: //p' | head -n 1)
        for word in $line; do
            case $word in
            guest=*) guest=${word#guest=} ;;
            seconds=*) seconds=${word#seconds=} ;;
            kernel=*)
                kernel=${word#kernel=}
                [[ " ${all_series[*]} " == *" $kernel "* ]] || {
                    echo "vm: $file names kernel $kernel, which there is not" >&2 && exit 64
                }
                ;;
            long | short) length=$word ;;
            esac
        done
        if ((short)); then
            if [[ $length == long ]]; then continue; fi
        elif ((tries_all)) && [[ $length == short ]]; then
            continue
        fi
        if ((!tries_all)); then kernel=; fi
        for guest in ${guest//,/ }; do
            [[ -n ${guests[$guest]:-} ]] || { echo "vm: $file names guest $guest, which there is not" >&2 && exit 64; }
            if ((${#wanted_guests[@]} > 0)) && [[ " ${wanted_guests[*]} " != *" $guest "* ]]; then continue; fi
            for series in "${series_list[@]}"; do
                if [[ -n $kernel && $kernel != "$series" ]]; then continue; fi
                printf '%s %s %s %s %s\n' "$series" "$name" "$file" "$guest" "$seconds"
            done
        done
    done
}
cache=$(realpath -m "$cache")
work=$cache/run
# Whoever runs this twice at a time would take away the other's files.
mkdir -p "$cache" 2>/dev/null && [[ -w $cache ]] || {
    echo "vm: may not write in $cache; VM_CACHE names another folder" >&2 && exit 73
}
exec 9>"$cache/lock"
flock -n 9 || { echo "vm: another run is under way in $cache" >&2 && exit 75; }
rm -rf "$work"
mkdir -p "$work/tests" "$work/swift"
# Whoever ends this ends what it began.
set -m
end_jobs() { for job in $(jobs -p); do kill "-$1" -- "-$job" 2>/dev/null || true; done; }
# SwiftPM ends its compilers where it is asked to end.
trap 'if [[ -n $(jobs -pr) ]]; then end_jobs INT && sleep 2 && end_jobs KILL; fi' EXIT
plan >"$work/plan"
[[ -s $work/plan ]] || { echo "vm: there is no such test" >&2 && exit 64; }
for name in "${wanted_tests[@]}"; do
    grep -q "^[^ ]* $name " "$work/plan" || { echo "vm: there is no test $name in these guests" >&2 && exit 64; }
done

readonly plain_guests=(clock module pti control) swift_guests=(lab datapath)
runs_swift() { [[ " ${swift_guests[*]} " == *" $1 "* ]]; }
# What is planned for some guests: lines NAME FILE.
planned_for() {
    local guest
    for guest in "$@"; do awk -v guest="$guest" '$4 == guest {print $2, $3}' "$work/plan"; done | sort -u
}

# The Swift tests that guest datapath runs, as swift test --filter takes them. They load the datapath into the verifier,
# run packets through it, or set up what the kernel has to offer; the others meet nothing that differs between kernels.
readonly rooms=StreamRouterTests
readonly extension_suites="$rooms.ExtensionVectorTests/ $rooms.ExtensionDatapathTests/ $rooms.ShippedExtensionTests/
    $rooms.HostileExtensionTests/(verifierRefuses|containsTraps)"
readonly default_suites="$rooms.PacketFixtureTests/ $rooms.ConnectionTests/ $rooms.ShortcutTests/ $rooms.FuzzTests/
    $rooms.TrafficHookTests/ $extension_suites"
readonly short_suites="$rooms.ConnectionTests/ $rooms.ShortcutTests/ $rooms.TrafficHookTests/"
if ((short)); then suites=${VM_SUITES:-$short_suites}; else suites=${VM_SUITES:-$default_suites}; fi
suites=$(tr -s ' \n' ' ' <<<"$suites")
# The longest work of all, behind everything that happens meanwhile: tests have limits of time. Of tests only the rooms
# that guests run.
if [[ -n $(planned_for datapath) ]]; then
    SR_TESTS=$(tr ' |' '\n\n' <<<"$suites" | sed -n 's/\..*//p' | sort -u | paste -sd ,)
    [[ -n $SR_TESTS ]] || { echo "vm: VM_SUITES are named with their rooms, such as $rooms.FuzzTests/" >&2 && exit 64; }
    export SR_TESTS
    nice -n 5 swift build --build-tests >"$work/build.log" 2>&1 &
    build=$!
elif [[ -n $(planned_for lab) ]]; then
    nice -n 5 swift build --product streamrouter >"$work/build.log" 2>&1 &
    build=$!
fi

declare -A folders
for series in "${series_list[@]}"; do folders[$series]=$("$here/kernel.sh" "$series" "$cache"); done

# Tests, once for all kernels.
readonly arch_include=/usr/include/$(uname -m)-linux-gnu
while read -r name file; do
    case $file in
    *.sh) cp "$file" "$work/tests/" ;;
    *.c)
        libraries=(-pthread)
        if grep -q '<bpf/' "$file"; then libraries+=(-lbpf -lelf -lz); fi
        gcc -std=gnu17 -O2 -g -Wall -static -I Sources/CStreamRouter/include -I "$tests_folder" -I "$tests_folder/bpf" \
            -o "$work/tests/$name" "$file" "${libraries[@]}"
        ;;
    esac
done < <(awk '{print $2, $3}' "$work/plan" | sort -u)
for file in "$tests_folder"/*.inc; do
    if [[ -e $file ]]; then cp "$file" "$work/tests/"; fi
done
for source in "$tests_folder"/bpf/*.bpf.c; do
    [[ -e $source ]] || continue
    clang -target bpf -mcpu=v3 -O2 -g -std=gnu17 -I Sources/CStreamRouter/include -I "$tests_folder/bpf" \
        -idirafter "$arch_include" -c "$source" -o "$work/tests/$(basename "${source%.c}").o"
done
# A test may need more than its own file can say: NAME.build is given a folder that becomes /tests with it, and where it is
# for a guest of Swift programs, BINARIES.
prepare() {
    local folder=$1 name file
    shift
    while read -r name file; do
        if [[ -x ${file%.*}.build ]]; then "${file%.*}.build" "$folder" </dev/null; fi
    done < <(planned_for "$@")
}
prepare "$work/tests" "${plain_guests[@]}"

# The module, for each kernel, out of a copy: kmodule/ stays as it is.
declare -A built
for series in "${series_list[@]}"; do
    built[$series]=
    [[ -e kmodule/Kbuild && ${VM_MODULE:-} != none ]] || continue
    copy=$cache/$series/kmodule
    mkdir -p "$copy"
    # What did not change keeps its date, and what was built from it with it.
    find "$copy" -maxdepth 1 -name '*.[chS]' | while read -r file; do
        [[ -e kmodule/$(basename "$file") ]] || rm -f "$file"
    done
    cp -pu -r kmodule/. "$copy/"
    make -j 2 -C "$copy" KDIR="${folders[$series]}/build" BTF_BASE="${folders[$series]}/vmlinuz" \
        SR_INCLUDE="$repository/Sources/CStreamRouter/include" >"$work/module-$series.log" 2>&1 || {
        cat "$work/module-$series.log" >&2
        echo "vm: the module does not build for ${folders[$series]}" >&2
        exit 1
    }
    if grep -E 'warning:|WARNING:' "$work/module-$series.log" >&2; then
        echo "vm: the module builds with warnings for $(<"${folders[$series]}/release")" >&2
        exit 1
    fi
    built[$series]=$copy/streamrouter.ko
done

# Boots one guest of one kernel; leaves console, results and judgement in its folder.
boot() {
    local series=$1 guest=$2 memory append attempt place limit=120
    local folder=$work/$series/$guest
    mkdir -p "$folder/tests"
    cp -r "$work/tests/." "$folder/tests/"
    if runs_swift "$guest"; then cp -r "$work/swift/." "$folder/tests/"; fi
    grep "^$series " "$work/plan" | awk -v guest="$guest" '$4 == guest {print $2, $5}' >"$folder/tests/list"
    while read -r _ seconds; do limit=$((limit + seconds)); done <"$folder/tests/list"
    "$here/initramfs.sh" "${folders[$series]}" "$folder/tests" "$folder/initramfs.gz" "${built[$series]}"
    read -r memory append <<<"${guests[$guest]}"
    local devices=(-device virtio-rng-pci) processors=(-accel tcg,thread=multi -smp 2)
    # A second processor would wait for the first one, and the guests of both kernels have two to share.
    if [[ $guest == datapath ]]; then processors=(-accel tcg,thread=multi -smp 1); fi
    if [[ $guest == clock ]]; then
        processors=(-accel tcg,thread=single -smp 1 -icount shift=1,sleep=off)
    fi
    if runs_swift "$guest"; then
        devices+=(-fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap
            -device virtio-9p-pci,fsdev=host,mount_tag=host)
    fi
    # A warning stops it too (panic_on_warn), at once and not after a minute of silence (panic=-1, -no-reboot). Of the
    # timer a machine that is busy elsewhere makes the kernel think that it does not tick (no_timer_check).
    # "Fast" strings are emulated byte by byte: without them kernel and libraries copy by words.
    for attempt in 1 2 3; do
        timeout --foreground -s KILL "$limit" qemu-system-x86_64 "${processors[@]}" -M pc \
            -cpu max,-la57,-svm,-erms,-fsrm -m "$memory" -nodefaults -display none -no-reboot "${devices[@]}" \
            -serial "file:$folder/console" -serial "file:$folder/results" \
            -kernel "${folders[$series]}/vmlinuz" -initrd "$folder/initramfs.gz" \
            -append "console=ttyS0 no_timer_check loglevel=5 oops=panic panic=-1 panic_on_warn=1 watchdog_thresh=30 $append" \
            </dev/null >"$folder/qemu" 2>&1 || echo "vm: qemu ended with $? (137: after $limit s)" >>"$folder/qemu"
        # What the emulator did wrong says nothing about a kernel.
        place=$("$here/stale.sh" "$folder/console") && ((attempt < 3)) || break
        echo "$series $guest: QEMU ran a breakpoint that was gone ($place; see $here/stale.sh); once more"
        mv "$folder/console" "$folder/console-$attempt"
    done
    cat "$folder/qemu" >>"$folder/console"
    "$here/judge.sh" "$series $guest" "$folder/tests/list" "$folder/results" "$folder/console" \
        >"$folder/judgement" 2>&1 || touch "$folder/failed"
    cat "$folder/judgement"
}

# Boots guests of one kernel in turn, those that are in the plan.
boot_all() {
    local series=$1 guest
    shift
    for guest in "$@"; do
        if grep -q "^$series [^ ]* [^ ]* $guest " "$work/plan"; then boot "$series" "$guest"; fi
    done
}

# An emulated machine takes minutes to compile an extension, so it finds them built, by the same tests here.
build_extensions() {
    local kept
    mkdir "$work/extensions"
    kept=$(tr -s ' \n' '\n' <<<"$extension_suites" | grep -Fxf <(tr ' ' '\n' <<<"$suites") | paste -sd '|' || true)
    if [[ -z $kept ]]; then return; fi
    SR_EXTENSIONS=$work/extensions "$1/StreamRouterPackageTests.xctest" --testing-library swift-testing \
        --filter "$kept" >"$work/extensions.log" 2>&1
}
# Into $work/swift, what guests of Swift programs need beside the tests. Says for each guest when it is there: GUEST-ready.
build_swift() {
    wait "$build" || { tail -n 30 "$work/build.log" >&2 && exit 1; }
    local binaries extensions
    binaries=$(swift build --show-bin-path)
    if [[ -n $(planned_for datapath) ]]; then
        build_extensions "$binaries" &
        extensions=$!
    fi
    # What tests count less of in a machine that is ten times slower, unless it is said.
    printf '%s=%q\n' REPOSITORY "$repository" BINARIES "$binaries" HOST_PATH "$PATH" SUITES "$suites" \
        SR_EXTENSIONS "$work/extensions" SR_FRAMES "${SR_FRAMES:-2000}" SR_PACKETS "${SR_PACKETS:-5000}" \
        SR_SWAPS "${SR_SWAPS:-5}" >"$work/swift/environment"
    BINARIES=$binaries prepare "$work/swift" "${swift_guests[@]}"
    touch "$work/lab-ready"
    if [[ -n ${extensions:-} ]]; then
        wait "$extensions" || {
            grep -E '✘|rror' "$work/extensions.log" | head -n 30 >&2 || true
            echo "vm: extensions do not build; $work/extensions.log" >&2
            exit 1
        }
        touch "$work/datapath-ready"
    fi
}

# Kernels beside each other, the guests of each in turn: first those that need nothing of the Swift package, which is built
# meanwhile; the one with a clock of its own beside them.
for series in "${series_list[@]}"; do
    {
        set +m
        boot_all "$series" clock &
        boot_all "$series" module pti control
        wait
        if [[ -n ${build:-} ]]; then
            for guest in "${swift_guests[@]}"; do
                if [[ -z $(planned_for "$guest") ]]; then continue; fi
                until [[ -e $work/$guest-ready ]]; do sleep 1; done
                boot_all "$series" "$guest"
            done
        fi
    } &
done
if [[ -n ${build:-} ]]; then build_swift; fi
wait

count() { grep -hE "^[0-9.]+ +[a-z]+ .* $1" "$work"/*/*/judgement | wc -l || true; }
kernels=
for series in "${series_list[@]}"; do kernels+=" $(<"${folders[$series]}/release")"; done
# One that did not come up said nothing either.
while read -r series guest; do
    [[ -e $work/$series/$guest/judgement ]] || {
        echo "$series $guest: did not run"
        touch "$work/failed"
    }
done < <(awk '{print $1, $4}' "$work/plan" | sort -u)
echo "vm: kernels$kernels; $(count ' ok   ') passed, $(count ' FAIL ') failed, $(count ' skip ') skipped"
[[ -z $(find "$work" -name failed) ]]
