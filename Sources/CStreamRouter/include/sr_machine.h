// What only instructions tell of the processor, for the record of a benchmark.
// A shim because Swift has no inline assembly.
#ifndef SR_MACHINE_H
#define SR_MACHINE_H

// The time stamp counter; 0 where the processor has none that user level may read.
unsigned long long sr_cycles(void);

// Writes the hypervisor's own name, 12 bytes and a zero. 0, or -ENOENT where there is none or it cannot be
// told.
int sr_hypervisor(char name[13]);

#endif
