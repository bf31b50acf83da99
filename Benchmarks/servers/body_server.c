/// The upstream of the body benchmark: takes what it is sent, and gives as many bytes as the path says. One thread.
///
///     body_server PORT        GET /bytes/102400    POST /bytes/12
///
/// Requests have a Content-Length or no body; they are answered when all of it has come. No limits, no checks.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, HEAD_BYTES = 8192, PIECE_BYTES = 1 << 18 };

struct connection {
    int fd;
    char head[HEAD_BYTES];
    size_t headLength;
    size_t toRead;     // of the request's body
    size_t toSend;     // of the answer's body
    char answer[128];  // its head
    size_t answerStart, answerEnd;
    int isAnswering;
};

static char piece[PIECE_BYTES];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/// 0 when the connection is to be closed.
static int answer(struct connection *c) {
    while (c->answerStart < c->answerEnd || c->toSend > 0) {
        int isHead = c->answerStart < c->answerEnd;
        const char *from = isHead ? c->answer + c->answerStart : piece;
        size_t length = isHead ? c->answerEnd - c->answerStart : c->toSend < PIECE_BYTES ? c->toSend : PIECE_BYTES;
        ssize_t sent = send(c->fd, from, length, MSG_NOSIGNAL | (isHead && c->toSend ? MSG_MORE : 0));
        if (sent < 0) return errno == EAGAIN;
        if (isHead) c->answerStart += (size_t)sent;
        else c->toSend -= (size_t)sent;
    }
    c->isAnswering = 0;
    return 1;
}

/// Begins to answer once the whole head is there.
static void begin(struct connection *c, char *end) {
    *end = 0;
    const char *bytes = strstr(c->head, "/bytes/"), *length = strcasestr(c->head, "\ncontent-length:");
    c->toRead = length ? strtoul(length + 16, NULL, 10) : 0;
    c->toSend = bytes ? strtoul(bytes + 7, NULL, 10) : 0;
    c->answerStart = 0;
    c->answerEnd = (size_t)snprintf(
        c->answer, sizeof c->answer, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
        c->toSend);
    size_t rest = c->headLength - (size_t)(end + 4 - c->head);
    if (rest > c->toRead) rest = c->toRead;
    c->toRead -= rest;
    c->headLength = 0;
    c->isAnswering = 1;
}

static int serve(struct connection *c) {
    while (1) {
        if (c->isAnswering && c->toRead == 0) {
            if (!answer(c)) return 0;
            if (c->isAnswering) return 1;
        }
        ssize_t got;
        if (c->isAnswering) {
            got = recv(c->fd, NULL, c->toRead, MSG_TRUNC);  // TCP throws them away without a copy
            if (got > 0) c->toRead -= (size_t)got;
        } else {
            got = recv(c->fd, c->head + c->headLength, HEAD_BYTES - 1 - c->headLength, 0);
            if (got > 0) {
                c->headLength += (size_t)got;
                c->head[c->headLength] = 0;
                char *end = strstr(c->head, "\r\n\r\n");
                if (end) begin(c, end);
                else if (c->headLength == HEAD_BYTES - 1) return 0;
            }
        }
        if (got <= 0) return got < 0 && errno == EAGAIN;
    }
}

int main(int count, char **words) {
    if (count != 2) return 2;
    signal(SIGPIPE, SIG_IGN);
    memset(piece, 'x', sizeof piece);
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) fail("listen");
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    while (1) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) {
                int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (fd < 0) continue;
                c = calloc(1, sizeof *c);
                if (!c) fail("calloc");
                c->fd = fd;
                event = (struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
                epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
            } else if (!serve(c)) {
                close(c->fd);
                free(c);
            }
        }
    }
}
