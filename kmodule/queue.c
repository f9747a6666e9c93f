// SPDX-License-Identifier: GPL-2.0
// One queue of packets in the order of their time, and the timer that releases them.
//
// A packet that is held is a copy of the program's, with a head of its own: the program may go on to change
// its packet, to send it elsewhere or to hold it once more for another sink, and the verifier knows of no
// pointer that ends with the call. Pages behind the head are shared, which programs cannot write. The copy
// holds no device and no route, only the number of the device that it is for, which is looked up when its
// time has come: a device that goes away waits for no packet.
#include <linux/atomic.h>
#include <linux/etherdevice.h>
#include <linux/if_arp.h>
#include <linux/ktime.h>
#include <linux/netdevice.h>
#include <linux/slab.h>
#include <linux/version.h>

#include "queue.h"

// Packets that the timer releases before it lets other softirqs run.
enum { RELEASE_BATCH = 32 };

// Stands in skb->cb while a packet is held: nobody else uses that then.
struct held {
    u64 release_ns;
    u32 ifindex;
    u32 flags;
};

// What all queues hold together.
static atomic_t all_packets;
static atomic_long_t all_bytes;

static struct held *held_of(struct sk_buff *packet) {
    BUILD_BUG_ON(sizeof(struct held) > sizeof(packet->cb));
    return (struct held *)packet->cb;
}

static void give_back(u32 packets, u64 bytes) {
    atomic_sub(packets, &all_packets);
    atomic_long_sub(bytes, &all_bytes);
}

static bool reserve(long bytes) {
    bool fits = atomic_inc_return(&all_packets) <= SR_HOLD_PACKETS;

    if (atomic_long_add_return(bytes, &all_bytes) <= SR_HOLD_BYTES && fits)
        return true;
    give_back(1, bytes);
    return false;
}

// --- In and out of the tree, under the lock ---

static void insert(struct sr_queue *queue, struct sk_buff *packet) {
    struct rb_node **place = &queue->packets.rb_root.rb_node, *parent = NULL;
    u64 release_ns = held_of(packet)->release_ns;
    bool first = true;

    while (*place) {
        parent = *place;
        // Of the same time as another: behind it.
        if (release_ns < held_of(rb_to_skb(parent))->release_ns) {
            place = &parent->rb_left;
        } else {
            place = &parent->rb_right;
            first = false;
        }
    }
    rb_link_node(&packet->rbnode, parent, place);
    rb_insert_color_cached(&packet->rbnode, &queue->packets, first);
}

static struct sk_buff *first_of(struct sr_queue *queue) {
    return rb_to_skb(rb_first_cached(&queue->packets));
}

static void take_out(struct sr_queue *queue, struct sk_buff *packet) {
    rb_erase_cached(&packet->rbnode, &queue->packets);
    // The tree's node lay over these.
    packet->next = NULL;
    packet->prev = NULL;
    packet->dev = NULL;
}

static void account_gone(struct sr_queue *queue, u64 packets, u64 bytes) {
    queue->counts.in_queue -= packets;
    queue->counts.bytes_in_queue -= bytes;
    give_back(packets, bytes);
}

// The timer may run just now, on another processor: it is then queued there and runs once more.
static void arm(struct sr_queue *queue, u64 not_before_ns) {
    struct sk_buff *first = first_of(queue);

    if (first)
        hrtimer_start(&queue->timer, ns_to_ktime(max(held_of(first)->release_ns, not_before_ns)),
                      HRTIMER_MODE_ABS_PINNED_SOFT);
}

// --- Holding ---

// The copy as it goes out later: without what tied the packet to its way so far.
static struct sk_buff *copy_of(struct sk_buff *packet, const struct held *held) {
    struct sk_buff *copy = pskb_copy(packet, GFP_ATOMIC);

    if (!copy)
        return NULL;
    skb_scrub_packet(copy, false);
    skb_clear_tstamp(copy);
    *held_of(copy) = *held;
    return copy;
}

static int refuse(struct sr_queue *queue, u64 *counter, int error) {
    spin_lock_bh(&queue->lock);
    ++*counter;
    spin_unlock_bh(&queue->lock);
    return error;
}

