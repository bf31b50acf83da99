/// The load tool of the fan-out benchmark: opens WebSocket connections in groups, publishes, and checks that every
/// message reaches every member of its group once and in order. One thread, one epoll, one read per socket and turn:
/// it has to be cheaper than the cheapest server, and reports its own CPU time so that one can see that it is.
///
///     load --port P --pids A,B --mode closed --groups 1 --members 1000 --window 8 --seconds 5
///
/// closed  at most `window` messages of each group are under way; the next is sent when all members have one more, or with
///         `whole` the next `window` when all members have all of the last.
/// open    `rate` messages a second, whatever comes back, and the latency of each delivery.
/// idle    opens the connections as fast as it can and does nothing else: handshakes and memory.
/// wait    publishes nothing: says "ready", and waits until somebody else's `messages` have reached everybody, or
///         nothing has come for `stall` seconds.
///
/// With `--protocol json` or `protobuf` members speak the Centrifugo client protocol: they all open `subscribe`, and follow
/// the channel `gN` of their group, and `also` channels more on which nothing is said.
///
/// Prints one line of JSON.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "measure.h"
#include "payload.h"

enum {
    EVENTS = 1024, READ_BYTES = 1 << 18, HEAD_LIMIT = 8192,
    // What a push has around its data.
    ROUND_IT = 256, STASH_BYTES = PAYLOAD_MOST + HEAD_LIMIT + 16,
    PER_ADDRESS = 20000,
};

static struct options {
    const char *mode, *label, *subscribe, *publish, *publisher, *protocol;
    uint32_t port, concurrency, warm, groups, members, window, size, spin, messages, also, whole;
    double seconds, warmup, settle, stall, rate;
    struct processes server;
} options = {
    .mode = "closed", .label = "", .subscribe = "/channels/groups/g{n}", .publish = "/channels/publish/g{n}",
    .publisher = "websocket", .protocol = "plain", .concurrency = 64, .groups = 1, .members = 1000, .window = 8,
    .size = 128, .seconds = 5, .warmup = 1, .settle = 0.5, .stall = 30, .rate = 10, .messages = 1,
};

enum role { MEMBER, PUBLISHER };
enum state { CLOSED, UPGRADING, SUBSCRIBING, OPEN };

struct endpoint {
    int fd;
    uint8_t role, state;
    bool wantsWrite;
    uint32_t group;
    uint32_t expected;     // member: the number of the next message
    uint32_t stashLength;  // what was read of a frame or head whose end is missing
    uint8_t *stash;
    uint8_t *out;          // publisher: what the socket has not taken yet
    size_t outStart, outEnd, outCapacity;
};

struct group {
    uint64_t published, completed;
    bool ready;
};

static struct endpoint *endpoints;
static uint32_t memberCount, endpointCount, inFlight;
static struct group *groups;
static uint32_t *reached;  // per group and message under way: how many members have it
static uint32_t *ready;    // groups that may publish again
static uint32_t readyCount;
static int poller;
static uint8_t model[PAYLOAD_MOST];
static uint8_t input[STASH_BYTES + READ_BYTES + 1];
static struct histogram latencies;
static uint64_t deliveries, reads, measuredFrom = UINT64_MAX, measuredTo = UINT64_MAX, now;

