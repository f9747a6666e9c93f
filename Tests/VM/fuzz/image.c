// Feeds sr_image_check() of kmodule/image.c what libFuzzer makes of sound images. Tests/VM/fuzz/run.sh runs
// it.
//
// What is found sound is placed, into memory whose bounds the address sanitizer watches, and must keep what
// the check promises.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"

static void promise(int holds) {
    if (!holds)
        abort();
}

static void hold_promises(const struct sr_image *image, size_t size) {
    uint64_t end = 0;
    promise(image->segment_count > 0 && image->segment_count <= SR_IMAGE_SEGMENTS);
    promise(image->relocation_count <= SR_IMAGE_RELOCATIONS);
    promise(image->relocations + image->relocation_count * 24ull <= size);
    promise(image->entry < SR_IMAGE_CODE);
    for (uint32_t index = 0; index < image->segment_count; index++) {
        const struct sr_image_segment *segment = &image->segment[index];
        promise((segment->flags & 3) != 3);
        promise(segment->offset + segment->file_bytes <= size &&
                segment->file_bytes <= segment->memory_bytes);
        promise(segment->address >= end);
        end = segment->address + segment->memory_bytes;
        promise(segment->flags & 2 ? segment->address >= SR_IMAGE_DATA && end <= SR_IMAGE_DATA_END
                                   : end <= SR_IMAGE_CODE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct sr_image image;
    // A copy of exactly this size, so that a byte too many is noticed.
    uint8_t *file = malloc(size ? size : 1);
    memcpy(file, bytes, size);
    if (sr_image_check(file, size, &image) == SR_IMAGE_SOUND) {
        uint8_t *code = calloc(1, SR_IMAGE_CODE), *data = calloc(1, SR_IMAGE_DATA_END - SR_IMAGE_DATA);
        hold_promises(&image, size);
        sr_image_place(file, &image, 0x400000000000, code, data);
        free(code);
        free(data);
    }
    free(file);
    return 0;
}
