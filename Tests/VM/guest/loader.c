// Images that are refused, each for its own reason, and what else is asked of extensions and relays and is
// not granted.
//
// vm: seconds=120
#include "relay.h"

#include <elf.h>
#include <stddef.h>

static unsigned char good[SR_IMAGE_BYTES], image[SR_IMAGE_BYTES + 1];
static size_t good_bytes, image_bytes;

#define FLAW_NAME(id, text) [SR_IMAGE_FLAW_##id] = #id,
static const char *const names[SR_IMAGE_FLAW_COUNT] = {[SR_IMAGE_SOUND] = "sound", SR_IMAGE_FLAWS(FLAW_NAME)};

static Elf64_Ehdr *header(void) {
    return (Elf64_Ehdr *)image;
}
static Elf64_Phdr *segment(int index) {
    return (Elf64_Phdr *)(image + sizeof(Elf64_Ehdr)) + index;
}
// Segments of the linker script upcall.ld.
enum { CODE, DATA, DYNAMIC, STACK };

static Elf64_Dyn *dynamic(int64_t tag) {
    Elf64_Dyn *entry = (Elf64_Dyn *)(image + segment(DYNAMIC)->p_offset);
    for (; entry->d_tag != tag; entry++)
        need(entry->d_tag != DT_NULL, "the fixture has no tag %ld", (long)tag);
    return entry;
}
static Elf64_Rela *relocation(void) {
    return (Elf64_Rela *)(image + dynamic(DT_RELA)->d_un.d_ptr);
}

static void fresh(void) {
    memset(image, 0, sizeof(image));
    memcpy(image, good, good_bytes);
    image_bytes = good_bytes;
}

static int tried, wrong;

// Whether the module says this of the image; begins the next one.
static void expect(enum sr_image_flaw flaw, const char *what) {
    uint32_t number, found;
    int error = extension_load_bytes(image, image_bytes, "fixture", NULL, 0, 0, &number, &found);
    bool right = flaw ? error == ENOEXEC && found == flaw : !error;
    tried++;
    if (!right) {
        wrong++;
        printf("%s: error %d, flaw %s, not %s\n", what, error, names[found], names[flaw]);
    }
    if (!error)
        need(extension_unload(number) == 0, "unloading");
    fresh();
}

static void refuse_headers(void) {
    image_bytes = 0;
    expect(SR_IMAGE_FLAW_SIZE, "nothing");
    image_bytes = 63;
    expect(SR_IMAGE_FLAW_SIZE, "a part of the header");
    image_bytes = 100;
    expect(SR_IMAGE_FLAW_SIZE, "a part of the segments' headers");
    image[1] = 'e';
    expect(SR_IMAGE_FLAW_FORMAT, "another magic number");
    image[EI_CLASS] = ELFCLASS32;
    expect(SR_IMAGE_FLAW_FORMAT, "32 bits");
    image[EI_DATA] = ELFDATA2MSB;
    expect(SR_IMAGE_FLAW_FORMAT, "big endian");
    image[EI_OSABI] = ELFOSABI_GNU;
    expect(SR_IMAGE_FLAW_FORMAT, "an ABI of its own");
    image[EI_PAD] = 1;
    expect(SR_IMAGE_FLAW_FORMAT, "padding of the identity");
    header()->e_type = ET_EXEC;
    expect(SR_IMAGE_FLAW_FORMAT, "a program at a fixed place");
    header()->e_type = ET_REL;
    expect(SR_IMAGE_FLAW_FORMAT, "an object that is not linked");
    header()->e_machine = EM_AARCH64;
    expect(SR_IMAGE_FLAW_FORMAT, "another machine");
    header()->e_version = 2;
    expect(SR_IMAGE_FLAW_FORMAT, "another version");
    header()->e_flags = 1;
    expect(SR_IMAGE_FLAW_HEADERS, "flags");
    header()->e_ehsize = 63;
    expect(SR_IMAGE_FLAW_HEADERS, "a header of another size");
    header()->e_phentsize = 55;
    expect(SR_IMAGE_FLAW_HEADERS, "segments' headers of another size");
    header()->e_phoff++;
    expect(SR_IMAGE_FLAW_HEADERS, "segments' headers elsewhere");
    header()->e_phoff = ~0ull;
    expect(SR_IMAGE_FLAW_HEADERS, "segments' headers nowhere");
    header()->e_phnum = 0;
    expect(SR_IMAGE_FLAW_HEADERS, "no segments");
    header()->e_phnum = 0xffff;
    expect(SR_IMAGE_FLAW_HEADERS, "65535 segments");
    header()->e_shnum = 1;
    expect(SR_IMAGE_FLAW_HEADERS, "a section");
    header()->e_shoff = 64;
    expect(SR_IMAGE_FLAW_HEADERS, "a place of sections");
    image[image_bytes++] = 1;
    expect(SR_IMAGE_FLAW_UNACCOUNTED, "a byte behind the last segment");
    image[segment(DATA)->p_offset - 1] = 1;
    expect(SR_IMAGE_FLAW_UNACCOUNTED, "a byte between segments");
    image_bytes++;
    expect(SR_IMAGE_SOUND, "a zero behind the last segment");
}