static void die(const char *format, ...) {
    va_list list;
    va_start(list, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    exit(1);
}

static void *room(void *old, size_t bytes) {
    void *p = realloc(old, bytes);
    if (!p) die("no memory for %zu bytes", bytes);
    return p;
}

/// The path with the group's number in place of `{n}`.
static const char *pathOf(const char *pattern, uint32_t group) {
    static char path[1024];
    const char *mark = strstr(pattern, "{n}");
    if (!mark) snprintf(path, sizeof path, "%s", pattern);
    else snprintf(path, sizeof path, "%.*s%u%s", (int)(mark - pattern), pattern, group, mark + 3);
    return path;
}

static bool posts(void) { return !strcmp(options.publisher, "post"); }

/// What members speak.
static enum { PLAIN, JSON, PROTOBUF } protocol;

// MARK: sending

static void flushOut(uint32_t index) {
    struct endpoint *e = &endpoints[index];
    while (e->outStart < e->outEnd) {
        ssize_t sent = send(e->fd, e->out + e->outStart, e->outEnd - e->outStart, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) break;
        if (sent < 0) die("sending to the server failed: %s", strerror(errno));
        e->outStart += (size_t)sent;
    }
    bool waits = e->outStart < e->outEnd;
    if (!waits) e->outStart = e->outEnd = 0;
    if (waits == e->wantsWrite) return;
    e->wantsWrite = waits;
    struct epoll_event event = {.events = EPOLLIN | (waits ? EPOLLOUT : 0), .data.u32 = index};
    if (epoll_ctl(poller, EPOLL_CTL_MOD, e->fd, &event)) die("epoll_ctl: %s", strerror(errno));
}

static uint8_t *outRoom(struct endpoint *e, size_t bytes) {
    if (e->outEnd + bytes > e->outCapacity) {
        e->outCapacity = (e->outEnd + bytes) * 2;
        e->out = room(e->out, e->outCapacity);
    }
    return e->out + e->outEnd;
}

/// A client frame (RFC 6455 section 5.3). The key is the same for all: nobody has to be protected here.
static void appendFrame(struct endpoint *e, uint8_t opcode, const uint8_t *payload, size_t length) {
    static const uint8_t key[8] = {0x5a, 0x13, 0xc7, 0x2e, 0x5a, 0x13, 0xc7, 0x2e};
    uint8_t *at = outRoom(e, length + 8), *start = at;
    *at++ = 0x80 | opcode;
    if (length < 126) {
        *at++ = 0x80 | (uint8_t)length;
    } else {
        *at++ = 0x80 | 126, *at++ = (uint8_t)(length >> 8), *at++ = (uint8_t)length;
    }
    memcpy(at, key, 4);
    at += 4;
    uint64_t mask, word;
    memcpy(&mask, key, 8);
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        memcpy(&word, payload + i, 8);
        word ^= mask;
        memcpy(at + i, &word, 8);
    }
    for (; i < length; i++) at[i] = payload[i] ^ key[i & 3];
    e->outEnd += (size_t)(at - start) + length;
}

