// Packets are held on all processors at once into the same queues, while these are emptied, their device goes
// down and up, and a processor goes away and comes back. None is lost track of.
//
// vm: seconds=120
#include "kfunc-holder.h"

#include <bpf/libbpf.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

enum { HOLDERS = 2, TURNS = 40 };

// A processor's number is written here, so that it goes away or comes back.
static bool processor(bool online) {
    int file = open("/sys/devices/system/cpu/cpu1/online", O_WRONLY);
    bool done = file >= 0 && write(file, online ? "1" : "0", 1) == 1;
    if (file >= 0)
        close(file);
    return done;
}

static bool set_device(const char *name, bool up) {
    struct ifreq request = {.ifr_flags = up ? IFF_UP : 0};
    int descriptor = socket(AF_INET, SOCK_DGRAM, 0);
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    bool done = !ioctl(descriptor, SIOCSIFFLAGS, &request);
    close(descriptor);
    return done;
}

// Holds until it is killed; the counts are the queue's.
static void hold_on(int dummy) {
    struct holder holder = holder_load();
    for (;;)
        hold(&holder, (struct hold_settings){.ifindex = dummy, .queues = 2, .spread_ns = 2000000}, 500);
}

// Empties the queues in all ways, until it is killed.
static void empty_on(int dummy) {
    struct holder holder = holder_load();
    int device = module_open(), drop_held = program_of(holder.object, "drop_held");
    struct hold_settings set = {.ifindex = dummy, .queue = 1, .queues = 1, .spread_ns = 1};
    map_write(holder.settings, &set);
    for (;;) {
        struct sr_hold_query query = {.queue = 0};
        ioctl(device, SR_MODULE_HOLD_FLUSH, &query);
        program_run(drop_held, packet, sizeof packet, 1);
        usleep(500);
    }
}

int main(void) {
    pid_t children[HOLDERS + 1];
    int turns = 0, departures = 0;
    libbpf_set_print(be_silent);
    shell("modprobe dummy; f=/proc/sys/net/ipv6/conf/default/disable_ipv6; [ ! -e $f ] || echo 1 >$f; "
          "ip link del dummy0 2>/dev/null; ip link add dummy0 type dummy && ip link set dummy0 up");
    need(!module_load(""), "load the module");
    int dummy = if_nametoindex("dummy0");
    long before = packets_in_kernel();
    for (int index = 0; index <= HOLDERS; index++) {
        children[index] = fork();
        if (!children[index])
            index < HOLDERS ? hold_on(dummy) : empty_on(dummy);
    }
    // Before those who are busy.
    struct sched_param priority = {.sched_priority = 10};
    need(!sched_setscheduler(0, SCHED_FIFO, &priority), "SCHED_FIFO");
    for (; turns < TURNS; turns++) {
        usleep(60000);
        need(set_device("dummy0", false), "dummy0 down");
        usleep(5000);
        need(set_device("dummy0", true), "dummy0 up");
        if (turns % 8 == 0 && processor(false)) {
            departures++;
            usleep(50000);
            need(processor(true), "the processor is back");
        }
    }
    for (int index = 0; index <= HOLDERS; index++)
        kill(children[index], SIGKILL), waitpid(children[index], NULL, 0);
    struct sr_hold_counts counts = wait_until_empty();
    check(counts.held > 10000 && counts.released && counts.dropped_device && counts.dropped_flush &&
              counts.refused_device,
          "races-happened",
          "%llu held, %llu released, %llu gone with the device, %llu flushed, %llu refused while it was down",
          (unsigned long long)counts.held, (unsigned long long)counts.released,
          (unsigned long long)counts.dropped_device, (unsigned long long)counts.dropped_flush,
          (unsigned long long)counts.refused_device);
    check(turns == TURNS && departures == TURNS / 8, "races-turns",
          "%d times down and up, %d times without a processor", turns, departures);
    check(!counts.in_queue && !counts.bytes_in_queue && adds_up(&counts), "races-add-up", "%llu left",
          (unsigned long long)counts.in_queue);
    long after = packets_back_to(before);
    check(same_packets(before, after), "races-none-leaked", "%ld packets in the kernel before, %ld after",
          before, after);
    check(!module_unload_within(3000000000ull), "unload", "after the programs");
    shell("ip link del dummy0");
    return failures != 0;
}
