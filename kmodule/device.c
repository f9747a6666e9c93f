// SPDX-License-Identifier: GPL-2.0
// /dev/streamrouter: who may speak to the module, the handshake, and the table of ioctls.
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/ioctl.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "device.h"
#include "extension.h"
#include "hold.h"
#include "main.h"
#include "relay.h"
#include "streamrouter_module.h"
#include "upcall.h"

// What an open descriptor remembers.
enum { SR_GREETED = 1 };

// All ioctls but the hello. A part adds a line for each of its own.
static const struct sr_command commands[] = {
    {SR_MODULE_HOLD_READ, SR_PART_KFUNCS, sr_hold_read},
    {SR_MODULE_HOLD_FLUSH, SR_PART_KFUNCS, sr_hold_flush_asked},
#ifndef SR_WITHOUT_UPCALL
    {SR_MODULE_EXTENSION_LOAD, SR_PART_UPCALL, sr_extension_load},
    {SR_MODULE_EXTENSION_UNLOAD, SR_PART_UPCALL, sr_extension_unload},
    {SR_MODULE_EXTENSION_LIST, SR_PART_UPCALL, sr_extension_list},
    {SR_MODULE_EXTENSION_READ, SR_PART_UPCALL, sr_extension_read},
    {SR_MODULE_EXTENSION_PARAMETERS, SR_PART_UPCALL, sr_extension_parameters},
    {SR_MODULE_RELAY_SET, SR_PART_UPCALL, sr_relay_set},
    {SR_MODULE_RELAY_REMOVE, SR_PART_UPCALL, sr_relay_remove},
    {SR_MODULE_RELAY_LIST, SR_PART_UPCALL, sr_relay_list},
    {SR_MODULE_RELAY_READ, SR_PART_UPCALL, sr_relay_read},
    {SR_MODULE_DATAPATH_READ, SR_PART_UPCALL, sr_datapath_read},
    {SR_MODULE_UPCALL_ACCOUNT, SR_PART_UPCALL, sr_processor_account},
    {SR_MODULE_UPCALL_ANCHOR, SR_PART_UPCALL, sr_anchor_wait},
    {SR_MODULE_UPCALL_PROBE, SR_PART_UPCALL, sr_probe_run},
#endif
};

static u32 parts_on(void) {
    return (sr_kfuncs_on ? SR_PART_KFUNCS : 0) | (sr_upcall_on ? SR_PART_UPCALL : 0);
}

static int greet(struct file *file, struct sr_module_hello *hello) {
    struct sr_module_hello own;
    bool same;

    sr_module_hello_fill(&own);
    same = hello->version == own.version && !memcmp(hello->sizes, own.sizes, sizeof(own.sizes));
    own.parts = parts_on();
    *hello = own;
    if (!same)
        return -EPROTO;
    WRITE_ONCE(file->private_data, (void *)SR_GREETED);
    return 0;
}

static int run(struct file *file, unsigned int number, void *argument) {
    size_t index;

    if (number == SR_MODULE_HELLO)
        return greet(file, argument);
    if (READ_ONCE(file->private_data) != (void *)SR_GREETED)
        return -EPROTO;
    for (index = 0; index < ARRAY_SIZE(commands); index++) {
        if (commands[index].number != number)
            continue;
        if (commands[index].part & ~parts_on())
            return -EOPNOTSUPP;
        return commands[index].run(argument);
    }
    return -ENOTTY;
}

static long device_ioctl(struct file *file, unsigned int number, unsigned long user) {
    size_t size = _IOC_SIZE(number);
    void *argument;
    long error;

    if (_IOC_TYPE(number) != 0xB5 || _IOC_DIR(number) != (_IOC_READ | _IOC_WRITE) || !size)
        return -ENOTTY;
    argument = memdup_user((void __user *)user, size);
    if (IS_ERR(argument))
        return PTR_ERR(argument);
    error = run(file, number, argument);
    // A command that is not known changed nothing, and EPROTO of a hello tells by its answer.
    if (error != -ENOTTY && copy_to_user((void __user *)user, argument, size))
        error = -EFAULT;
    kfree(argument);
    return error;
}

static int device_open(struct inode *inode, struct file *file) {
    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    // misc_open() leaves the device here.
    file->private_data = NULL;
    return 0;
}

// The owner keeps the module while a descriptor is open.
static const struct file_operations device_operations = {
    .owner = THIS_MODULE,
    .open = device_open,
    .unlocked_ioctl = device_ioctl,
    .compat_ioctl = compat_ptr_ioctl,
    .llseek = noop_llseek,
};

static struct miscdevice device = {
    .minor = MISC_DYNAMIC_MINOR,
    .name = "streamrouter",
    .fops = &device_operations,
    // Who may open it is a question of capability: a service may have that without being root.
    .mode = 0666,
};

int sr_device_start(void) {
    return misc_register(&device);
}

void sr_device_stop(void) {
    misc_deregister(&device);
}
