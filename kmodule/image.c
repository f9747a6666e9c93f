// SPDX-License-Identifier: GPL-2.0
// What an image may be is said in streamrouter_module.h. The file is hostile: every number of it is compared
// with what it is used for before it is used, and additions cannot overflow since both sides were bounded.
#include <linux/elf.h>
#include <linux/elf-em.h>

#include "image.h"

// The kernel has no names for these two.
enum { SR_DT_RELACOUNT = 0x6ffffff9, SR_DT_FLAGS_1 = 0x6ffffffb, SR_DT_FLAGS = 30 };
// Of a position-independent program whose symbols are all its own; whatever else a flag asks for is work.
enum { SR_FLAGS_ALLOWED = 0x2 | 0x8, SR_FLAGS_1_ALLOWED = 0x1 | 0x08000000 };
enum { SR_RELOCATION_RELATIVE = 8 };

// The file as it was given, and what was found in it.
struct sr_reading {
    const __u8 *file;
    __u64 length;
    struct sr_image *image;
    // Of the dynamic section in the file; 0 bytes where there is none.
    __u64 dynamic;
    __u64 dynamic_bytes;
};

static int within(__u64 offset, __u64 bytes, __u64 length) {
    return offset <= length && bytes <= length - offset;
}

// Reads from anywhere: a file need not be aligned.
static void copy(const struct sr_reading *reading, __u64 offset, void *to, __u64 bytes) {
    __builtin_memcpy(to, reading->file + offset, bytes);
}

static enum sr_image_flaw check_header(const struct sr_reading *reading, struct elf64_hdr *header) {
    static const __u8 identity[EI_NIDENT] = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT};

    if (reading->length < sizeof(*header) || reading->length > SR_IMAGE_BYTES)
        return SR_IMAGE_FLAW_SIZE;
    copy(reading, 0, header, sizeof(*header));
    if (__builtin_memcmp(header->e_ident, identity, sizeof(identity)) || header->e_type != ET_DYN ||
        header->e_machine != EM_X86_64 || header->e_version != EV_CURRENT)
        return SR_IMAGE_FLAW_FORMAT;
    // Sections are for linkers: without them there is nothing that could say another thing than the segments.
    if (header->e_flags || header->e_ehsize != sizeof(*header) || header->e_phoff != sizeof(*header) ||
        header->e_phentsize != sizeof(struct elf64_phdr) || !header->e_phnum ||
        header->e_phnum > SR_IMAGE_HEADERS || header->e_shoff || header->e_shnum || header->e_shstrndx)
        return SR_IMAGE_FLAW_HEADERS;
    if (!within(header->e_phoff, header->e_phnum * sizeof(struct elf64_phdr), reading->length))
        return SR_IMAGE_FLAW_SIZE;
    return SR_IMAGE_SOUND;
}

static enum sr_image_flaw add_segment(struct sr_reading *reading, const struct elf64_phdr *header) {
    struct sr_image *image = reading->image;
    struct sr_image_segment *segment = &image->segment[image->segment_count];
    __u64 from = header->p_flags & PF_W ? SR_IMAGE_DATA : 0;
    __u64 to = header->p_flags & PF_W ? SR_IMAGE_DATA_END : SR_IMAGE_CODE;

    if (image->segment_count == SR_IMAGE_SEGMENTS || header->p_flags & ~(PF_R | PF_W | PF_X))
        return SR_IMAGE_FLAW_SEGMENT_KIND;
    if ((header->p_flags & (PF_W | PF_X)) == (PF_W | PF_X))
        return SR_IMAGE_FLAW_WRITABLE_CODE;
    if (!header->p_memsz || header->p_filesz > header->p_memsz ||
        !within(header->p_offset, header->p_filesz, reading->length) || header->p_vaddr < from ||
        !within(header->p_vaddr, header->p_memsz, to))
        return SR_IMAGE_FLAW_SEGMENT_BOUNDS;
    if (image->segment_count) {
        const struct sr_image_segment *before = segment - 1;

        if (header->p_vaddr < before->address + before->memory_bytes ||
            header->p_offset < before->offset + before->file_bytes)
            return SR_IMAGE_FLAW_SEGMENT_ORDER;
    }
    image->segment_count++;
    segment->offset = header->p_offset;
    segment->address = header->p_vaddr;
    segment->file_bytes = header->p_filesz;
    segment->memory_bytes = header->p_memsz;
    segment->flags = header->p_flags;
    segment->reserved = 0;
    return SR_IMAGE_SOUND;
}

// The segment whose memory holds these addresses, or 0.
static const struct sr_image_segment *segment_at(const struct sr_image *image, __u64 address, __u64 bytes) {
    __u32 index;

    for (index = 0; index < image->segment_count; index++) {
        const struct sr_image_segment *segment = &image->segment[index];

        if (address >= segment->address && within(address - segment->address, bytes, segment->memory_bytes))
            return segment;
    }
    return 0;
}

