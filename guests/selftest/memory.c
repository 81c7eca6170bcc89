#include "selftest.h"
const struct test memory_tests[] = { { 0, 0 } };
