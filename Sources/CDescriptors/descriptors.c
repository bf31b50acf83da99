#define _GNU_SOURCE
#include "cdescriptors.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t cdescriptors_send_descriptor(int socket, const void *bytes, size_t length, int descriptor) {
    struct iovec vector = {.iov_base = (void *)bytes, .iov_len = length};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (descriptor >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
    }
    return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

ssize_t cdescriptors_receive_descriptor(int socket, void *bytes, size_t capacity, int *descriptor) {
    *descriptor = -1;
    struct iovec vector = {.iov_base = bytes, .iov_len = capacity};
    union {
        char bytes[CMSG_SPACE(8 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr message = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    ssize_t received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (received < 0) return received;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t index = 0; index < count; index++) {
            int passed;
            memcpy(&passed, CMSG_DATA(header) + index * sizeof(int), sizeof(int));
            if (*descriptor < 0) *descriptor = passed;
            else close(passed);
        }
    }
    return received;
}

int cdescriptors_open_process(int process) { return (int)syscall(SYS_pidfd_open, process, 0); }

int cdescriptors_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

static_assert((uint32_t)CDESCRIPTORS_READABLE == (uint32_t)EPOLLIN, "bits are epoll's own");
static_assert((uint32_t)CDESCRIPTORS_WRITABLE == (uint32_t)EPOLLOUT, "bits are epoll's own");
static_assert((uint32_t)CDESCRIPTORS_ERROR == (uint32_t)EPOLLERR, "bits are epoll's own");
static_assert((uint32_t)CDESCRIPTORS_HANGUP == (uint32_t)EPOLLHUP, "bits are epoll's own");
static_assert((uint32_t)CDESCRIPTORS_PEER_CLOSED == (uint32_t)EPOLLRDHUP, "bits are epoll's own");
static_assert((uint32_t)CDESCRIPTORS_EXCLUSIVE == (uint32_t)EPOLLEXCLUSIVE, "bits are epoll's own");
static_assert((uint32_t)CDESCRIPTORS_EDGE_TRIGGERED == (uint32_t)EPOLLET, "bits are epoll's own");

int cdescriptors_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

int cdescriptors_epoll_add(int epoll, int descriptor, uint32_t bits) {
    struct epoll_event event = {.events = bits, .data.fd = descriptor};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
}

int cdescriptors_epoll_change(int epoll, int descriptor, uint32_t bits) {
    struct epoll_event event = {.events = bits, .data.fd = descriptor};
    return epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event);
}

int cdescriptors_epoll_remove(int epoll, int descriptor) {
    struct epoll_event event = {0};
    return epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, &event);
}

int cdescriptors_epoll_wait(int epoll, struct cdescriptors_event *events, int capacity, int milliseconds) {
    struct epoll_event raw[128];
    if (capacity > 128) capacity = 128;
    int count = epoll_wait(epoll, raw, capacity, milliseconds);
    if (count < 0) return errno == EINTR ? 0 : -1;
    for (int index = 0; index < count; index++) {
        events[index].descriptor = raw[index].data.fd;
        events[index].bits = raw[index].events;
    }
    return count;
}

int cdescriptors_accept(int listener, void *peer, size_t capacity) {
    socklen_t length = (socklen_t)capacity;
    memset(peer, 0, capacity);
    return accept4(listener, peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

void cdescriptors_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

int cdescriptors_usable_cores(void) {
    cpu_set_t mask;
    if (sched_getaffinity(0, sizeof mask, &mask)) return -1;
    return CPU_COUNT(&mask);
}
