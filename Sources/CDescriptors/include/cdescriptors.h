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
