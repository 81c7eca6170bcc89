#include "selftest.h"
const struct test processor_tests[] = { { 0, 0 } };
