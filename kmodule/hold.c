// SPDX-License-Identifier: GPL-2.0
// Packets that are held until their time: the queues of each network namespace, found by number. A queue is
// made by the first packet and stays, with its counts, until its namespace or the module ends: the program
// may be another one meanwhile.
#include <linux/netdevice.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <linux/timekeeping.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "hold.h"
#include "queue.h"

// The queues of a network namespace. A pointer is set once, and cleared when nobody looks any more.
struct hold {
    struct sr_queue *queues[SR_HOLD_QUEUES];
};

static unsigned int hold_id;

static struct hold *hold_of(struct net *net) {
    return net_generic(net, hold_id);
}

static struct sr_queue *find(struct net *net, u32 number) {
    return number < SR_HOLD_QUEUES ? smp_load_acquire(&hold_of(net)->queues[number]) : NULL;
}

static struct sr_queue *find_or_make(struct net *net, u32 number) {
    struct sr_queue *queue = find(net, number), *made, *former;

    if (queue)
        return queue;
    made = sr_queue_make(net, GFP_ATOMIC);
    if (!made)
        return NULL;
    // Another processor may have been first.
    former = cmpxchg(&hold_of(net)->queues[number], NULL, made);
    if (!former)
        return made;
    sr_queue_free(made);
    return former;
}

// The two clocks run alike: the difference changes only where someone sets CLOCK_REALTIME. A time before this
// machine started is one that is past.
static u64 to_monotonic(u64 realtime_ns) {
    u64 difference_ns = ktime_to_ns(ktime_mono_to_real(0));

    return realtime_ns > difference_ns ? realtime_ns - difference_ns : 0;
}

// --- What programs ask ---

int sr_hold_take(struct sk_buff *packet, u64 release_ns, u32 number, u32 ifindex, u32 flags) {
    struct sr_queue *queue;

    if (number >= SR_HOLD_QUEUES || flags & ~(SR_HOLD_UP | SR_HOLD_REALTIME))
        return -EINVAL;
    if (flags & SR_HOLD_REALTIME)
        release_ns = to_monotonic(release_ns);
    queue = find_or_make(dev_net(packet->dev), number);
    return queue ? sr_queue_take(queue, packet, release_ns, ifindex, flags) : -ENOMEM;
}

int sr_hold_length(struct net *net, u32 number) {
    struct sr_queue *queue = find(net, number);

    if (number >= SR_HOLD_QUEUES)
        return -EINVAL;
    return queue ? READ_ONCE(queue->counts.in_queue) : 0;
}

int sr_hold_drop(struct net *net, u32 number, u32 limit) {
    struct sr_queue *queue = find(net, number);

    if (queue)
        sr_queue_drop(queue, SR_QUEUE_FLUSH, 0, limit);
    return sr_hold_length(net, number);
}

// --- Ioctls, about the caller's network namespace ---

static int ask(struct sr_hold_query *query, bool flush) {
    struct net *net = current->nsproxy->net_ns;
    u32 first = query->queue, last = query->queue, number;

    if (query->queue > SR_HOLD_QUEUES || query->reserved)
        return -EINVAL;
    if (query->queue == SR_HOLD_QUEUES) {
        first = 0;
        last = SR_HOLD_QUEUES - 1;
    }
    memset(&query->counts, 0, sizeof(query->counts));
    for (number = first; number <= last; number++) {
        struct sr_queue *queue = find(net, number);

        if (!queue)
            continue;
        if (flush)
            sr_queue_drop(queue, SR_QUEUE_FLUSH, 0, UINT_MAX);
        sr_queue_count(queue, &query->counts);
    }
    return 0;
}

int sr_hold_read(void *query) {
    return ask(query, false);
}

int sr_hold_flush_asked(void *query) {
    return ask(query, true);
}

// --- Devices and namespaces that go away ---

static int device_event(struct notifier_block *block, unsigned long event, void *data) {
    struct net_device *device = netdev_notifier_info_to_dev(data);
    u32 number;

    if (event != NETDEV_DOWN && event != NETDEV_UNREGISTER)
        return NOTIFY_DONE;
    // A packet that slips in behind this finds no device when its time has come.
    for (number = 0; number < SR_HOLD_QUEUES; number++) {
        struct sr_queue *queue = find(dev_net(device), number);

        if (queue)
            sr_queue_drop(queue, SR_QUEUE_DEVICE, device->ifindex, UINT_MAX);
    }
    return NOTIFY_DONE;
}

static struct notifier_block device_notifier = {.notifier_call = device_event};

// Of a namespace that ends, its devices are gone by now; of a module that ends, the programs.
static void __net_exit end_namespace(struct net *net) {
    u32 number;

    for (number = 0; number < SR_HOLD_QUEUES; number++) {
        struct sr_queue *queue = find(net, number);

        if (queue)
            sr_queue_free(queue);
    }
}

static struct pernet_operations namespace_operations = {
    .exit = end_namespace,
    .id = &hold_id,
    .size = sizeof(struct hold),
};

int sr_hold_start(void) {
    int error = register_pernet_subsys(&namespace_operations);

    if (error)
        return error;
    error = register_netdevice_notifier(&device_notifier);
    if (error)
        unregister_pernet_subsys(&namespace_operations);
    return error;
}

void sr_hold_stop(void) {
    unregister_netdevice_notifier(&device_notifier);
    unregister_pernet_subsys(&namespace_operations);
}
