/* Nodes of devices in xenstore, as front ends and back ends read and write them. */
#include "kernel.h"

int xenbus_read(const char *base, const char *node, char *value, int size)
{
    char path[192];
    format(path, sizeof path, "%s/%s", base, node);
    return xs_read(path, value, size);
}

uint32_t xenbus_read_number(const char *base, const char *node, uint32_t otherwise)
{
    char text[64];
    uint32_t value;
    return xenbus_read(base, node, text, sizeof text) > 0 && parse_number(text, &value) ? value : otherwise;
}

void xenbus_write(const char *base, const char *node, const char *value)
{
    char path[192];
    format(path, sizeof path, "%s/%s", base, node);
    xs_write(path, value);
}

void xenbus_write_number(const char *base, const char *node, uint32_t value)
{
    char text[16];
    format(text, sizeof text, "%u", value);
    xenbus_write(base, node, text);
}

int xenbus_first(const char *kind, char *front, int front_size, char *back, int back_size)
{
    char list[256], path[32];
    int n = format(path, sizeof path, "device/%s", kind);
    if (!xs_available() || xs_request(XS_DIRECTORY, 0, path, n + 1, list, sizeof list) <= 0)
        return 0;
    format(front, front_size, "%s/%s", path, list);     /* the first of the NUL-separated names */
    return xenbus_read(front, "backend", back, back_size) > 0;
}

int xenbus_reaches(const char *back, uint32_t wanted)
{
    /* A back end in another domain may take its time; one that is gone has no state. */
    for (int i = 0; i < 15000; i++) {
        uint32_t state = xenbus_read_number(back, "state", 0);
        if (!state || state >= wanted)
            return state == wanted;
        sleep_ns(2000000);
    }
    return 0;
}
