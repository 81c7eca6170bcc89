/* As much of IPv4 as a ping takes: ARP and ICMP echo, asked and answered. Answers are given from the upcall, whatever the guest does otherwise. */
#include "kernel.h"

#define SECOND 1000000000ull
#define PAYLOAD_MOST 1472
#define ECHO_ID 0x6462
enum { ETHERTYPE_IP = 0x0800, ETHERTYPE_ARP = 0x0806, ARP_REQUEST = 1, ARP_REPLY = 2, PROTOCOL_ICMP = 1, ECHO_REPLY = 0, ECHO_REQUEST = 8 };

struct ethernet { uint8_t to[6], from[6]; uint16_t type; } __attribute__((packed));
struct arp { struct ethernet link; uint16_t hardware, protocol; uint8_t lengths[2]; uint16_t what; uint8_t from[6]; uint32_t from_ip; uint8_t to[6]; uint32_t to_ip; } __attribute__((packed));
struct echo {
    struct ethernet link;
    uint8_t version, service;
    uint16_t length, fragment_id, fragment;
    uint8_t ttl, protocol;
    uint16_t ip_sum;
    uint32_t from, to;
    uint8_t type, code;
    uint16_t sum, id, sequence;
    uint8_t payload[PAYLOAD_MOST];
} __attribute__((packed));
#define ECHO_HEADER (sizeof(struct echo) - PAYLOAD_MOST)

static uint32_t own, asked;                     /* addresses, as they are on the wire */
static uint8_t asked_at[6];
static volatile int resolved;
static volatile uint32_t answered, answered_length, answered_right;
static struct echo out;

static uint16_t swap(uint16_t n)
{
    return n << 8 | n >> 8;
}

static uint16_t checksum(const void *data, uint32_t length)
{
    const uint8_t *p = data;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < length; i++)
        sum += i & 1 ? p[i] << 8 : p[i];
    while (sum >> 16)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return ~sum;
}

static int parse_ip(const char *text, uint32_t *ip)
{
    uint8_t *bytes = (uint8_t *)ip;
    for (int i = 0; i < 4; i++) {
        uint32_t value = 0, digits = 0;
        for (; *text >= '0' && *text <= '9' && digits < 3; digits++)
            value = value * 10 + *text++ - '0';
        if (!digits || value > 255 || *text++ != (i < 3 ? '.' : 0))
            return 0;
        bytes[i] = value;
    }
    return 1;
}

static void send_arp(int what, const uint8_t *to, uint32_t to_ip)
{
    static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };
    struct arp arp = { .link.type = swap(ETHERTYPE_ARP), .hardware = swap(1), .protocol = swap(ETHERTYPE_IP), .lengths = { 6, 4 }, .what = swap(what), .from_ip = own, .to_ip = to_ip };
    memcpy(arp.link.to, to ? to : all, 6);
    memcpy(arp.link.from, card_address(), 6);
    memcpy(arp.from, card_address(), 6);
    if (to)
        memcpy(arp.to, to, 6);
    card_send(&arp, sizeof arp, 0);
}

static void take_arp(const struct arp *arp)
{
    if (arp->what == swap(ARP_REQUEST) && arp->to_ip == own)
        send_arp(ARP_REPLY, arp->from, arp->from_ip);
    if (arp->what == swap(ARP_REPLY) && arp->from_ip == asked && !resolved) {
        memcpy(asked_at, arp->from, 6);
        barrier();
        resolved = 1;
    }
}

static void send_echo(struct echo *echo, const uint8_t *at, uint32_t to, int type, uint32_t payload)
{
    memcpy(echo->link.to, at, 6);
    memcpy(echo->link.from, card_address(), 6);
    echo->link.type = swap(ETHERTYPE_IP);
    echo->version = 0x45;
    echo->length = swap(ECHO_HEADER - sizeof echo->link + payload);
    echo->fragment = 0;
    echo->ttl = 64;
    echo->protocol = PROTOCOL_ICMP;
    echo->from = own;
    echo->to = to;
    echo->ip_sum = 0;
    echo->ip_sum = checksum(&echo->version, 20);
    echo->type = type;
    echo->code = 0;
    echo->sum = 0;
    echo->sum = checksum(&echo->type, 8 + payload);
    card_send(echo, ECHO_HEADER + payload, 0);
}

