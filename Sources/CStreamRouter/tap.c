#include "sr_tap.h"

#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

enum { SNAPSHOT_BYTES = 262144, READ_TIMEOUT_MS = 50 };

struct sr_tap {
    pcap_t *pcap;
};

static int is_permission(int status) {
    return status == PCAP_ERROR_PERM_DENIED || status == PCAP_ERROR_PROMISC_PERM_DENIED;
}

struct sr_tap *sr_tap_open(const char *device, const char *filter, enum sr_tap_direction direction,
                           int buffer_bytes, char *error, int capacity, int *permission) {
    char reason[PCAP_ERRBUF_SIZE] = "";
    const char *step = "pcap_create";
    *permission = 0;
    pcap_t *pcap = pcap_create(device, reason);
    if (!pcap) {
        snprintf(error, (size_t)capacity, "%s: %s", step, reason);
        return NULL;
    }
    pcap_set_snaplen(pcap, SNAPSHOT_BYTES);
    pcap_set_timeout(pcap, READ_TIMEOUT_MS);
    pcap_set_buffer_size(pcap, buffer_bytes);
    pcap_set_tstamp_precision(pcap, PCAP_TSTAMP_PRECISION_NANO);
    struct bpf_program program;
    step = "pcap_activate";
    int status = pcap_activate(pcap);
    // Warnings are above zero.
    if (status < 0)
        goto failed;
    step = "pcap_setdirection";
    status = pcap_setdirection(pcap, direction == SR_TAP_IN    ? PCAP_D_IN
                                     : direction == SR_TAP_OUT ? PCAP_D_OUT
                                                               : PCAP_D_INOUT);
    if (status < 0)
        goto failed;
    step = "pcap_compile";
    status = pcap_compile(pcap, &program, filter, 1, PCAP_NETMASK_UNKNOWN);
    if (status < 0)
        goto failed;
    step = "pcap_setfilter";
    status = pcap_setfilter(pcap, &program);
    pcap_freecode(&program);
    if (status < 0)
        goto failed;
    step = "pcap_setnonblock";
    status = pcap_setnonblock(pcap, 1, reason);
    if (status < 0)
        goto failed;
    struct sr_tap *tap = malloc(sizeof(*tap));
    if (!tap)
        goto failed;
    tap->pcap = pcap;
    return tap;
failed:
    *permission = is_permission(status);
    const char *detail = pcap_geterr(pcap);
    snprintf(error, (size_t)capacity, "%s: %s", step, detail[0] ? detail : pcap_statustostr(status));
    pcap_close(pcap);
    return NULL;
}

struct sr_tap *sr_tap_open_file(const char *path, const char *filter, char *error, int capacity) {
    char reason[PCAP_ERRBUF_SIZE] = "";
    pcap_t *pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, reason);
    if (!pcap) {
        snprintf(error, (size_t)capacity, "%s", reason);
        return NULL;
    }
    struct bpf_program program;
    // Where not even the empty filter can be made, it is the file that is wrong: its link type is none.
    int status = pcap_compile(pcap, &program, "", 1, PCAP_NETMASK_UNKNOWN);
    if (status) {
        snprintf(error, (size_t)capacity, "%s", pcap_geterr(pcap));
        pcap_close(pcap);
        return NULL;
    }
    pcap_freecode(&program);
    status = pcap_compile(pcap, &program, filter, 1, PCAP_NETMASK_UNKNOWN);
    if (!status) {
        status = pcap_setfilter(pcap, &program);
        pcap_freecode(&program);
    }
    struct sr_tap *tap = status ? NULL : malloc(sizeof(*tap));
    if (!tap) {
        snprintf(error, (size_t)capacity, "filter: %s", pcap_geterr(pcap));
        pcap_close(pcap);
        return NULL;
    }
    tap->pcap = pcap;
    return tap;
}

void sr_tap_close(struct sr_tap *tap) {
    pcap_close(tap->pcap);
    free(tap);
}

int sr_tap_descriptor(struct sr_tap *tap) {
    return pcap_get_selectable_fd(tap->pcap);
}

int sr_tap_link_type(struct sr_tap *tap) {
    return pcap_datalink(tap->pcap);
}

int sr_tap_next(struct sr_tap *tap, struct sr_tapped *packet) {
    struct pcap_pkthdr *header;
    const unsigned char *bytes;
    int status = pcap_next_ex(tap->pcap, &header, &bytes);
    if (status <= 0)
        return status == PCAP_ERROR_BREAK ? -2 : status < 0 ? -1 : 0;
    packet->bytes = bytes;
    packet->length = header->caplen;
    packet->original_length = header->len;
    // With the precision that was asked for, tv_usec holds nanoseconds.
    packet->time_ns = (__u64)header->ts.tv_sec * 1000000000 + (__u64)header->ts.tv_usec;
    return 1;
}

void sr_tap_counts(struct sr_tap *tap, __u64 *received, __u64 *dropped) {
    struct pcap_stat counts = {};
    pcap_stats(tap->pcap, &counts);
    *received = counts.ps_recv;
    *dropped = counts.ps_drop + counts.ps_ifdrop;
}