// Where in the file stands what is at an address. Returns whether the file has it all.
static int find(const struct sr_image *image, __u64 address, __u64 bytes, __u64 *offset) {
    const struct sr_image_segment *segment = segment_at(image, address, bytes);

    if (!segment || !within(address - segment->address, bytes, segment->file_bytes))
        return 0;
    *offset = segment->offset + (address - segment->address);
    return 1;
}

static enum sr_image_flaw check_segments(struct sr_reading *reading, const struct elf64_hdr *header) {
    struct elf64_phdr table[SR_IMAGE_HEADERS];
    enum sr_image_flaw flaw;
    __u32 index;

    copy(reading, header->e_phoff, table, header->e_phnum * sizeof(table[0]));
    for (index = 0; index < header->e_phnum; index++) {
        if (table[index].p_type != PT_LOAD)
            continue;
        flaw = add_segment(reading, &table[index]);
        if (flaw)
            return flaw;
    }
    for (index = 0; index < header->e_phnum; index++) {
        const struct elf64_phdr *entry = &table[index];

        switch (entry->p_type) {
        case PT_LOAD:
            break;
        case PT_DYNAMIC:
            if (reading->dynamic_bytes)
                return SR_IMAGE_FLAW_SEGMENT_KIND;
            if (!entry->p_filesz || entry->p_filesz != entry->p_memsz ||
                !find(reading->image, entry->p_vaddr, entry->p_filesz, &reading->dynamic) ||
                reading->dynamic != entry->p_offset)
                return SR_IMAGE_FLAW_SEGMENT_BOUNDS;
            reading->dynamic_bytes = entry->p_filesz;
            break;
        case PT_GNU_STACK:
            if (entry->p_flags & PF_X)
                return SR_IMAGE_FLAW_EXECUTABLE_STACK;
            break;
        default:
            return SR_IMAGE_FLAW_SEGMENT_KIND;
        }
    }
    return SR_IMAGE_SOUND;
}

// No symbol but the empty first one may be defined elsewhere. `hash` tells how many there are.
static enum sr_image_flaw check_symbols(const struct sr_reading *reading, __u64 hash, __u64 symbols) {
    struct elf64_sym symbol;
    __u32 counts[2], index;
    __u64 offset;

    if (!hash && !symbols)
        return SR_IMAGE_SOUND;
    if (!hash || !symbols || !find(reading->image, hash, sizeof(counts), &offset))
        return SR_IMAGE_FLAW_DYNAMIC;
    copy(reading, offset, counts, sizeof(counts));
    if (counts[1] > SR_IMAGE_SYMBOLS || !find(reading->image, symbols, counts[1] * sizeof(symbol), &offset))
        return SR_IMAGE_FLAW_DYNAMIC;
    for (index = 1; index < counts[1]; index++) {
        copy(reading, offset + index * sizeof(symbol), &symbol, sizeof(symbol));
        if (symbol.st_shndx == SHN_UNDEF)
            return SR_IMAGE_FLAW_IMPORT;
    }
    return SR_IMAGE_SOUND;
}

static enum sr_image_flaw check_relocations(const struct sr_reading *reading, __u64 address, __u64 bytes) {
    struct sr_image *image = reading->image;
    struct elf64_rela relocation;
    __u64 offset;

    if (!address && !bytes)
        return SR_IMAGE_SOUND;
    if (bytes % sizeof(relocation) || bytes / sizeof(relocation) > SR_IMAGE_RELOCATIONS ||
        !find(image, address, bytes, &offset))
        return SR_IMAGE_FLAW_DYNAMIC;
    image->relocations = offset;
    image->relocation_count = bytes / sizeof(relocation);
    for (; bytes; bytes -= sizeof(relocation), offset += sizeof(relocation)) {
        const struct sr_image_segment *target;

        copy(reading, offset, &relocation, sizeof(relocation));
        if (relocation.r_info != SR_RELOCATION_RELATIVE)
            return SR_IMAGE_FLAW_RELOCATION_KIND;
        target = segment_at(image, relocation.r_offset, sizeof(__u64));
        // What it points to may be the end of something, one behind its last byte.
        if (!target || !(target->flags & PF_W) || relocation.r_offset % sizeof(__u64) ||
            !segment_at(image, relocation.r_addend, 0))
            return SR_IMAGE_FLAW_RELOCATION_BOUNDS;
    }
    return SR_IMAGE_SOUND;
}

// Each tag is one that asks for nothing, or one of those that say where relocations and symbols stand.
static enum sr_image_flaw check_dynamic(const struct sr_reading *reading) {
    __u64 hash = 0, symbols = 0, relocations = 0, relocation_bytes = 0, entry_bytes = 0;
    enum sr_image_flaw flaw;
    Elf64_Dyn entry;
    __u32 index;