static bool can_send(struct net *net, u32 ifindex) {
    struct net_device *device;
    bool up;

    rcu_read_lock();
    device = dev_get_by_index_rcu(net, ifindex);
    up = device && device->flags & IFF_UP;
    rcu_read_unlock();
    return up;
}

int sr_queue_take(struct sr_queue *queue, struct sk_buff *packet, u64 release_ns, u32 ifindex, u32 flags) {
    struct held held = {.release_ns = release_ns, .ifindex = ifindex, .flags = flags};
    struct sr_hold_counts *counts = &queue->counts;
    struct sk_buff *copy;
    bool full;

    if (release_ns > ktime_get_ns() + SR_HOLD_LONGEST_S * NSEC_PER_SEC)
        return refuse(queue, &counts->refused_time, -ERANGE);
    if (!can_send(queue->net, ifindex))
        return refuse(queue, &counts->refused_device, -ENODEV);
    // Looked at before the work of a copy; what counts is asked behind it, when its size is known.
    if (READ_ONCE(counts->in_queue) >= SR_HOLD_QUEUE_PACKETS || atomic_read(&all_packets) >= SR_HOLD_PACKETS)
        return refuse(queue, &counts->refused_full, -ENOBUFS);
    copy = copy_of(packet, &held);
    if (!copy)
        return refuse(queue, &counts->refused_memory, -ENOMEM);
    if (!reserve(copy->truesize)) {
        kfree_skb(copy);
        return refuse(queue, &counts->refused_full, -ENOBUFS);
    }

    spin_lock_bh(&queue->lock);
    full = counts->in_queue >= SR_HOLD_QUEUE_PACKETS ||
           counts->bytes_in_queue + copy->truesize > SR_HOLD_QUEUE_BYTES;
    if (full) {
        counts->refused_full++;
    } else {
        insert(queue, copy);
        counts->held++;
        counts->in_queue++;
        counts->bytes_in_queue += copy->truesize;
        if (first_of(queue) == copy)
            arm(queue, 0);
    }
    spin_unlock_bh(&queue->lock);
    if (!full)
        return 0;
    give_back(1, copy->truesize);
    kfree_skb(copy);
    return -ENOBUFS;
}

// --- Releasing ---

// Up the stack of the device, as if it had just come in there, but behind the programs at its ingress: they
// have seen it.
static int pass_up(struct sk_buff *packet, struct net_device *device) {
    packet->dev = device;
    if (dev_is_mac_header_xmit(device))
        packet->protocol = eth_type_trans(packet, device);
    else
        skb_reset_mac_header(packet);
    packet->tc_skip_classify = 1;
    return netif_receive_skb(packet) == NET_RX_SUCCESS ? 0 : -ENOBUFS;
}

static int transmit(struct sk_buff *packet, struct net_device *device) {
    int verdict;

    packet->dev = device;
    // What the program saw begins with the link's header; a tunnel wants none.
    if (!dev_is_mac_header_xmit(device) && skb_network_offset(packet) > 0)
        skb_pull(packet, skb_network_offset(packet));
    verdict = dev_queue_xmit(packet);
    // A macro that reads its argument twice.
    return net_xmit_eval(verdict);
}

// The packet is gone afterwards. -ENODEV where there is no such device any more.
static int hand_over(struct sr_queue *queue, struct sk_buff *packet) {
    struct held held = *held_of(packet);
    struct net_device *device;
    int error = -ENODEV;

    memset(packet->cb, 0, sizeof(packet->cb));
    rcu_read_lock();
    device = dev_get_by_index_rcu(queue->net, held.ifindex);
    if (!device || !(device->flags & IFF_UP))
        kfree_skb(packet);
    else if (held.flags & SR_HOLD_UP)
        error = pass_up(packet, device);
    else
        error = transmit(packet, device);
    rcu_read_unlock();
    return error;
}

