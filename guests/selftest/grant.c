#include "selftest.h"
const struct test grant_tests[] = { { 0, 0 } };
