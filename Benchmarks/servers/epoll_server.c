/// The limit lines of the fan-out benchmark: what a WebSocket server costs that does nothing but its system calls.
///
///     epoll_server plain|batch PORT
///
/// One thread, one epoll, no library. `plain` makes one send() per connection and message. `batch` joins what
/// arrived for a group in one turn of the loop and makes one send() per connection of the group.
///
/// A socket on /channels/groups/NAME follows the group NAME; a text frame that arrives on
/// /channels/publish/NAME goes to the group NAME: the same paths that Carillon is measured with.
/// No limits, no UTF-8 check, no fragments, no idle time: it is a yardstick and not a server for the network.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sha1.h"

enum { INPUT_BYTES = 1 << 17, BACKLOG_LIMIT = 1 << 24, EVENTS = 1024, HEADER_ROOM = 10 };

enum kind { FREE, HANDSHAKE, FOLLOWER, PUBLISHER };

/// What a full socket could not take yet.
struct backlog {
    size_t start, end, capacity;
    uint8_t bytes[];
};

/// One per descriptor, in a table indexed by it: this is all that an idle connection costs.
struct connection {
    uint8_t kind;
    uint32_t partialLength;
    uint32_t group, slot;
    uint8_t *partial;  // the start of a head or frame whose end has not arrived
    struct backlog *backlog;
};

struct group {
    char *name;
    int *members;
    uint32_t count, capacity;
    bool dirty;
    uint8_t *joined;  // batch: the frames of this turn
    size_t joinedLength, joinedCapacity;
};

static struct connection *connections;
static size_t connectionCapacity;
static struct group *groups;
static uint32_t groupCount, groupCapacity;
static uint32_t *dirty;
static uint32_t dirtyCount;
static bool batch;
static int poller;
/// Room for a partial input in front, so that what is read next continues it in place.
static uint8_t input[2 * INPUT_BYTES];

static void *room(void *old, size_t bytes) {
    void *p = realloc(old, bytes);
    if (!p) {
        fprintf(stderr, "epoll_server: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    return p;
}

// MARK: groups

/// Looked up once per handshake; a linear search would cost the 11 000 handshakes of 1 000 groups too much.
static uint32_t *groupIndex;
static const uint32_t groupIndexSize = 1 << 16;

static uint32_t groupNamed(const char *name, size_t length) {
    if (!groupIndex) groupIndex = calloc(groupIndexSize, sizeof *groupIndex);
    if (!groupIndex || groupCount * 2 > groupIndexSize) {
        fprintf(stderr, "epoll_server: more than %u groups\n", groupIndexSize / 2);
        exit(1);
    }
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++) hash = (hash ^ (uint8_t)name[i]) * 16777619u;
    uint32_t at = hash % groupIndexSize;
    for (; groupIndex[at]; at = (at + 1) % groupIndexSize) {
        struct group *g = &groups[groupIndex[at] - 1];
        if (strlen(g->name) == length && !memcmp(g->name, name, length)) return groupIndex[at] - 1;
    }
    if (groupCount == groupCapacity) {
        groupCapacity = groupCapacity ? groupCapacity * 2 : 64;
        groups = room(groups, groupCapacity * sizeof *groups);
        dirty = room(dirty, groupCapacity * sizeof *dirty);
    }
    groups[groupCount] = (struct group){.name = strndup(name, length)};
    groupIndex[at] = ++groupCount;
    return groupCount - 1;
}

static void follow(int fd, uint32_t group) {
    struct group *g = &groups[group];
    if (g->count == g->capacity) {
        g->capacity = g->capacity ? g->capacity * 2 : 16;
        g->members = room(g->members, g->capacity * sizeof *g->members);
    }
    connections[fd].slot = g->count;
    g->members[g->count++] = fd;
}

/// The last member takes the place of the one that goes. Passes over members run backwards for this reason.
static void unfollow(int fd) {
    struct connection *c = &connections[fd];
    struct group *g = &groups[c->group];
    int last = g->members[--g->count];
    g->members[c->slot] = last;
    connections[last].slot = c->slot;
}

// MARK: sending

static void end(int fd) {
    struct connection *c = &connections[fd];
    if (c->kind == FOLLOWER) unfollow(fd);
    free(c->partial);
    free(c->backlog);
    *c = (struct connection){0};
    close(fd);
}

static bool wait_for(int fd, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(poller, EPOLL_CTL_MOD, fd, &event) == 0;
}

static void keep(int fd, const uint8_t *bytes, size_t length) {
    struct connection *c = &connections[fd];
    struct backlog *b = c->backlog;
    size_t waiting = b ? b->end - b->start : 0;
    if (waiting + length > BACKLOG_LIMIT) return end(fd);
    if (!b || b->end + length > b->capacity) {
        size_t capacity = (waiting + length) * 2;
        struct backlog *larger = room(NULL, sizeof *larger + capacity);
        *larger = (struct backlog){.end = waiting, .capacity = capacity};
        if (waiting) memcpy(larger->bytes, b->bytes + b->start, waiting);
        free(b);
        c->backlog = b = larger;
    }
    memcpy(b->bytes + b->end, bytes, length);
    b->end += length;
    if (!waiting && !wait_for(fd, EPOLLIN | EPOLLOUT)) end(fd);
}

static void transmit(int fd, const uint8_t *bytes, size_t length) {
    if (connections[fd].backlog) return keep(fd, bytes, length);
    ssize_t sent = send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent == (ssize_t)length) return;
    if (sent < 0 && errno != EAGAIN) return end(fd);
    if (sent < 0) sent = 0;
    keep(fd, bytes + sent, length - (size_t)sent);
}