    if (!reading->dynamic_bytes)
        return SR_IMAGE_SOUND;
    if (reading->dynamic_bytes % sizeof(entry) ||
        reading->dynamic_bytes / sizeof(entry) > SR_IMAGE_DYNAMIC_ENTRIES)
        return SR_IMAGE_FLAW_DYNAMIC;
    for (index = 0; index < reading->dynamic_bytes / sizeof(entry); index++) {
        copy(reading, reading->dynamic + index * sizeof(entry), &entry, sizeof(entry));
        if (entry.d_tag == DT_NULL)
            break;
        switch (entry.d_tag) {
        case DT_HASH:
            hash = entry.d_un.d_val;
            break;
        case DT_SYMTAB:
            symbols = entry.d_un.d_val;
            break;
        case DT_RELA:
            relocations = entry.d_un.d_val;
            break;
        case DT_RELASZ:
            relocation_bytes = entry.d_un.d_val;
            break;
        case DT_RELAENT:
            entry_bytes = entry.d_un.d_val;
            break;
        case DT_SYMENT:
            if (entry.d_un.d_val != sizeof(struct elf64_sym))
                return SR_IMAGE_FLAW_DYNAMIC;
            break;
        case SR_DT_FLAGS:
            if (entry.d_un.d_val & ~(__u64)SR_FLAGS_ALLOWED)
                return SR_IMAGE_FLAW_DYNAMIC;
            break;
        case SR_DT_FLAGS_1:
            if (entry.d_un.d_val & ~(__u64)SR_FLAGS_1_ALLOWED)
                return SR_IMAGE_FLAW_DYNAMIC;
            break;
        case DT_STRTAB:
        case DT_STRSZ:
        case DT_SYMBOLIC:
        case DT_DEBUG:
        case SR_DT_RELACOUNT:
            break;
        default:
            return SR_IMAGE_FLAW_DYNAMIC;
        }
    }
    if (relocation_bytes && entry_bytes != sizeof(struct elf64_rela))
        return SR_IMAGE_FLAW_DYNAMIC;
    flaw = check_symbols(reading, hash, symbols);
    return flaw ? flaw : check_relocations(reading, relocations, relocation_bytes);
}

static int are_zero(const struct sr_reading *reading, __u64 from, __u64 to) {
    for (; from < to; from++)
        if (reading->file[from])
            return 0;
    return 1;
}

// Segments are in the order of the file, so what lies between them is what no segment has.
static enum sr_image_flaw check_rest(const struct sr_reading *reading, __u64 headers_end) {
    const struct sr_image *image = reading->image;
    __u64 end = headers_end;
    __u32 index;

    for (index = 0; index < image->segment_count; index++) {
        const struct sr_image_segment *segment = &image->segment[index];

        if (!are_zero(reading, end, segment->offset))
            return SR_IMAGE_FLAW_UNACCOUNTED;
        if (segment->offset + segment->file_bytes > end)
            end = segment->offset + segment->file_bytes;
    }
    return are_zero(reading, end, reading->length) ? SR_IMAGE_SOUND : SR_IMAGE_FLAW_UNACCOUNTED;
}

enum sr_image_flaw sr_image_check(const void *file, __u64 length, struct sr_image *image) {
    struct sr_reading reading = {.file = file, .length = length, .image = image};
    const struct sr_image_segment *code;
    enum sr_image_flaw flaw;
    struct elf64_hdr header;

    __builtin_memset(image, 0, sizeof(*image));
    flaw = check_header(&reading, &header);
    if (!flaw)
        flaw = check_segments(&reading, &header);
    if (!flaw)
        flaw = check_dynamic(&reading);
    if (!flaw)
        flaw = check_rest(&reading, header.e_phoff + header.e_phnum * sizeof(struct elf64_phdr));
    if (flaw)
        return flaw;
    code = segment_at(image, header.e_entry, 1);
    if (!code || !(code->flags & PF_X) || header.e_entry - code->address >= code->file_bytes)
        return SR_IMAGE_FLAW_ENTRY;
    image->entry = header.e_entry;
    return SR_IMAGE_SOUND;
}

// Where we write what the extension sees at an address of its image.
static __u8 *at(__u64 address, void *code, void *data) {
    return address >= SR_IMAGE_DATA ? (__u8 *)data + (address - SR_IMAGE_DATA) : (__u8 *)code + address;
}

void sr_image_place(const void *file, const struct sr_image *image, __u64 base, void *code, void *data) {
    __u64 offset = image->relocations;
    __u32 index;

    for (index = 0; index < image->segment_count; index++) {
        const struct sr_image_segment *segment = &image->segment[index];

        __builtin_memcpy(at(segment->address, code, data), (const __u8 *)file + segment->offset,
                         segment->file_bytes);
    }
    for (index = 0; index < image->relocation_count; index++) {
        struct elf64_rela relocation;
        __u64 value;

        __builtin_memcpy(&relocation, (const __u8 *)file + offset + index * sizeof(relocation),
                         sizeof(relocation));
        value = base + relocation.r_addend;
        __builtin_memcpy(at(relocation.r_offset, code, data), &value, sizeof(value));
    }
}