static void appendPost(struct endpoint *e, const uint8_t *payload, size_t length) {
    char head[1200];
    int headLength = snprintf(head, sizeof head,
                              "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                              "Content-Length: %zu\r\n\r\n", pathOf(options.publish, e->group), length);
    uint8_t *at = outRoom(e, (size_t)headLength + length);
    memcpy(at, head, (size_t)headLength);
    memcpy(at + headLength, payload, length);
    e->outEnd += (size_t)headLength + length;
}

static void appendMessage(uint32_t group) {
    struct group *g = &groups[group];
    struct endpoint *e = &endpoints[memberCount + group];
    writeDigits(model + NUMBER_AT, NUMBER_DIGITS, g->published++);
    writeDigits(model + GROUP_AT, GROUP_DIGITS, group);
    writeDigits(model + TIME_AT, TIME_DIGITS, now);
    if (posts()) appendPost(e, model, options.size);
    else appendFrame(e, 1, model, options.size);
}

/// One command of the client protocol in Protobuf, behind its length: `id`, and a field of bytes with its own fields.
static size_t writeCommand(uint8_t *at, uint8_t id, uint8_t field, const uint8_t *body, size_t length) {
    uint8_t head[] = {(uint8_t)(length + 4), 1 << 3, id, (uint8_t)(field << 3 | 2), (uint8_t)length};
    memcpy(at, head, sizeof head);
    memcpy(at + sizeof head, body, length);
    return sizeof head + length;
}

/// Says who it is, and which channels it wants; the one that is spoken on comes last, and has the id 2.
static void appendCommands(struct endpoint *e) {
    uint8_t frame[4096];
    size_t length = protocol == JSON ? (size_t)sprintf((char *)frame, "{\"id\":1,\"connect\":{}}")
                                     : writeCommand(frame, 1, 4, NULL, 0);
    for (uint32_t left = options.also + 1; left-- > 0;) {
        uint8_t name[32], body[40];
        int nameLength = left ? sprintf((char *)name, "g%u-%u", e->group, left) : sprintf((char *)name, "g%u", e->group);
        if (protocol == JSON) {
            length += (size_t)sprintf((char *)frame + length, "\n{\"id\":%u,\"subscribe\":{\"channel\":\"%s\"}}", left + 2,
                                      name);
            continue;
        }
        body[0] = 1 << 3 | 2, body[1] = (uint8_t)nameLength;
        memcpy(body + 2, name, (size_t)nameLength);
        length += writeCommand(frame + length, (uint8_t)(left + 2), 5, body, (size_t)nameLength + 2);
    }
    appendFrame(e, protocol == JSON ? 1 : 2, frame, length);
}

static void fillWindow(uint32_t group) {
    struct group *g = &groups[group];
    if (options.whole && g->completed < g->published) return;
    while (g->published - g->completed < options.window) appendMessage(group);
    flushOut(memberCount + group);
}

// MARK: receiving

static void deliver(uint32_t index, const uint8_t *payload, size_t length) {
    struct endpoint *e = &endpoints[index];
    if (length != options.size || !matchesTemplate(payload, model, length)) {
        die("connection %u got something else than a message of this run: %.*s", index, (int)(length < 120 ? length : 120),
            payload);
    }
    uint64_t number = readDigits(payload + NUMBER_AT, NUMBER_DIGITS);
    uint32_t from = (uint32_t)readDigits(payload + GROUP_AT, GROUP_DIGITS);
    if (from != e->group) die("connection %u of group %u got a message of group %u", index, e->group, from);
    if (number != e->expected) {
        die("connection %u of group %u got message %llu where %u was next: %s", index, e->group,
            (unsigned long long)number, e->expected, number < e->expected ? "doubled or out of order" : "one was lost");
    }
    uint32_t *count = &reached[(size_t)e->group * options.window + e->expected % options.window];
    e->expected++;
    deliveries++;
    if (measuredFrom != UINT64_MAX && options.rate > 0) {
        uint64_t sent = readDigits(payload + TIME_AT, TIME_DIGITS);
        if (sent >= measuredFrom && sent < measuredTo) record(&latencies, now > sent ? now - sent : 0);
    }
    if (++*count < options.members) return;
    *count = 0;
    struct group *g = &groups[e->group];
    g->completed++;
    if (!g->ready) g->ready = true, ready[readyCount++] = e->group;
}

/// Whether a frame has the answer to the subscription on which all else waits.
static bool hasSubscribed(const uint8_t *payload, size_t length) {
    static const uint8_t json[] = "{\"id\":2,\"subscribe\":", protobuf[] = {1 << 3, 2, 6 << 3 | 2};
    return protocol == JSON ? memmem(payload, length, json, sizeof json - 1) != NULL
                            : memmem(payload, length, protobuf, sizeof protobuf) != NULL;
}

/// What comes on a connection that speaks the client protocol.
static void takeReply(uint32_t index, const uint8_t *payload, size_t length) {
    struct endpoint *e = &endpoints[index];
    if (e->state == SUBSCRIBING) {
        if (memmem(payload, length, "error", 5)) {
            die("connection %u may not subscribe: %.*s", index, (int)length, payload);
        }
        if (!hasSubscribed(payload, length)) return;
        e->state = OPEN;
        inFlight--;
        return;
    }
    if (length <= 2) {
        appendFrame(e, protocol == JSON ? 1 : 2, payload, length);
        flushOut(index);
        return;
    }
    // The data is the last thing in a push; in JSON three objects end behind it.
    size_t behind = protocol == JSON ? 3 : 0;
    if (length < options.size + behind) die("connection %u got %zu bytes: %.*s", index, length, (int)length, payload);
    deliver(index, payload + length - behind - options.size, options.size);
}

/// Takes one server frame. Returns its length, or 0 when its end is missing.
static size_t takeFrame(uint32_t index, const uint8_t *bytes, size_t length) {
    if (length < 2) return 0;
    size_t header = 2, payload = bytes[1];
    if (payload == 126) {
        if (length < 4) return 0;
        header = 4;
        payload = (size_t)bytes[2] << 8 | bytes[3];
    } else if (payload > 126) {
        die("connection %u got a masked frame, or one of more than 65535 bytes", index);
    }
    if (payload > PAYLOAD_MOST + ROUND_IT) die("connection %u got a frame of %zu bytes", index, payload);
    if (length < header + payload) return 0;
    struct endpoint *e = &endpoints[index];
    switch (bytes[0]) {
    case 0x81:
    case 0x82:
        if (e->role != MEMBER) break;
        if (bytes[0] != (protocol == PROTOBUF ? 0x82 : 0x81)) die("connection %u got a frame of the other kind", index);
        if (protocol == PLAIN) deliver(index, bytes + header, payload);
        else takeReply(index, bytes + header, payload);
        break;
    case 0x88:
        die("the server closed connection %u: code %d, \"%.*s\"", index,
            payload < 2 ? 1005 : bytes[header] << 8 | bytes[header + 1], payload < 2 ? 0 : (int)payload - 2,
            bytes + header + 2);
        break;
    case 0x89:
        appendFrame(e, 10, bytes + header, payload);
        flushOut(index);
        break;
    case 0x8a:
        break;
    default:
        die("connection %u got a frame that starts with 0x%02x: only whole messages are expected", index, bytes[0]);
    }
    return header + payload;
}

/// Looks for the end of the handshake's answer. Returns its length, or 0 when more has to come.
static size_t takeHandshake(uint32_t index, uint8_t *bytes, size_t length) {
    struct endpoint *e = &endpoints[index];
    bytes[length] = 0;
    char *headEnd = strstr((char *)bytes, "\r\n\r\n");
    if (!headEnd) {
        if (length > HEAD_LIMIT) die("the head of the answer to handshake %u does not end", index);
        return 0;
    }
    *headEnd = 0;
    if (strncmp((char *)bytes, "HTTP/1.1 101", 12) || !strstr((char *)bytes, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) {
        die("the handshake of connection %u (%s) was answered with: %.*s", index,
            pathOf(e->role == MEMBER ? options.subscribe : options.publish, e->group), (int)strcspn((char *)bytes, "\r"),
            bytes);
    }
    if (e->role == MEMBER && protocol != PLAIN) {
        e->state = SUBSCRIBING;
        appendCommands(e);
        flushOut(index);
    } else {
        e->state = OPEN;
        inFlight--;
    }
    return (size_t)(headEnd - (char *)bytes) + 4;
}

static void receive(uint32_t index) {
    struct endpoint *e = &endpoints[index];
    size_t length = e->stashLength, taken = 0;
    if (length) memcpy(input, e->stash, length);
    ssize_t got = recv(e->fd, input + length, READ_BYTES, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) die("the server hung up on connection %u: %s", index, got ? strerror(errno) : "end of stream");
    if (options.rate > 0) now = monotonic();
    if (e->role == MEMBER) reads++;
    if (e->role == PUBLISHER && posts()) {
        if (got >= 10 && !memcmp(input, "HTTP/1.1 ", 9) && input[9] != '2') {
            die("the server answered a publication with: %.*s", 60, input);
        }
        return;
    }
    length += (size_t)got;
    if (e->state == UPGRADING) taken = takeHandshake(index, input, length);
    while (e->state >= SUBSCRIBING && taken < length) {
        size_t frame = takeFrame(index, input + taken, length - taken);
        if (!frame) break;
        taken += frame;
    }
    e->stashLength = (uint32_t)(length - taken);
    if (!e->stashLength) return;
    if (!e->stash) e->stash = room(NULL, options.size + HEAD_LIMIT + 16);
    if (e->stashLength > options.size + HEAD_LIMIT + 16) die("connection %u got a frame that is too long", index);
    memcpy(e->stash, input + taken, e->stashLength);
}

/// One turn of the loop. Returns whether anything came.
static bool turn(int milliseconds) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(poller, events, EVENTS, milliseconds);
    now = monotonic();
    for (int i = 0; i < count; i++) {
        if (events[i].events & EPOLLOUT) flushOut(events[i].data.u32);
        if (events[i].events & ~EPOLLOUT) receive(events[i].data.u32);
    }
    return count > 0;
}

static void turnFor(double seconds) {
    uint64_t until = monotonic() + (uint64_t)(seconds * 1e9);
    do turn(10);
    while (now < until);
}

// MARK: opening

static void openEndpoint(uint32_t index) {
    struct endpoint *e = &endpoints[index];
    e->role = index < memberCount ? MEMBER : PUBLISHER;
    e->group = index < memberCount ? index % options.groups : index - memberCount;
    e->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (e->fd < 0) die("socket %u: %s", index, strerror(errno));
    int on = 1;
    setsockopt(e->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // A reset at the end leaves no port waiting: the next run may come at once.
    struct linger linger = {.l_onoff = 1};
    setsockopt(e->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    // One source address has 28 000 ports for one server; the next 20 000 connections come from the next address.
    uint32_t spread = index / PER_ADDRESS;
    if (spread) {
        setsockopt(e->fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + spread)};
        if (bind(e->fd, (struct sockaddr *)&source, sizeof source)) die("bind %u: %s", index, strerror(errno));
    }
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(e->fd, (struct sockaddr *)&server, sizeof server)) {
        die("connection %u to 127.0.0.1:%u: %s", index, options.port, strerror(errno));
    }
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, e->fd, &event)) die("epoll_ctl: %s", strerror(errno));
    if (e->role == PUBLISHER && posts()) {
        e->state = OPEN;
        return;
    }
    char request[2048];
    const char *path = pathOf(e->role == MEMBER ? options.subscribe : options.publish, e->group);
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%s"
                          "User-Agent: carillon-load\r\nOrigin: http://127.0.0.1:%u\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, options.port,
                          e->role == MEMBER && protocol == PROTOBUF ? "Sec-WebSocket-Protocol: centrifuge-protobuf\r\n" : "",
                          options.port);
    if (send(e->fd, request, (size_t)length, MSG_NOSIGNAL) != length) die("handshake %u: %s", index, strerror(errno));
    e->state = UPGRADING;
    inFlight++;
}

