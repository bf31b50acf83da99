// System calls that Swift cannot import, because they are macros or variadic.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// Sends `length` bytes and, when `descriptor` is not negative, that descriptor beside them (SCM_RIGHTS).
/// Never blocks, never raises SIGPIPE. Returns the bytes sent, or -1 with errno.
ssize_t cdescriptors_send_descriptor(int socket, const void *bytes, size_t length, int descriptor);

/// Receives up to `capacity` bytes and at most one descriptor, close-on-exec. `*descriptor` is -1 when none came.
/// Further descriptors in the same message are closed. Returns the bytes received, 0 at the end, or -1 with errno.
ssize_t cdescriptors_receive_descriptor(int socket, void *bytes, size_t capacity, int *descriptor);

/// A new eventfd, non-blocking and close-on-exec, or -1 with errno.
int cdescriptors_eventfd(void);

/// What an epoll instance reports of one descriptor. The bits are the ones of `cdescriptors_event_bits`.
struct cdescriptors_event {
    int descriptor;
    uint32_t bits;
};

/// Bits of an epoll registration or event, under names Swift can import (EPOLLET is a macro with a cast).
enum cdescriptors_event_bits : uint32_t {
    CDESCRIPTORS_READABLE = 0x001,
    CDESCRIPTORS_WRITABLE = 0x004,
    CDESCRIPTORS_ERROR = 0x008,
    CDESCRIPTORS_HANGUP = 0x010,
    CDESCRIPTORS_PEER_CLOSED = 0x2000,
    CDESCRIPTORS_EXCLUSIVE = 1u << 28,
    CDESCRIPTORS_EDGE_TRIGGERED = 1u << 31,
};

/// A new epoll instance, close-on-exec, or -1 with errno.
int cdescriptors_epoll_create(void);
/// Watches `descriptor` for `bits`. Returns 0, or -1 with errno.
int cdescriptors_epoll_add(int epoll, int descriptor, uint32_t bits);
/// Watches `descriptor`, which is watched already, for `bits` instead. Returns 0, or -1 with errno.
int cdescriptors_epoll_change(int epoll, int descriptor, uint32_t bits);
/// No longer watches `descriptor`. Returns 0, or -1 with errno.
int cdescriptors_epoll_remove(int epoll, int descriptor);
/// Waits for at most `milliseconds` (-1: for ever) and fills up to `capacity` (at most 128) events.
/// Returns how many, 0 when interrupted by a signal, or -1 with errno.
int cdescriptors_epoll_wait(int epoll, struct cdescriptors_event *events, int capacity, int milliseconds);

/// Accepts one connection, non-blocking and close-on-exec, with its peer's address in the `capacity` bytes at `peer`
/// (a `struct sockaddr_storage`). Returns it, or -1 with errno.
int cdescriptors_accept(int listener, void *peer, size_t capacity);

/// A descriptor that stands for a process, and is readable when it has ended (pidfd_open); -1 with errno.
int cdescriptors_open_process(int process);

/// Processor cores that the calling thread may run on (its affinity mask), or -1 with errno.
int cdescriptors_usable_cores(void);

/// Names the calling thread, in at most 15 bytes; longer names are not taken.
void cdescriptors_name_thread(const char *name);