static void refuse_segments(void) {
    static const uint32_t kinds[] = {PT_INTERP,    PT_TLS,          PT_NOTE,         PT_SHLIB,  PT_PHDR,
                                     PT_GNU_RELRO, PT_GNU_EH_FRAME, PT_GNU_PROPERTY, PT_LOPROC, 0xffffffff};
    for (size_t index = 0; index < sizeof(kinds) / sizeof(kinds[0]); index++) {
        segment(STACK)->p_type = kinds[index];
        expect(SR_IMAGE_FLAW_SEGMENT_KIND, "a segment of another kind");
    }
    *segment(STACK) = *segment(DYNAMIC);
    expect(SR_IMAGE_FLAW_SEGMENT_KIND, "two dynamic segments");
    segment(CODE)->p_flags |= 8;
    expect(SR_IMAGE_FLAW_SEGMENT_KIND, "an unknown right");
    segment(CODE)->p_flags |= PF_W;
    expect(SR_IMAGE_FLAW_WRITABLE_CODE, "code that can be written");
    segment(DATA)->p_flags |= PF_X;
    expect(SR_IMAGE_FLAW_WRITABLE_CODE, "data that can be executed");
    segment(STACK)->p_flags |= PF_X;
    expect(SR_IMAGE_FLAW_EXECUTABLE_STACK, "a stack that can be executed");
    segment(CODE)->p_offset = image_bytes + 1;
    expect(SR_IMAGE_FLAW_SEGMENT_BOUNDS, "code behind the file");
    segment(CODE)->p_offset = ~0ull;
    expect(SR_IMAGE_FLAW_SEGMENT_BOUNDS, "code at the end of all offsets");
    segment(DATA)->p_filesz = segment(DATA)->p_memsz = image_bytes;
    expect(SR_IMAGE_FLAW_SEGMENT_BOUNDS, "data that go beyond the file");
    segment(DATA)->p_filesz = segment(DATA)->p_memsz + 1;
    expect(SR_IMAGE_FLAW_SEGMENT_BOUNDS, "more in the file than in memory");
    segment(DATA)->p_memsz = SR_IMAGE_DATA_END - SR_IMAGE_DATA + 1;
    expect(SR_IMAGE_FLAW_SEGMENT_BOUNDS, "more data than there is place for");
    segment(DATA)->p_memsz = ~0ull;
    expect(SR_IMAGE_FLAW_SEGMENT_BOUNDS, "all memory");
    segment(DATA)->p_vaddr = SR_IMAGE_DATA_END;
    expect(SR_IMAGE_FLAW_SEGMENT_BOUNDS, "data in the place of parameters");
    segment(DATA)->p_vaddr = 0x10000;
    expect(SR_IMAGE_FLAW_SEGMENT_BOUNDS, "data in the place of code");
    segment(DATA)->p_vaddr = ~0ull - 8;
    expect(SR_IMAGE_FLAW_SEGMENT_BOUNDS, "data that go round the end of memory");
    segment(CODE)->p_vaddr = SR_IMAGE_DATA;
    expect(SR_IMAGE_FLAW_SEGMENT_BOUNDS, "code in the place of data");
    segment(CODE)->p_memsz = SR_IMAGE_CODE + 1;
    expect(SR_IMAGE_FLAW_SEGMENT_BOUNDS, "more code than there is place for");
    segment(CODE)->p_memsz = 0;
    expect(SR_IMAGE_FLAW_SEGMENT_BOUNDS, "code of no length");
    segment(DYNAMIC)->p_vaddr += 8;
    expect(SR_IMAGE_FLAW_SEGMENT_BOUNDS, "a dynamic segment in two places");
    segment(DYNAMIC)->p_filesz = segment(DYNAMIC)->p_memsz = image_bytes;
    expect(SR_IMAGE_FLAW_SEGMENT_BOUNDS, "a dynamic segment beyond the data");
    *segment(STACK) = *segment(CODE);
    expect(SR_IMAGE_FLAW_SEGMENT_ORDER, "the same code again, behind the data");
    *segment(STACK) = *segment(DATA);
    expect(SR_IMAGE_FLAW_SEGMENT_ORDER, "the same data twice");
    Elf64_Phdr code = *segment(CODE);
    *segment(CODE) = *segment(DATA);
    *segment(DATA) = code;
    expect(SR_IMAGE_FLAW_SEGMENT_ORDER, "data before code");
}