static void openThrough(uint32_t *next, uint32_t count) {
    uint64_t last = monotonic();
    while (*next < count || inFlight) {
        while (*next < count && inFlight < options.concurrency) openEndpoint((*next)++);
        if (turn(1000)) last = now;
        if (now - last > (uint64_t)(options.stall * 1e9)) {
            die("no handshake was answered for %.0f s; %u are waiting, %u of %u are done", options.stall, inFlight,
                *next - inFlight, count);
        }
    }
}

/// Two descriptors more than the sockets would do; the rest is for what the C library opens.
static void needDescriptors(uint32_t count) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_max < count + 64) files.rlim_max = count + 64;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) == 0) return;
    getrlimit(RLIMIT_NOFILE, &files);
    die("%u sockets need `ulimit -n` at %u; the hard limit here is %llu", count, count + 64,
        (unsigned long long)files.rlim_max);
}

// MARK: the runs

struct result {
    double seconds, loadCPU, handshakeSeconds, handshakeCPU;
    uint64_t deliveries, messages, reads;
    uint32_t handshakes;
    struct usage before, after;
    long memoryBefore, memoryAfter;
};

static uint64_t publishedInAll(void) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < options.groups; i++) sum += groups[i].published;
    return sum;
}

static uint64_t expectedInAll(void) { return publishedInAll() * options.members; }