static void take_echo(const struct echo *echo, uint32_t length)
{
    static struct echo reply;
    uint32_t payload = swap(echo->length) - (ECHO_HEADER - sizeof echo->link);
    if (echo->version != 0x45 || echo->protocol != PROTOCOL_ICMP || echo->to != own || echo->fragment & swap(0x3FFF)
        || payload > PAYLOAD_MOST || ECHO_HEADER + payload > length || checksum(&echo->version, 20) || checksum(&echo->type, 8 + payload))
        return;
    if (echo->type == ECHO_REQUEST) {
        memcpy(&reply, echo, ECHO_HEADER + payload);
        send_echo(&reply, echo->link.from, echo->from, ECHO_REPLY, payload);
    } else if (echo->type == ECHO_REPLY && echo->id == ECHO_ID && echo->from == asked) {
        answered_length = payload;
        answered_right = !memcmp(echo->payload, out.payload, payload);
        barrier();
        answered = swap(echo->sequence);
    }
}

static void receive(const uint8_t *frame, uint32_t length, uint16_t flags)
{
    const struct ethernet *link = (const struct ethernet *)frame;
    if (length >= sizeof(struct arp) && link->type == swap(ETHERTYPE_ARP))
        take_arp((const struct arp *)frame);
    if (length >= ECHO_HEADER && link->type == swap(ETHERTYPE_IP))
        take_echo((const struct echo *)frame, length);
}

void net(char **words, int count)
{
    uint32_t ip;
    if (count > 1 && !strcmp(words[1], "close")) {
        card_close();
        printf("net: closed\n");
    } else if (count < 2 || !parse_ip(words[1], &ip)) {
        printf("net: ADDRESS, or close\n");
    } else if (!card_open()) {
        printf("net: no card\n");
    } else {
        const uint8_t *at = card_address();
        own = ip;
        card_receive(receive);
        printf("net: card %02x:%02x:%02x:%02x:%02x:%02x, address %s\n", at[0], at[1], at[2], at[3], at[4], at[5], words[1]);
    }
}

static int is_resolved(void *argument)
{
    return resolved;
}

static int is_answered(void *argument)
{
    return answered == *(uint32_t *)argument;
}

void ping(char **words, int count)
{
    uint32_t n = 3, size = 56, right = 0, ip;
    if (count < 2 || !parse_ip(words[1], &ip) || (count > 2 && !parse_number(words[2], &n)) || (count > 3 && (!parse_number(words[3], &size) || size > PAYLOAD_MOST))) {
        printf("ping: ADDRESS [COUNT [BYTES]], to %u bytes\n", PAYLOAD_MOST);
        return;
    }
    resolved = 0;
    asked = ip;
    for (int tries = 0; tries < 20 && !resolved && card_is_connected(); tries++) {
        send_arp(ARP_REQUEST, 0, ip);
        wait_for(is_resolved, 0, SECOND);
    }
    if (!card_is_connected()) {
        printf("ping: no card, or nobody serves it\n");
        card_close();
        return;
    }
    if (!resolved) {
        printf("ping: %s: nobody has that address\n", words[1]);
        return;
    }
    for (uint32_t i = 1; i <= n; i++) {
        answered = 0;
        for (uint32_t j = 0; j < size; j++)
            out.payload[j] = i + j * 7;
        out.id = ECHO_ID;
        out.sequence = swap(i);
        send_echo(&out, asked_at, ip, ECHO_REQUEST, size);
        right += wait_for(is_answered, &i, 10 * SECOND) && answered_right && answered_length == size;
    }
    printf("ping: %s: %u sent, %u answered\n", words[1], n, right);
}
