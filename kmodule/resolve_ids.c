// SPDX-License-Identifier: GPL-2.0
// Writes the BTF numbers of the module's kernel functions into its section .BTF_ids, and sorts each set by
// them, as the kernel's verifier expects it: what tools/bpf/resolve_btfids does in a kernel's tree, for
// headers that come without it. Knows what this module uses: functions and sets of functions with flags.
//
//   resolve_ids MODULE.ko BASE OWN      BASE and OWN: raw BTF of the kernel and of the module
//
// Layout of BTF: Documentation/bpf/btf.rst. Names in .BTF_ids: include/linux/btf_ids.h.
#include <elf.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct blob {
    unsigned char *bytes;
    size_t size;
};

struct btf_header {
    uint16_t magic;
    uint8_t version, flags;
    uint32_t header_bytes, type_offset, type_bytes, string_offset, string_bytes;
};

struct btf_type {
    uint32_t name, info, size;
};

enum { BTF_MAGIC = 0xeb9f, KIND_FUNC = 12 };

// One entry of a set: a function and its flags. The first entry of a set holds their number instead.
struct id_pair {
    uint32_t id, flags;
};

_Noreturn static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("resolve_ids: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static struct blob read_file(const char *path) {
    struct blob blob = {0};
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END))
        fail("cannot read %s", path);
    blob.size = ftell(file);
    rewind(file);
    blob.bytes = malloc(blob.size + 1);
    if (!blob.bytes || fread(blob.bytes, 1, blob.size, file) != blob.size)
        fail("cannot read %s", path);
    blob.bytes[blob.size] = 0;
    fclose(file);
    return blob;
}

static const struct btf_header *header_of(struct blob btf, const char *what) {
    const struct btf_header *header = (const void *)btf.bytes;
    if (btf.size < sizeof *header || header->magic != BTF_MAGIC ||
        (uint64_t)header->header_bytes + header->type_offset + header->type_bytes > btf.size ||
        (uint64_t)header->header_bytes + header->string_offset + header->string_bytes > btf.size)
        fail("%s is no BTF", what);
    return header;
}

// Bytes that follow struct btf_type, by kind.
static size_t tail_bytes(uint32_t info) {
    static const unsigned char fixed[20] = {[1] = 4, [3] = 12, [14] = 4, [17] = 4};
    static const unsigned char each[20] = {[4] = 12, [5] = 12, [6] = 8, [13] = 8, [15] = 12, [19] = 12};
    uint32_t kind = info >> 24 & 0x1f;
    if (kind == 0 || kind > 19)
        fail("BTF has a kind of type that is not known here: %u", kind);
    return fixed[kind] + (size_t)each[kind] * (info & 0xffff);
}

// Number of types; with a name, the number (from 1) of the function of that name, 0 for none.
static uint32_t walk(struct blob btf, uint32_t strings_before, const char *function) {
    const struct btf_header *header = header_of(btf, "the section");
    const unsigned char *type = btf.bytes + header->header_bytes + header->type_offset;
    const unsigned char *end = type + header->type_bytes;
    const char *strings = (const char *)btf.bytes + header->header_bytes + header->string_offset;
    uint32_t number = 0;
    while (type + sizeof(struct btf_type) <= end) {
        const struct btf_type *head = (const void *)type;
        number++;
        uint32_t name = head->name - strings_before;
        if (function && (head->info >> 24 & 0x1f) == KIND_FUNC && head->name >= strings_before &&
            name < header->string_bytes && !strcmp(strings + name, function))
            return number;
        type += sizeof *head + tail_bytes(head->info);
    }
    return function ? 0 : number;
}

static int by_id(const void *left, const void *right) {
    uint32_t a = ((const struct id_pair *)left)->id, b = ((const struct id_pair *)right)->id;
    return a < b ? -1 : a > b;
}

// The part of a module that is worked on: its symbols, their names, and the section .BTF_ids.
struct module {
    Elf64_Sym *symbols;
    size_t symbol_count;
    const char *names;
    unsigned char *ids;
    size_t ids_size;
    unsigned ids_section;
};