static void refuse_dynamic(void) {
    static const int64_t tags[] = {
        DT_NEEDED,   DT_INIT,      DT_FINI, DT_INIT_ARRAY,     DT_FINI_ARRAY, DT_PREINIT_ARRAY, DT_TEXTREL,
        DT_JMPREL,   DT_PLTGOT,    DT_REL,  DT_RELR,           DT_RUNPATH,    DT_SONAME,        DT_VERNEED,
        DT_GNU_HASH, DT_AUXILIARY, -1,      0x7fffffffffffffff};
    for (size_t index = 0; index < sizeof(tags) / sizeof(tags[0]); index++) {
        dynamic(DT_DEBUG)->d_tag = tags[index];
        expect(SR_IMAGE_FLAW_DYNAMIC, "work for a dynamic linker");
    }
    dynamic(DT_DEBUG)->d_un.d_val = DF_TEXTREL;
    dynamic(DT_DEBUG)->d_tag = DT_FLAGS;
    expect(SR_IMAGE_FLAW_DYNAMIC, "relocations of code");
    dynamic(DT_DEBUG)->d_un.d_val = DF_STATIC_TLS;
    dynamic(DT_DEBUG)->d_tag = DT_FLAGS;
    expect(SR_IMAGE_FLAW_DYNAMIC, "thread-local storage");
    dynamic(DT_FLAGS_1)->d_un.d_val |= DF_1_NODELETE;
    expect(SR_IMAGE_FLAW_DYNAMIC, "a flag of a library");
    dynamic(DT_SYMENT)->d_un.d_val = 23;
    expect(SR_IMAGE_FLAW_DYNAMIC, "symbols of another size");
    dynamic(DT_RELAENT)->d_un.d_val = 23;
    expect(SR_IMAGE_FLAW_DYNAMIC, "relocations of another size");
    dynamic(DT_RELASZ)->d_un.d_val++;
    expect(SR_IMAGE_FLAW_DYNAMIC, "a part of a relocation");
    dynamic(DT_RELASZ)->d_un.d_val = 24 * 100000;
    expect(SR_IMAGE_FLAW_DYNAMIC, "100000 relocations");
    dynamic(DT_RELA)->d_un.d_ptr = ~0ull;
    expect(SR_IMAGE_FLAW_DYNAMIC, "relocations that stand nowhere");
    dynamic(DT_HASH)->d_un.d_ptr = SR_IMAGE_DATA_END - 4;
    expect(SR_IMAGE_FLAW_DYNAMIC, "a table of symbols that ends beyond the data");
    dynamic(DT_SYMTAB)->d_un.d_ptr = ~0ull;
    expect(SR_IMAGE_FLAW_DYNAMIC, "symbols that stand nowhere");
    ((uint32_t *)(image + dynamic(DT_HASH)->d_un.d_ptr))[1] = 0xffffffff;
    expect(SR_IMAGE_FLAW_DYNAMIC, "4294967295 symbols");
    ((uint32_t *)(image + dynamic(DT_HASH)->d_un.d_ptr))[1] = 2;
    memset(image + dynamic(DT_SYMTAB)->d_un.d_ptr, 0, 2 * sizeof(Elf64_Sym));
    expect(SR_IMAGE_FLAW_IMPORT, "a symbol that is defined elsewhere");
}

