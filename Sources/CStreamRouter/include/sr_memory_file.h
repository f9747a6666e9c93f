// A file that exists in memory only. A shim because Swift imports no GNU declarations.
#ifndef SR_MEMORY_FILE_H
#define SR_MEMORY_FILE_H

// A new, empty file; `name` is for debugging. A descriptor, or a negative errno.
int sr_memory_file(const char *name);

#endif
