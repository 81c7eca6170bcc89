/* One line a check; the names of a group start with the group's. */
#ifndef DBT_SELFTEST_H
#define DBT_SELFTEST_H
#include "kernel.h"

struct test { const char *group; void (*run)(void); };
void check(const char *name, long got, long want);
#define CHECK(name, got, want) check(name, (long)(got), (long)(want))

/* Addresses nobody may pass: unmapped, the hypervisor's, the machine-to-phys table, the last bytes. */
#define WILD   ((void *)0x00001000)
#define HV     ((void *)0xFC000000)
#define M2P    ((void *)0xF5800000)
#define LAST   ((void *)0xFFFFFFFE)

uint16_t own_id(void);                        /* the number of this domain */
void grants_version2(void);

#endif