static void publishWhatIsReady(void) {
    for (uint32_t i = 0; i < readyCount; i++) {
        groups[ready[i]].ready = false;
        fillWindow(ready[i]);
    }
    readyCount = 0;
}

static void publishWhatIsDue(uint64_t *due, uint64_t *sequence) {
    uint64_t interval = (uint64_t)(1e9 / options.rate);
    for (; *due <= now; *due += interval) {
        uint32_t group = (uint32_t)(++*sequence % options.groups);
        struct group *g = &groups[group];
        if (g->published - g->completed >= options.window) {
            die("the server is %u messages behind in group %u: it cannot keep up with %.0f messages a second",
                options.window, group, options.rate);
        }
        now = monotonic();
        appendMessage(group);
        flushOut(memberCount + group);
    }
    // Nobody waits for completions here.
    for (uint32_t i = 0; i < readyCount; i++) groups[ready[i]].ready = false;
    readyCount = 0;
}

/// Publishes until `until`; nothing new when `publishing` is false, and back as soon as all have arrived.
static void run(uint64_t until, bool publishing, uint64_t *due, uint64_t *sequence) {
    bool open = options.rate > 0;
    uint64_t heard = monotonic(), last = deliveries;
    while (now < until) {
        if (publishing && open) publishWhatIsDue(due, sequence);
        if (publishing && !open) publishWhatIsReady();
        if (!publishing && deliveries == expectedInAll()) return;
        turn(open || options.spin ? 0 : 100);
        if (deliveries != last || deliveries == expectedInAll()) heard = now, last = deliveries;
        if (now - heard > (uint64_t)(options.stall * 1e9)) {
            die("nothing arrived for %.0f s; %llu of %llu deliveries are missing", options.stall,
                (unsigned long long)(expectedInAll() - deliveries), (unsigned long long)expectedInAll());
        }
    }
}