static void refuse_relocations(void) {
    static const uint32_t kinds[] = {R_X86_64_64,      R_X86_64_GLOB_DAT,  R_X86_64_JUMP_SLOT, R_X86_64_COPY,
                                     R_X86_64_TPOFF64, R_X86_64_IRELATIVE, R_X86_64_DTPMOD64,  0};
    for (size_t index = 0; index < sizeof(kinds) / sizeof(kinds[0]); index++) {
        relocation()->r_info = kinds[index];
        expect(SR_IMAGE_FLAW_RELOCATION_KIND, "a relocation of another kind");
    }
    relocation()->r_info = ELF64_R_INFO(1, R_X86_64_RELATIVE);
    expect(SR_IMAGE_FLAW_RELOCATION_KIND, "a relocation by a symbol");
    relocation()->r_offset = segment(CODE)->p_vaddr;
    expect(SR_IMAGE_FLAW_RELOCATION_BOUNDS, "a relocation of code");
    relocation()->r_offset = segment(DATA)->p_vaddr + segment(DATA)->p_memsz - 7;
    expect(SR_IMAGE_FLAW_RELOCATION_BOUNDS, "a relocation half behind the data");
    relocation()->r_offset = ~0ull - 3;
    expect(SR_IMAGE_FLAW_RELOCATION_BOUNDS, "a relocation at the end of memory");
    relocation()->r_offset++;
    expect(SR_IMAGE_FLAW_RELOCATION_BOUNDS, "a relocation out of alignment");
    relocation()->r_addend = -1;
    expect(SR_IMAGE_FLAW_RELOCATION_BOUNDS, "a pointer before the image");
    relocation()->r_addend = SR_IMAGE_DATA_END;
    expect(SR_IMAGE_FLAW_RELOCATION_BOUNDS, "a pointer behind the image");
    header()->e_entry = segment(DATA)->p_vaddr;
    expect(SR_IMAGE_FLAW_ENTRY, "an entry in the data");
    header()->e_entry = segment(CODE)->p_vaddr + segment(CODE)->p_memsz;
    expect(SR_IMAGE_FLAW_ENTRY, "an entry behind the code");
    header()->e_entry = ~0ull;
    expect(SR_IMAGE_FLAW_ENTRY, "an entry nowhere");
}

// --- What else is asked ---

static int load(struct sr_extension_load *wish) {
    struct sr_extension_load given = *wish;
    int error = ioctl(device, SR_MODULE_EXTENSION_LOAD, &given) ? errno : 0;
    if (!error)
        need(extension_unload(given.number) == 0, "unloading");
    return error;
}