// Sends what is due. The sum is added to the queue's counts by the caller, under the lock.
static void hand_over_all(struct sr_queue *queue, struct sk_buff **due, u32 count,
                          struct sr_hold_counts *sum) {
    u32 index;

    for (index = 0; index < count; index++) {
        u64 release_ns = held_of(due[index])->release_ns, now = ktime_get_ns();
        u64 late_ns = now > release_ns ? now - release_ns : 0;
        int error;

        sum->bytes_in_queue += due[index]->truesize;
        error = hand_over(queue, due[index]);
        if (error) {
            ++*(error == -ENODEV ? &sum->dropped_device : &sum->dropped_transmit);
            continue;
        }
        sum->released++;
        sum->late += late_ns > SR_HOLD_LATE_NS;
        sum->longest_late_ns = max(sum->longest_late_ns, late_ns);
    }
}

// In softirq. Only this function releases, and a timer runs on one processor at a time: packets leave in
// order.
static enum hrtimer_restart release(struct hrtimer *timer) {
    struct sr_queue *queue = container_of(timer, struct sr_queue, timer);
    struct sr_hold_counts *counts = &queue->counts, sum = {0};
    struct sk_buff *due[RELEASE_BATCH], *packet;
    u64 now = ktime_get_ns();
    u32 count = 0;

    spin_lock(&queue->lock);
    while (count < RELEASE_BATCH && (packet = first_of(queue)) && held_of(packet)->release_ns <= now) {
        take_out(queue, packet);
        due[count++] = packet;
    }
    spin_unlock(&queue->lock);

    hand_over_all(queue, due, count, &sum);

    spin_lock(&queue->lock);
    counts->released += sum.released;
    counts->late += sum.late;
    counts->dropped_device += sum.dropped_device;
    counts->dropped_transmit += sum.dropped_transmit;
    counts->longest_late_ns = max(counts->longest_late_ns, sum.longest_late_ns);
    account_gone(queue, count, sum.bytes_in_queue);
    // Not before now, so that the timer does not run again within this softirq.
    arm(queue, ktime_get_ns());
    spin_unlock(&queue->lock);
    return HRTIMER_NORESTART;
}

// --- The end ---

void sr_queue_drop(struct sr_queue *queue, enum sr_queue_end why, u32 ifindex, u32 limit) {
    struct sr_hold_counts *counts = &queue->counts;
    u64 *const counters[] = {&counts->dropped_device, &counts->dropped_flush, &counts->dropped_unload};
    struct sk_buff *gone = NULL, *packet;
    struct rb_node *node, *next;
    u64 packets = 0, bytes = 0;

    spin_lock_bh(&queue->lock);
    for (node = rb_first_cached(&queue->packets); node && packets < limit; node = next) {
        next = rb_next(node);
        packet = rb_to_skb(node);
        if (ifindex && held_of(packet)->ifindex != ifindex)
            continue;
        take_out(queue, packet);
        packet->next = gone;
        gone = packet;
        packets++;
        bytes += packet->truesize;
    }
    *counters[why] += packets;
    account_gone(queue, packets, bytes);
    spin_unlock_bh(&queue->lock);
    // The timer is left as it is: it may find nothing due.
    kfree_skb_list(gone);
}

void sr_queue_count(struct sr_queue *queue, struct sr_hold_counts *sum) {
    u64 *into = (u64 *)sum, *from = (u64 *)&queue->counts, longest;
    size_t index;

    spin_lock_bh(&queue->lock);
    longest = max(sum->longest_late_ns, queue->counts.longest_late_ns);
    // All fields are counts of the same width.
    for (index = 0; index < sizeof(*sum) / sizeof(u64); index++)
        into[index] += from[index];
    sum->longest_late_ns = longest;
    spin_unlock_bh(&queue->lock);
}

struct sr_queue *sr_queue_make(struct net *net, gfp_t how) {
    struct sr_queue *queue = kzalloc(sizeof(*queue), how);

    if (!queue)
        return NULL;
    spin_lock_init(&queue->lock);
    queue->packets = RB_ROOT_CACHED;
    queue->net = net;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
    hrtimer_setup(&queue->timer, release, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_PINNED_SOFT);
#else
    hrtimer_init(&queue->timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_PINNED_SOFT);
    queue->timer.function = release;
#endif
    return queue;
}

void sr_queue_free(struct sr_queue *queue) {
    hrtimer_cancel(&queue->timer);
    sr_queue_drop(queue, SR_QUEUE_UNLOAD, 0, UINT_MAX);
    kfree(queue);
}
