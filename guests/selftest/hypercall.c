#include "selftest.h"
const struct test hypercall_tests[] = { { 0, 0 } };