static void refuse_loads(void) {
    struct sr_extension_load sound = {
        .image = (uintptr_t)good, .image_bytes = good_bytes, .parameters = (uintptr_t)good, .name = "x"};
    struct sr_extension_load wish = sound;
    int errors[8] = {load(&wish)};
    wish.parameter_bytes = SR_EXTENSION_PARAMETER_BYTES + 1;
    errors[1] = load(&wish);
    wish = sound, wish.state_bytes = SR_EXTENSION_STATE_BYTES + 1;
    errors[2] = load(&wish);
    wish = sound, wish.image_bytes = SR_IMAGE_BYTES + 1;
    errors[3] = load(&wish);
    wish = sound, wish.name[0] = 0;
    errors[4] = load(&wish);
    wish = sound, memset(wish.name, 'x', sizeof(wish.name));
    errors[5] = load(&wish);
    wish = sound, wish.image = 8;
    errors[6] = load(&wish);
    wish = sound, wish.parameters = 8, wish.parameter_bytes = 8;
    errors[7] = load(&wish);
    check(!errors[0] && errors[1] == EINVAL && errors[2] == EINVAL && errors[3] == EINVAL &&
              errors[4] == EINVAL && errors[5] == EINVAL && errors[6] == EFAULT && errors[7] == EFAULT,
          "load", "errors %d %d %d %d %d %d %d %d", errors[0], errors[1], errors[2], errors[3], errors[4],
          errors[5], errors[6], errors[7]);

    uint32_t numbers[SR_MODULE_EXTENSIONS + 1], count = 0, flaw;
    while (count <= SR_MODULE_EXTENSIONS &&
           !extension_load_bytes(good, good_bytes, "many", NULL, 0, 0, &numbers[count], &flaw))
        count++;
    check(count == SR_MODULE_EXTENSIONS && errno == ENOSPC, "load", "%u extensions have a place", count);
    while (count)
        need(extension_unload(numbers[--count]) == 0, "unloading");
    check(extension_load_bytes(good, good_bytes, "again", NULL, 0, 0, &count, &flaw) == 0 &&
              count > numbers[0],
          "load", "then there is place again, under a number of its own");
    uint8_t state[8] = {1};
    struct sr_extension_query query = {.number = count, .length = 8, .bytes = (uintptr_t)state};
    check(ioctl(device, SR_MODULE_EXTENSION_READ, &query) && errno == EINVAL, "load",
          "more state than there is is not read");
    check(ioctl(device, SR_MODULE_EXTENSION_PARAMETERS, &query) && errno == EINVAL, "load",
          "parameters of another size are refused");
    need(extension_unload(count) == 0, "unloading");
}

static void refuse_relays(void) {
    struct sr_relay_entry sound =
        relay_make(3, SR_PROTOCOL_UDP, "10.1.0.1", 5000, "10.1.0.2", "10.2.0.1", "10.2.0.2", 6000);
    struct sr_relay_entry wish;
    int refused = 0, asked = 0;
#define REFUSE(change) wish = sound, change, asked++, refused += relay_set(&wish) == EINVAL
    REFUSE(wish.reserved = 1);
    REFUSE(wish.key.zero = 1);
    REFUSE(wish.key.port = 0);
    REFUSE(wish.key.protocol = IPPROTO_TCP);
    REFUSE(wish.relay.protocol = SR_PROTOCOL_TCP);
    REFUSE(wish.relay.protocol = 255);
    REFUSE(wish.relay.source_count = 0);
    REFUSE(wish.relay.source_count = SR_MAX_SOURCES + 1);
    REFUSE(wish.relay.sink_count = 0);
    REFUSE(wish.relay.sink_count = 255);
    REFUSE(wish.relay.extension_count = SR_MAX_EXTENSIONS + 1);
    REFUSE(wish.relay.dscp = 64);
    REFUSE(wish.relay.sources[0].mask[3] = 0);
    REFUSE(wish.relay.sinks[0].flags = 2);
    REFUSE(wish.relay.sinks[0].destination_port = 0);
    REFUSE(address_put(wish.relay.sinks[0].destination, "fd02::2"));
    REFUSE(address_put(wish.key.address, "fd01::1"));
    REFUSE(memset(wish.relay.stream, 'x', SR_NAME_BYTES));
    REFUSE(wish.relay.extension_count = 1; wish.relay.extensions[0].instance = 1);
    check(refused == asked, "relay", "%d of %d entries that are none refused", refused, asked);
    wish = sound;
    relay_use(&wish, 12345);
    check(relay_set(&wish) == ENOENT, "relay", "one whose extension is not loaded is refused");
    check(relay_remove(&sound) == ENOENT, "relay", "what is not there is not removed");

    struct sr_relay_entry entries[4];
    struct sr_module_list list = {.entries = (uintptr_t)entries, .capacity = 4};
    need(relay_set(&sound) == 0, "setting a relay");
    check(ioctl(device, SR_MODULE_RELAY_LIST, &list) == 0 && list.count == 1 &&
              !memcmp(&entries[0], &sound, sizeof(sound)),
          "relay", "the list has the entry as it was set");
    list.capacity = 0;
    check(ioctl(device, SR_MODULE_RELAY_LIST, &list) && errno == ENOSPC && list.count == 1, "relay",
          "a list without a place tells how many there are");
    struct sr_relay_query query = {.index = 4};
    check(ioctl(device, SR_MODULE_RELAY_READ, &query) && errno == ENOENT, "relay",
          "another index has no account");
    need(relay_remove(&sound) == 0, "removing it");
}