static void runMessages(struct result *result) {
    uint64_t due = 0, sequence = 0;
    now = monotonic();
    due = now;
    for (uint32_t i = 0; i < options.groups && options.rate == 0; i++) groups[i].ready = true, ready[readyCount++] = i;
    run(now + (uint64_t)(options.warmup * 1e9), true, &due, &sequence);

    uint64_t from = now, deliveriesBefore = deliveries, messagesBefore = publishedInAll(), readsBefore = reads;
    uint64_t loadBefore = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    measuredFrom = from;
    measuredTo = from + (uint64_t)(options.seconds * 1e9);
    result->before = usageOf(&options.server);
    run(measuredTo, true, &due, &sequence);
    result->after = usageOf(&options.server);
    result->seconds = (double)(now - from) / 1e9;
    result->deliveries = deliveries - deliveriesBefore;
    result->messages = publishedInAll() - messagesBefore;
    result->reads = reads - readsBefore;
    result->loadCPU = (double)(nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - loadBefore) / 1e9;

    // What is under way has to arrive, and nothing after it.
    run(UINT64_MAX, false, &due, &sequence);
    turnFor(0.2);
}

/// Somebody else publishes. The time is that from the first delivery to the last.
static void waitForMessages(struct result *result) {
    uint64_t wanted = (uint64_t)options.messages * memberCount;
    puts("ready");
    fflush(stdout);
    now = monotonic();
    result->before = usageOf(&options.server);
    uint64_t loadBefore = nanoseconds(CLOCK_PROCESS_CPUTIME_ID), first = 0, heard = now, last = deliveries;
    while (deliveries < wanted && now - heard < (uint64_t)(options.stall * 1e9)) {
        turn(100);
        if (deliveries == last) continue;
        if (!first) first = now;
        heard = now;
        last = deliveries;
    }
    // Nothing may come after it.
    turnFor(0.2);
    result->after = usageOf(&options.server);
    result->seconds = (double)(heard - first) / 1e9;
    result->deliveries = deliveries;
    result->messages = options.messages;
    result->reads = reads;
    result->loadCPU = (double)(nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - loadBefore) / 1e9;
}

static void print(const struct result *r) {
    double cpu = (double)(r->after.cpu - r->before.cpu) / 1e9;
    printf("{\"label\":\"%s\",\"mode\":\"%s\",\"groups\":%u,\"members\":%u,\"connections\":%u,\"window\":%u,\"size\":%u",
           options.label, options.mode, options.groups, options.members, memberCount, options.window, options.size);
    printf(",\"handshakes\":%u,\"handshakes_per_second\":%.0f,\"handshake_cpu_us\":%.2f", r->handshakes,
           r->handshakes / r->handshakeSeconds, r->handshakeCPU * 1e6 / r->handshakes);
    printf(",\"memory_before_kib\":%ld,\"memory_after_kib\":%ld,\"bytes_per_connection\":%.0f", r->memoryBefore,
           r->memoryAfter, (double)(r->memoryAfter - r->memoryBefore) * 1024 / r->handshakes);
    if (r->deliveries) {
        printf(",\"seconds\":%.3f,\"messages\":%llu,\"deliveries\":%llu,\"deliveries_per_second\":%.0f", r->seconds,
               (unsigned long long)r->messages, (unsigned long long)r->deliveries, (double)r->deliveries / r->seconds);
        printf(",\"server_cpu_seconds\":%.4f,\"server_user_seconds\":%.2f,\"server_system_seconds\":%.2f", cpu,
               r->after.user - r->before.user, r->after.system - r->before.system);
        printf(",\"cpu_seconds_per_million\":%.4f,\"load_cpu_seconds\":%.4f,\"deliveries_per_read\":%.2f",
               cpu * 1e6 / (double)r->deliveries, r->loadCPU, (double)r->deliveries / (double)r->reads);
    }
    if (latencies.total) {
        printf(",\"rate\":%.0f,\"latency_us\":{\"count\":%llu,\"p50\":%.0f,\"p90\":%.0f,\"p99\":%.0f,\"max\":%.0f}",
               options.rate, (unsigned long long)latencies.total, (double)percentile(&latencies, 0.5) / 1e3,
               (double)percentile(&latencies, 0.9) / 1e3, (double)percentile(&latencies, 0.99) / 1e3,
               (double)latencies.max / 1e3);
    }
    puts("}");
}

// MARK: the command line

static void readProcesses(const char *list) {
    for (char *end; *list; list = *end ? end + 1 : end) {
        long id = strtol(list, &end, 10);
        if (end == list || options.server.count == MAX_PROCESSES) die("--pids wants up to 16 numbers with commas");
        options.server.ids[options.server.count++] = (int)id;
    }
}