static struct module parse(struct blob file) {
    struct module module = {0};
    const Elf64_Ehdr *elf = (const void *)file.bytes;
    if (file.size < sizeof *elf || memcmp(elf->e_ident, ELFMAG, SELFMAG) ||
        elf->e_ident[EI_CLASS] != ELFCLASS64)
        fail("the module is no 64-bit ELF file");
    if (elf->e_shoff + (uint64_t)elf->e_shnum * sizeof(Elf64_Shdr) > file.size)
        fail("the module is cut short");
    const Elf64_Shdr *sections = (const void *)(file.bytes + elf->e_shoff);
    const char *section_names = (const char *)file.bytes + sections[elf->e_shstrndx].sh_offset;
    for (unsigned index = 0; index < elf->e_shnum; index++) {
        const Elf64_Shdr *section = &sections[index];
        if (section->sh_type != SHT_NOBITS && section->sh_offset + section->sh_size > file.size)
            fail("the module is cut short");
        if (section->sh_type == SHT_SYMTAB) {
            module.symbols = (void *)(file.bytes + section->sh_offset);
            module.symbol_count = section->sh_size / sizeof(Elf64_Sym);
            module.names = (const char *)file.bytes + sections[section->sh_link].sh_offset;
        } else if (!strcmp(section_names + section->sh_name, ".BTF_ids")) {
            module.ids = file.bytes + section->sh_offset;
            module.ids_size = section->sh_size;
            module.ids_section = index;
        }
    }
    if (!module.symbols || !module.ids)
        fail("the module has no symbols or no section .BTF_ids");
    return module;
}

int main(int count, char **arguments) {
    if (count != 4)
        fail("usage: resolve_ids MODULE.ko BASE OWN");
    struct blob file = read_file(arguments[1]), base = read_file(arguments[2]), own = read_file(arguments[3]);
    struct module module = parse(file);
    uint32_t before = walk(base, 0, NULL), strings_before = header_of(base, arguments[2])->string_bytes;
    static const char function_mark[] = "__BTF_ID__func__", set_mark[] = "__BTF_ID__set8__";

    unsigned functions = 0, sets = 0;
    for (size_t index = 0; index < module.symbol_count; index++) {
        const Elf64_Sym *symbol = &module.symbols[index];
        const char *name = module.names + symbol->st_name;
        if (symbol->st_shndx != module.ids_section || strncmp(name, function_mark, strlen(function_mark)))
            continue;
        // __BTF_ID__func__NAME__NUMBER, in kernels from 6.10 __BTF_ID__func__NAME__NUMBER with more digits.
        char *plain = strdup(name + strlen(function_mark)), *end = plain;
        for (char *next = plain; (next = strstr(next, "__")); next += 2)
            end = next;
        *end = 0;
        uint32_t number = walk(own, strings_before, plain);
        if (!number || symbol->st_value + 4 > module.ids_size)
            fail("the module's BTF has no function %s", plain);
        *(uint32_t *)(module.ids + symbol->st_value) = before + number;
        functions++;
        free(plain);
    }
    for (size_t index = 0; index < module.symbol_count; index++) {
        const Elf64_Sym *symbol = &module.symbols[index];
        const char *name = module.names + symbol->st_name;
        if (symbol->st_shndx != module.ids_section || strncmp(name, set_mark, strlen(set_mark)))
            continue;
        if (symbol->st_size < sizeof(struct id_pair) || symbol->st_value + symbol->st_size > module.ids_size)
            fail("set %s has no room", name);
        struct id_pair *pairs = (void *)(module.ids + symbol->st_value);
        pairs[0].id = symbol->st_size / sizeof(struct id_pair) - 1;
        qsort(pairs + 1, pairs[0].id, sizeof *pairs, by_id);
        sets++;
    }
    if (!functions || !sets)
        fail("the module names no kernel functions");
    FILE *out = fopen(arguments[1], "wb");
    if (!out || fwrite(file.bytes, 1, file.size, out) != file.size || fclose(out))
        fail("cannot write %s", arguments[1]);
    return 0;
}
