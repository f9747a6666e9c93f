// SPDX-License-Identifier: GPL-2.0
// From what a program hands over to a place that can run: sizes, image (image.c), parameters, first state.
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "image.h"
#include "loader.h"
#include "upcall.h"

bool sr_loader_takes(const struct sr_extension_load *load) {
    return load->image_bytes <= SR_IMAGE_BYTES && load->parameter_bytes <= SR_EXTENSION_PARAMETER_BYTES &&
           load->state_bytes <= SR_EXTENSION_STATE_BYTES && !load->reserved && load->name[0] &&
           strnlen(load->name, SR_NAME_BYTES) < SR_NAME_BYTES;
}

int sr_loader_fill(struct sr_extension_space *space, struct sr_extension_load *load, u64 *entry) {
    struct sr_image image;
    void *file;
    int error = 0;

    file = vmemdup_user(u64_to_user_ptr(load->image), load->image_bytes ? load->image_bytes : 1);
    if (IS_ERR(file))
        return PTR_ERR(file);
    load->flaw = sr_image_check(file, load->image_bytes, &image);
    if (load->flaw) {
        error = -ENOEXEC;
        goto end;
    }
    sr_image_place(file, &image, space->user, space->code, space->data);
    *entry = space->user + image.entry;
    if (copy_from_user(space->data + SR_IMAGE_PARAMETERS - SR_IMAGE_DATA, u64_to_user_ptr(load->parameters),
                       load->parameter_bytes))
        error = -EFAULT;
    if (load->state && copy_from_user(space->data + SR_IMAGE_STATE - SR_IMAGE_DATA,
                                      u64_to_user_ptr(load->state), load->state_bytes))
        error = -EFAULT;
end:
    kvfree(file);
    return error;
}
