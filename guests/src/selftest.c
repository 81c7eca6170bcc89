/* Runs the groups of tests and counts. */
#include "selftest.h"

static uint32_t passed, failed;
static const char *group;

extern const struct test processor_tests[], hypercall_tests[], table_tests[], memory_tests[], event_tests[], grant_tests[], smp_tests[];
static const struct test *const suites[] = { processor_tests, hypercall_tests, table_tests, memory_tests, event_tests, grant_tests,
    smp_tests };

void check(const char *name, long got, long want)
{
    if (got == want) {
        passed++;
        printf("ok %s/%s\n", group, name);
    } else {
        failed++;
        printf("FAIL %s/%s: got %d (%x) want %d (%x)\n", group, name, (int)got, (unsigned)got, (int)want, (unsigned)want);
    }
}

void selftest(const char *name)
{
    passed = failed = 0;
    for (uint32_t i = 0; i < ARRAY_SIZE(suites); i++)
        for (const struct test *t = suites[i]; t->group; t++)
            if (!name || !strcmp(name, t->group)) {
                group = t->group;
                t->run();
            }
    printf("selftest: %u ok, %u failed\n", passed, failed);
}