static void drain(int fd) {
    struct connection *c = &connections[fd];
    struct backlog *b = c->backlog;
    if (!b) return;
    ssize_t sent = send(fd, b->bytes + b->start, b->end - b->start, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return end(fd);
    if (sent > 0) b->start += (size_t)sent;
    if (b->start < b->end) return;
    free(b);
    c->backlog = NULL;
    if (!wait_for(fd, EPOLLIN)) end(fd);
}

static void transmitToMembers(struct group *g, const uint8_t *bytes, size_t length) {
    for (uint32_t i = g->count; i-- > 0;) transmit(g->members[i], bytes, length);
}

static size_t frameHeader(uint8_t *header, uint8_t opcode, size_t length) {
    header[0] = 0x80 | opcode;
    if (length < 126) {
        header[1] = (uint8_t)length;
        return 2;
    }
    if (length < 65536) {
        header[1] = 126, header[2] = (uint8_t)(length >> 8), header[3] = (uint8_t)length;
        return 4;
    }
    header[1] = 127;
    for (int i = 0; i < 8; i++) header[2 + i] = (uint8_t)((uint64_t)length >> (56 - 8 * i));
    return 10;
}

/// Sends a frame whose payload has `HEADER_ROOM` bytes free in front of it.
static void publish(uint32_t group, uint8_t *payload, size_t length) {
    uint8_t header[HEADER_ROOM];
    size_t headerLength = frameHeader(header, 1, length);
    struct group *g = &groups[group];
    if (!batch) {
        memcpy(payload - headerLength, header, headerLength);
        return transmitToMembers(g, payload - headerLength, headerLength + length);
    }
    if (!g->dirty) g->dirty = true, dirty[dirtyCount++] = group;
    if (g->joinedLength + headerLength + length > g->joinedCapacity) {
        g->joinedCapacity = (g->joinedLength + headerLength + length) * 2;
        g->joined = room(g->joined, g->joinedCapacity);
    }
    memcpy(g->joined + g->joinedLength, header, headerLength);
    memcpy(g->joined + g->joinedLength + headerLength, payload, length);
    g->joinedLength += headerLength + length;
}

static void flushTurn(void) {
    for (uint32_t i = 0; i < dirtyCount; i++) {
        struct group *g = &groups[dirty[i]];
        transmitToMembers(g, g->joined, g->joinedLength);
        g->joinedLength = 0;
        g->dirty = false;
    }
    dirtyCount = 0;
}

// MARK: receiving

/// Answers a complete request head. Returns whether the connection is a WebSocket now.
static bool upgrade(int fd, char *head) {
    struct connection *c = &connections[fd];
    static const char groupsPath[] = "GET /channels/groups/", publishPath[] = "GET /channels/publish/";
    const char *name = NULL;
    uint8_t kind = FREE;
    if (!strncmp(head, groupsPath, sizeof groupsPath - 1)) name = head + sizeof groupsPath - 1, kind = FOLLOWER;
    if (!strncmp(head, publishPath, sizeof publishPath - 1)) name = head + sizeof publishPath - 1, kind = PUBLISHER;
    static const char keyName[] = "\r\nsec-websocket-key:";
    char *key = strcasestr(head, keyName);
    if (!name || !key) {
        static const char no[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        (void)!send(fd, no, sizeof no - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        return false;
    }
    key += sizeof keyName - 1;
    key += strspn(key, " \t");
    char salted[128], accept[32], answer[256];
    int saltedLength = snprintf(salted, sizeof salted, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
                                (int)strcspn(key, " \t\r\n"), key);
    uint8_t digest[20];
    sha1(salted, (size_t)saltedLength, digest);
    base64(digest, sizeof digest, accept);
    int length = snprintf(answer, sizeof answer,
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Accept: %s\r\n\r\n", accept);
    c->group = groupNamed(name, strcspn(name, " ?"));
    c->kind = kind;
    if (kind == FOLLOWER) follow(fd, c->group);
    transmit(fd, (uint8_t *)answer, (size_t)length);
    return connections[fd].kind != FREE;
}

/// Takes one client frame. Returns its length, 0 when its end is missing, -1 when the connection is over.
static ssize_t takeFrame(int fd, uint8_t *bytes, size_t length) {
    if (length < 2) return 0;
    bool complete = bytes[0] & 0x80, masked = bytes[1] & 0x80;
    uint8_t opcode = bytes[0] & 15;
    uint64_t payload = bytes[1] & 127;
    size_t header = 2;
    if (!complete || !masked || opcode == 0 || payload == 127) return -1;
    if (payload == 126) {
        if (length < 4) return 0;
        payload = (uint64_t)bytes[2] << 8 | bytes[3];
        header = 4;
    }
    header += 4;
    if (length < header + payload) return 0;
    uint8_t *data = bytes + header;
    uint8_t mask[8];
    memcpy(mask, data - 4, 4);
    memcpy(mask + 4, data - 4, 4);
    uint64_t wide;
    memcpy(&wide, mask, 8);
    size_t i = 0;
    for (; i + 8 <= payload; i += 8) {
        uint64_t word;
        memcpy(&word, data + i, 8);
        word ^= wide;
        memcpy(data + i, &word, 8);
    }
    for (; i < payload; i++) data[i] ^= mask[i & 3];
    struct connection *c = &connections[fd];
    if (opcode == 8) return -1;
    if (opcode == 9 && payload < 126) {
        uint8_t pong[HEADER_ROOM + 125];
        size_t pongHeader = frameHeader(pong, 10, payload);
        memcpy(pong + pongHeader, data, payload);
        transmit(fd, pong, pongHeader + payload);
        if (c->kind == FREE) return -1;
    }
    // The header just read is at least as long as the one that publish() writes over it.
    if (opcode == 1 && c->kind == PUBLISHER) publish(c->group, data, payload);
    return (ssize_t)(header + payload);
}

static void receive(int fd) {
    struct connection *c = &connections[fd];
    // HEADER_ROOM: publish() may write a header in front of the first payload.
    uint8_t *start = input + HEADER_ROOM;
    size_t length = c->partialLength;
    if (length) memcpy(start, c->partial, length);
    ssize_t got = recv(fd, start + length, INPUT_BYTES, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return end(fd);
    length += (size_t)got;
    size_t taken = 0;
    if (c->kind == HANDSHAKE) {
        start[length] = 0;
        char *headEnd = strstr((char *)start, "\r\n\r\n");
        if (!headEnd && length > 16384) return end(fd);
        if (headEnd) {
            headEnd[2] = 0;
            if (!upgrade(fd, (char *)start)) return end(fd);
            taken = (size_t)(headEnd - (char *)start) + 4;
        }
    }
    while (c->kind != HANDSHAKE && taken < length) {
        ssize_t frame = takeFrame(fd, start + taken, length - taken);
        if (c->kind == FREE) return;
        if (frame < 0) return end(fd);
        if (frame == 0) break;
        taken += (size_t)frame;
    }
    if (length == taken) {
        if (c->partialLength) free(c->partial), c->partial = NULL, c->partialLength = 0;
        return;
    }
    c->partialLength = (uint32_t)(length - taken);
    c->partial = room(c->partial, c->partialLength);
    memcpy(c->partial, start + taken, c->partialLength);
}

static void acceptAll(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE) {
                fprintf(stderr, "epoll_server: no descriptor is left for another connection (ulimit -n)\n");
                exit(1);
            }
            return;
        }
        if ((size_t)fd >= connectionCapacity) {
            close(fd);
            continue;
        }
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connections[fd] = (struct connection){.kind = HANDSHAKE};
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) end(fd);
    }
}

int main(int count, char **arguments) {
    if (count != 3 || (strcmp(arguments[1], "plain") && strcmp(arguments[1], "batch"))) {
        fprintf(stderr, "usage: epoll_server plain|batch PORT\n");
        return 2;
    }
    batch = !strcmp(arguments[1], "batch");
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    connectionCapacity = files.rlim_max < 1 << 20 ? files.rlim_max : 1 << 20;
    connections = calloc(connectionCapacity, sizeof *connections);

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[2])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (!connections || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        fprintf(stderr, "epoll_server: cannot listen on 127.0.0.1:%s: %s\n", arguments[2], strerror(errno));
        return 1;
    }
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(poller, events, EVENTS, -1);
        bool newcomers = false;
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                newcomers = true;
                continue;
            }
            if (connections[fd].kind != FREE && events[i].events & EPOLLOUT) drain(fd);
            if (connections[fd].kind != FREE && events[i].events & ~EPOLLOUT) receive(fd);
        }
        flushTurn();
        // Last, so that no event of this turn can mean a newcomer that got the descriptor of one who left.
        if (newcomers) acceptAll(listener);
    }
}
