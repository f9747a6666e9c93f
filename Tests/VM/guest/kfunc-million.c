// A million packets are held and released and none is lost, also while one program takes the other's place
// and when the module is unloaded. In a guest without marks of freed memory, which would take longer than the
// packets.
//
// vm: guest=pti seconds=180
#include "kfunc-holder.h"

#include <bpf/libbpf.h>
#include <net/if.h>

// Packets of others that come and go.
enum { MILLION = 1000000, AT_ONCE = 5000, NOISE = 32 };

static uint64_t number_in(const char *path) {
    unsigned long long number = 0;
    FILE *file = fopen(path, "r");
    need(file && fscanf(file, "%llu", &number) == 1, "%s", path);
    fclose(file);
    return number;
}

// Holds and releases MILLION packets, and exchanges the program now and then.
static void check_million(int dummy) {
    uint64_t sent_before = number_in("/sys/class/net/dummy0/statistics/tx_packets");
    uint64_t held = 0, refused = 0, in_swap = 0, swaps = 0, rounds = 0, began = now_ns();
    long before = packets_in_kernel();
    const struct hold_settings set = {
        .ifindex = dummy, .queues = 16, .delay_ns = 1000000, .spread_ns = 20000000};
    const struct hold_settings long_set = {.ifindex = dummy, .queue = 16, .delay_ns = 300000000};
    struct holder holder = holder_load();
    for (; held < MILLION && rounds < 10000; rounds++) {
        uint64_t left = MILLION - held;
        struct hold_tally tally = hold(&holder, set, left < 10000 ? left : 10000);
        held += tally.held;
        refused += tally.refused;
        // The timer's softirq falls behind on a processor that a program keeps busy.
        if (tally.refused)
            usleep(20000);
        if (rounds % 20 == 19) {
            // The next version of the extension, while packets of this one are held.
            struct holder next = holder_load();
            if (MILLION - held > 500)
                held += hold(&holder, long_set, 500).held;
            in_swap += all().in_queue;
            bpf_object__close(holder.object);
            holder = next;
            swaps++;
        }
    }
    struct sr_hold_counts counts = wait_until_empty();
    uint64_t sent = number_in("/sys/class/net/dummy0/statistics/tx_packets") - sent_before;
    double seconds = (now_ns() - began) / 1e9;
    check(held == MILLION && counts.held == held && counts.released == held && sent == held &&
              adds_up(&counts),
          "million-released", "%llu held, %llu released, %llu at the device, %llu refused, %.1f s",
          (unsigned long long)held, (unsigned long long)counts.released, (unsigned long long)sent,
          (unsigned long long)refused, seconds);
    check(swaps >= 3 && in_swap > 0, "million-swap", "%llu times, while %llu packets were held",
          (unsigned long long)swaps, (unsigned long long)in_swap);
    long after = packets_back_to(before);
    check(same_packets(before, after), "million-none-leaked", "%ld packets in the kernel before, %ld after",
          before, after);

    // And the module goes while more are held.
    const struct hold_settings longest = {.ifindex = dummy, .queues = 16, .delay_ns = 9000000000ull};
    held = hold(&holder, longest, AT_ONCE).held;
    long meanwhile = packets_in_kernel();
    bpf_object__close(holder.object);
    int error = module_unload_within(5000000000ull);
    after = packets_back_to(before);
    check(!error && held == AT_ONCE && meanwhile >= before + AT_ONCE - NOISE && same_packets(before, after),
          "million-then-unload", "%llu held, %ld packets in the kernel meanwhile, %ld before, %ld after",
          (unsigned long long)held, meanwhile, before, after);
}

int main(void) {
    libbpf_set_print(be_silent);
    // Without packets of its own.
    shell("modprobe dummy; f=/proc/sys/net/ipv6/conf/default/disable_ipv6; [ ! -e $f ] || echo 1 >$f; "
          "ip link del dummy0 2>/dev/null; ip link add dummy0 type dummy && ip link set dummy0 up");
    need(!module_load(""), "load the module");
    check_million(if_nametoindex("dummy0"));
    shell("ip link del dummy0");
    return failures != 0;
}
