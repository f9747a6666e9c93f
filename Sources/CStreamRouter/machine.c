#include "sr_machine.h"

#include <errno.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>

unsigned long long sr_cycles(void) {
    return __rdtsc();
}

int sr_hypervisor(char name[13]) {
    unsigned int a, b, c, d;
    // Leaf 0x40000000 is the hypervisor's where bit 31 of leaf 1 says that there is one.
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 31))
        return -ENOENT;
    __cpuid(0x40000000, a, b, c, d);
    memcpy(name, &b, 4);
    memcpy(name + 4, &c, 4);
    memcpy(name + 8, &d, 4);
    name[12] = 0;
    return 0;
}
#else
unsigned long long sr_cycles(void) {
    return 0;
}

int sr_hypervisor(char name[13]) {
    (void)name;
    return -ENOENT;
}
#endif
