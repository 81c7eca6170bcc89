/*
 * A driver domain: serves devices to other domains. The toolstack names them by nodes under backend/KIND/DOMAIN/NUMBER of our home; what each kind does is its
 * own file's.
 */
#include "kernel.h"

struct served served[SERVED];
static const struct backend *const kinds[] = { &disk_backend, &card_backend };
static int closed;

static void woken(uint32_t port)
{
}

static void set_state(struct served *device, int state)
{
    device->state = state;
    xenbus_write_number(device->back, "state", state);
}

void *serve_map(struct served *device, uint32_t va, uint32_t ref, uint32_t *handle)
{
    map_page(va, 0);
    struct gnttab_map map = { va, GNTMAP_host, ref, device->domain, 99, 0, 0 };
    int error = hypercall(HC_grant_table_op, GNTTAB_map, &map, 1);
    if (error || map.status) {
        printf("serve: domain %u %s %u: ring %u is not mapped: %d\n", device->domain, device->kind->what, device->number, ref, map.status);
        return 0;
    }
    *handle = map.handle;
    return (void *)va;
}

void serve_unmap(void *page, uint32_t handle)
{
    struct gnttab_unmap unmap = { (uint32_t)page, 0, handle, 99, 0 };
    if (page)
        hypercall(HC_grant_table_op, GNTTAB_unmap, &unmap, 1);
}

static void offer(struct served *device)
{
    char path[128];
    device->kind->offer(device);
    xenbus_read(device->back, "frontend", device->front, sizeof device->front);
    format(path, sizeof path, "%s/state", device->front);
    xs_watch(path, "front");
    xenbus_write(device->back, "hotplug-status", "connected");
    set_state(device, INIT_WAIT);
}

static void disconnect(struct served *device)
{
    if (device->port)
        event_unbind(device->port);
    device->port = 0;
    device->kind->disconnect(device);
    closed += device->state == CONNECTED;
}

static void connect(struct served *device)
{
    struct evtchn_bind_interdomain bind = { device->domain, 0, xenbus_read_number(device->front, "event-channel", 0), 0 };
    int error = event_op(EVTCHN_bind_interdomain, &bind);
    if (error)
        printf("serve: domain %u %s %u: port %u is not bound: %d\n", device->domain, device->kind->what, device->number, bind.remote_port, error);
    else
        device->port = bind.local_port;
    if (!device->port || !device->kind->connect(device)) {
        disconnect(device);
        set_state(device, CLOSED);
        return;
    }
    event_bind(device->port, woken);
    set_state(device, CONNECTED);
}

/* As far as the other end has come. Its nodes may be gone with it at any time, and ours with the device. */
static void step(struct served *device)
{
    int mine = xenbus_read_number(device->back, "state", 0), theirs = device->front[0] ? (int)xenbus_read_number(device->front, "state", 0) : INITIALISING;
    if (!mine) {
        disconnect(device);
        if (device->kind->forget)
            device->kind->forget(device);
        memset(device, 0, sizeof *device);
        return;
    }
    if (device->state == INITIALISING)
        offer(device);
    else if (device->state == INIT_WAIT && (theirs == INITIALISED || theirs == CONNECTED))
        connect(device);
    else if (device->state != CLOSED && (theirs == CLOSED || !theirs || (mine == CLOSING && device->state != CONNECTED))) {
        disconnect(device);
        set_state(device, CLOSED);
    }
}

static void find(const struct backend *kind, uint16_t domain, uint32_t number)
{
    struct served *unused = 0;
    for (struct served *device = served; device < served + SERVED; device++) {
        if (device->kind == kind && device->domain == domain && device->number == number)
            return;
        if (!device->kind && !unused)
            unused = device;
    }
    if (!unused)
        return;
    unused->kind = kind;
    unused->state = INITIALISING;
    unused->domain = domain;
    unused->number = number;
    format(unused->back, sizeof unused->back, "backend/%s/%u/%u", kind->name, domain, number);
}

static void look_for_devices(const struct backend *kind)
{
    char domains[512], numbers[512], path[64];
    int n = xs_request(XS_DIRECTORY, 0, path, format(path, sizeof path, "backend/%s", kind->name) + 1, domains, sizeof domains);
    for (int i = 0; i < n; i += strlen(domains + i) + 1) {
        int length = format(path, sizeof path, "backend/%s/%s", kind->name, domains + i);
        int m = xs_request(XS_DIRECTORY, 0, path, length + 1, numbers, sizeof numbers);
        for (int j = 0; j < m; j += strlen(numbers + j) + 1) {
            uint32_t domain, number;
            if (parse_number(domains + i, &domain) && parse_number(numbers + j, &number))
                find(kind, domain, number);
        }
    }
}

static int has_work(void *argument)
{
    int work = xs_pending() || uplink_has_work();
    for (struct served *device = served; device < served + SERVED; device++)
        work |= device->state == CONNECTED && device->kind->has_work(device);
    return work;
}

/* Until so many devices have been closed; 0: for ever. */
void serve(int count)
{
    closed = 0;
    xs_watch("backend", "back");
    printf("serve: waiting%s\n", uplink_open() ? ", with a card of our own" : "");
    while (!count || closed < count) {
        int seen = xs_take_events();
        uplink_work();
        for (struct served *device = served; device < served + SERVED; device++)
            if (device->state == CONNECTED && device->kind->has_work(device))
                device->kind->work(device);
        if (!seen) {
            wait_for(has_work, 0, 0);
            continue;
        }
        for (uint32_t i = 0; i < ARRAY_SIZE(kinds); i++)
            look_for_devices(kinds[i]);
        for (struct served *device = served; device < served + SERVED; device++)
            for (int before = -1; device->state && before != device->state; ) {
                before = device->state;
                step(device);
            }
    }
}