// Relays belong to a network namespace and end with it; extensions do not.
static void end_namespaces(void) {
    uint32_t number, flaw;
    need(extension_load_bytes(good, good_bytes, "elsewhere", NULL, 0, 0, &number, &flaw) == 0, "loading");
    int said[2];
    need(pipe(said) == 0, "a pipe");
    pid_t child = fork();
    if (!child) {
        struct sr_relay_entry entry =
            relay_make(3, SR_PROTOCOL_UDP, "10.1.0.1", 5000, "10.1.0.2", "10.2.0.1", "10.2.0.2", 6000);
        relay_use(&entry, number);
        int error = unshare(CLONE_NEWNET) ? errno : relay_set(&entry);
        _exit(write(said[1], &error, sizeof(error)) == sizeof(error) && pause());
    }
    int error = -1;
    need(read(said[0], &error, sizeof(error)) == sizeof(error) && !error, "a relay elsewhere: %d", error);
    struct sr_module_list list = {};
    check(ioctl(device, SR_MODULE_RELAY_LIST, &list) == 0 && !list.count, "namespace",
          "%u relays seen from another namespace", list.count);
    check(extension_unload(number) == EBUSY, "namespace", "the extension that it names stays");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    // The kernel ends namespaces when it has time.
    int rounds = 0;
    while (extension_entry(number).relays && rounds++ < 100)
        usleep(50000);
    check(!extension_entry(number).relays && extension_unload(number) == 0, "namespace",
          "its relay ends with it, after %d ms", rounds * 50);
}

int main(void) {
    setbuf(stdout, NULL);
    need(module_load("upcall=1") == 0, "loading the module");
    device = module_open();
    good_bytes = file_read("/tests/pointers.image", good, sizeof(good));
    fresh();
    expect(SR_IMAGE_SOUND, "the image as it was built");
    refuse_headers();
    refuse_segments();
    refuse_dynamic();
    refuse_relocations();
    check(!wrong, "image", "%d of %d images judged right", tried - wrong, tried);
    refuse_loads();
    refuse_relays();
    end_namespaces();
    // Reloaded with relays and extensions that nobody took away.
    for (int round = 0; round < 5; round++) {
        uint32_t number, flaw;
        struct sr_relay_entry entry =
            relay_make(3, SR_PROTOCOL_RTP, "10.1.0.1", 5000, "10.1.0.2", "10.2.0.1", "10.2.0.2", 6000);
        need(extension_load_bytes(good, good_bytes, "left", NULL, 0, 0, &number, &flaw) == 0, "loading");
        relay_use(&entry, number);
        need(relay_set(&entry) == 0, "setting a relay");
        close(device);
        need(module_unload() == 0 && module_load("upcall=1") == 0, "reloading the module");
        device = module_open();
    }
    struct sr_module_list list = {};
    check(ioctl(device, SR_MODULE_RELAY_LIST, &list) == 0 && !list.count, "reload",
          "5 times with a relay and its extension left there");
    close(device);
    check(module_unload() == 0, "reload", "the module goes");
    return failures != 0;
}