static uint32_t number(const char *name, const char *text, long least, long most) {
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end || value < least || value > most) {
        die("%s wants a number from %ld to %ld, not \"%s\"", name, least, most, text);
    }
    return (uint32_t)value;
}

/// One option: its name, and where its value goes.
static void readOption(const char *name, const char *value) {
    const struct { const char *name; const char **at; } texts[] = {
        {"--mode", &options.mode}, {"--label", &options.label}, {"--subscribe", &options.subscribe},
        {"--publish", &options.publish}, {"--publisher", &options.publisher}, {"--protocol", &options.protocol},
    };
    const struct { const char *name; double *at; } decimals[] = {
        {"--seconds", &options.seconds}, {"--warmup", &options.warmup}, {"--settle", &options.settle},
        {"--stall", &options.stall}, {"--rate", &options.rate},
    };
    const struct { const char *name; uint32_t *at; long least, most; } numbers[] = {
        {"--port", &options.port, 1, 65535}, {"--groups", &options.groups, 1, 100000},
        {"--members", &options.members, 1, 1000000}, {"--window", &options.window, 1, 100000},
        {"--size", &options.size, PAYLOAD_LEAST, PAYLOAD_MOST}, {"--concurrency", &options.concurrency, 1, 4096},
        {"--warm", &options.warm, 0, 100000}, {"--spin", &options.spin, 0, 1},
        {"--messages", &options.messages, 1, 10000000}, {"--also", &options.also, 0, 50},
        {"--whole", &options.whole, 0, 1},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!strcmp(name, texts[i].name)) return (void)(*texts[i].at = value);
    }
    for (size_t i = 0; i < sizeof decimals / sizeof *decimals; i++) {
        if (!strcmp(name, decimals[i].name)) return (void)(*decimals[i].at = atof(value));
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(name, numbers[i].name)) continue;
        return (void)(*numbers[i].at = number(name, value, numbers[i].least, numbers[i].most));
    }
    if (strcmp(name, "--pids")) die("there is no option %s", name);
    readProcesses(value);
}

int main(int count, char **arguments) {
    if (count % 2 == 0) die("options are pairs: --name value");
    for (int i = 1; i + 1 < count; i += 2) readOption(arguments[i], arguments[i + 1]);
    bool idle = !strcmp(options.mode, "idle"), waits = !strcmp(options.mode, "wait");
    if (!options.port) die("--port is missing");
    protocol = !strcmp(options.protocol, "json") ? JSON : !strcmp(options.protocol, "protobuf") ? PROTOBUF : PLAIN;
    if (protocol == PLAIN && strcmp(options.protocol, "plain")) die("--protocol wants plain, json or protobuf");
    if (strcmp(options.mode, "open")) options.rate = 0;
    memberCount = options.groups * options.members;
    endpointCount = memberCount + (idle || waits ? 0 : options.groups);
    if (options.warm >= memberCount) die("--warm must be less than the number of connections");
    needDescriptors(endpointCount);
    signal(SIGPIPE, SIG_IGN);
    poller = epoll_create1(EPOLL_CLOEXEC);
    endpoints = calloc(endpointCount, sizeof *endpoints);
    groups = calloc(options.groups, sizeof *groups);
    ready = calloc(options.groups, sizeof *ready);
    reached = calloc((size_t)options.groups * options.window, sizeof *reached);
    if (poller < 0 || !endpoints || !groups || !ready || !reached) die("no memory for %u connections", endpointCount);
    makeTemplate(model, options.size);

    struct result result = {0};
    uint32_t next = 0;
    openThrough(&next, options.warm);
    if (idle) turnFor(options.settle);
    result.memoryBefore = proportionalSetSize(&options.server);
    struct usage before = usageOf(&options.server);
    uint64_t start = monotonic();
    openThrough(&next, memberCount);
    result.handshakeSeconds = (double)(monotonic() - start) / 1e9;
    result.handshakeCPU = (double)(usageOf(&options.server).cpu - before.cpu) / 1e9;
    result.handshakes = memberCount - options.warm;
    openThrough(&next, endpointCount);
    turnFor(options.settle);
    result.memoryAfter = proportionalSetSize(&options.server);
    if (waits) waitForMessages(&result);
    else if (!idle) runMessages(&result);
    print(&result);
    return 0;
}
