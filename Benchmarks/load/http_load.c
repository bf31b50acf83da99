/// Asks for a path so many times a second, whatever comes back, on kept-alive connections, and tells how long the answers
/// took from the moment each request was due. One thread.
///
///     http_load PORT PATH CONNECTIONS RATE SECONDS        {"requests": …, "p50_us": …, "p99_us": …}

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_BYTES = 16384, CONNECTIONS = 1024 };

struct connection {
    int fd;
    int64_t due;
    char answer[ANSWER_BYTES];
    size_t length;
};

static struct connection connections[CONNECTIONS];
static struct connection *idle[CONNECTIONS];
static int idleCount;

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int compare(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/// Whether the answer is whole.
static int receive(struct connection *c) {
    ssize_t got = recv(c->fd, c->answer + c->length, ANSWER_BYTES - 1 - c->length, MSG_DONTWAIT);
    if (got <= 0) {
        if (got < 0 && errno == EAGAIN) return 0;
        fprintf(stderr, "the server closed a connection\n");
        exit(1);
    }
    c->length += (size_t)got;
    c->answer[c->length] = 0;
    char *end = strstr(c->answer, "\r\n\r\n"), *field = strcasestr(c->answer, "\ncontent-length:");
    if (!end || !field) return 0;
    return c->length >= (size_t)(end + 4 - c->answer) + strtoul(field + 16, NULL, 10);
}

int main(int count, char **words) {
    if (count != 6) return 2;
    int wanted = atoi(words[3]);
    double rate = atof(words[4]), seconds = atof(words[5]);
    if (wanted < 1 || wanted > CONNECTIONS || rate <= 0) return 2;
    prctl(PR_SET_TIMERSLACK, 1);
    char request[512];
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", words[2]);
    int epoll = epoll_create1(0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < wanted; i++) {
        struct connection *c = &connections[i];
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
        idle[idleCount++] = c;
    }
    size_t capacity = (size_t)(rate * seconds) + 1, answered = 0, warm = 0;
    int64_t *times = calloc(capacity, sizeof *times), start = now(), last = start;
    if (!times) fail("calloc");
    int64_t sent = 0, end = start + (int64_t)(seconds * 1e9), warmEnd = start + 500000000;
    while ((last = now()) < end) {
        int64_t due = start + (int64_t)((double)sent * 1e9 / rate);
        while (due <= last && idleCount > 0) {
            struct connection *c = idle[--idleCount];
            c->due = due;
            c->length = 0;
            if (send(c->fd, request, (size_t)length, MSG_NOSIGNAL) != length) fail("send");
            due = start + (int64_t)((double)++sent * 1e9 / rate);
        }
        int64_t pause = idleCount > 0 && due > last ? due - last : idleCount > 0 ? 0 : 1000000;
        struct timespec time = {.tv_sec = pause / 1000000000, .tv_nsec = pause % 1000000000};
        struct epoll_event events[256];
        int ready = epoll_pwait2(epoll, events, 256, &time, NULL);
        int64_t came = now();
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (!receive(c)) continue;
            idle[idleCount++] = c;
            if (c->due < warmEnd) warm++;
            else if (answered < capacity) times[answered++] = came - c->due;
        }
    }
    if (!answered) return 1;
    qsort(times, answered, sizeof *times, compare);
    printf("{\"requests\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", answered + warm, (double)times[answered / 2] / 1e3,
           (double)times[answered * 99 / 100] / 1e3);
}
