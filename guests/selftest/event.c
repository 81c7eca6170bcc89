#include "selftest.h"
const struct test event_tests[] = { { 0, 0 } };
