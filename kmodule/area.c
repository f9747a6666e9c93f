// SPDX-License-Identifier: GPL-2.0
// The two areas of the sandbox, two superpages each, and what ring 3 sees of them: an extension its own place
// of the first area, all of the second one (packets), and the gate it returns through. To the kernel the
// first area is superpages as well; an extension's view of its place is of small pages, since a superpage can
// have neither a guard gap nor code that is not writable beside data that are not executable.
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/mem_encrypt.h>

#include "sandbox.h"

enum { AREA_ORDER = 10, TABLE_ENTRIES = 512 };
static_assert(PAGE_SIZE << AREA_ORDER == SR_AREA_PACKET_BYTES);

static void *places_memory;
static void *packets_memory;
static u8 *gate_memory;
static u64 *gate_table;

static u64 table_entry(const void *table) {
    return __sme_set(__pa(table)) | _PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED;
}

// Accessed and dirty from the beginning: the processor never has to write to these tables. Never global: they
// go with the page table they are seen through.
static u64 page_entry(const void *page, u64 rights) {
    return __sme_set(__pa(page)) | _PAGE_PRESENT | _PAGE_USER | _PAGE_ACCESSED | _PAGE_DIRTY | rights;
}

void *sr_area_packets(void) {
    return packets_memory;
}

u64 sr_area_packets_user(void) {
    return SR_SANDBOX_PACKETS;
}

static void map_pages(u64 *table, void *memory, u32 first, u32 bytes, u64 rights) {
    u32 offset;

    for (offset = first; offset < first + bytes; offset += PAGE_SIZE)
        table[offset / PAGE_SIZE] = page_entry(memory + offset, rights);
}

// Tables: of the slot, of the gigabyte, of the superpage with code, of the superpage with data and stack.
int sr_area_view(struct sr_place *place) {
    u32 offset = place->space.number * SR_IMAGE_CODE;
    int index;

    for (index = 0; index < ARRAY_SIZE(place->tables); index++) {
        place->tables[index] = (u64 *)get_zeroed_page(GFP_KERNEL);
        if (!place->tables[index])
            return -ENOMEM;
    }
    place->space.code = places_memory + offset;
    place->space.data = places_memory + SR_IMAGE_DATA + offset;
    place->space.user = SR_SANDBOX_BASE + offset;

    place->tables[0][0] = table_entry(place->tables[1]);
    place->tables[1][0] = table_entry(place->tables[2]);
    place->tables[1][1] = table_entry(place->tables[3]);
    place->tables[1][2] = page_entry(packets_memory, _PAGE_RW | _PAGE_PSE | _PAGE_NX);
    place->tables[1][3] = page_entry(packets_memory + PMD_SIZE, _PAGE_RW | _PAGE_PSE | _PAGE_NX);
    place->tables[1][4] = table_entry(gate_table);
    map_pages(place->tables[2], places_memory, offset, SR_IMAGE_CODE, 0);
    map_pages(place->tables[3], places_memory + SR_IMAGE_DATA, offset, SR_PLACE_DATA_BYTES,
              _PAGE_RW | _PAGE_NX);
    map_pages(place->tables[3], places_memory + SR_IMAGE_DATA, offset + SR_PLACE_GUARD_END,
              SR_PLACE_STACK_BYTES, _PAGE_RW | _PAGE_NX);
    place->view = table_entry(place->tables[0]);
    return 0;
}

void sr_area_view_end(struct sr_place *place) {
    int index;

    for (index = 0; index < ARRAY_SIZE(place->tables); index++)
        free_page((unsigned long)place->tables[index]);
}

int sr_area_start(void) {
    gfp_t flags = GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL;

    places_memory = (void *)__get_free_pages(flags, AREA_ORDER);
    packets_memory = (void *)__get_free_pages(flags, AREA_ORDER);
    gate_memory = (u8 *)get_zeroed_page(GFP_KERNEL);
    gate_table = (u64 *)get_zeroed_page(GFP_KERNEL);
    if (!places_memory || !packets_memory || !gate_memory || !gate_table) {
        pr_err("streamrouter: upcall refused: no 4 MiB of memory in one piece are left\n");
        sr_area_stop();
        return -ENOMEM;
    }
    // int3 behind `ud2`: the gate has one way through it.
    memset(gate_memory, 0xcc, PAGE_SIZE);
    gate_memory[0] = 0x0f;
    gate_memory[1] = 0x0b;
    gate_table[0] = page_entry(gate_memory, 0);
    return 0;
}

void sr_area_stop(void) {
    free_pages((unsigned long)places_memory, AREA_ORDER);
    free_pages((unsigned long)packets_memory, AREA_ORDER);
    free_page((unsigned long)gate_memory);
    free_page((unsigned long)gate_table);
}
