/// What RabbitMQ itself can do: one connection publishes with confirms, `window` of them under way, another consumes
/// without acknowledging. Nothing else happens to a message, so that this is the limit line of the layer's benchmark.
///
///     amqp_limit PORT MESSAGES WINDOW
///
/// Prints one line of JSON.

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include <amqp.h>
#include <amqp_tcp_socket.h>

static int port, messages, window;

static void die(const char *what) {
    fprintf(stderr, "amqp_limit: %s\n", what);
    exit(1);
}

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static amqp_connection_state_t connectBroker(void) {
    amqp_connection_state_t connection = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(connection);
    if (!socket || amqp_socket_open(socket, "127.0.0.1", port)) die("no broker is there");
    amqp_rpc_reply_t reply =
        amqp_login(connection, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest");
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) die("the broker refuses guest");
    amqp_channel_open(connection, 1);
    if (amqp_get_rpc_reply(connection).reply_type != AMQP_RESPONSE_NORMAL) die("no channel");
    return connection;
}

static uint64_t lastArrival;

static void *consume(void *argument) {
    amqp_connection_state_t connection = argument;
    for (int count = 0; count < messages; count++) {
        amqp_envelope_t envelope;
        amqp_maybe_release_buffers(connection);
        if (amqp_consume_message(connection, &envelope, NULL, 0).reply_type != AMQP_RESPONSE_NORMAL) die("consuming ended");
        amqp_destroy_envelope(&envelope);
    }
    lastArrival = nanoseconds(CLOCK_MONOTONIC);
    return NULL;
}

static bool *isConfirmed;  // by delivery tag
static uint64_t confirmed, allUpTo;

/// Confirms of single messages come in any order, and one may stand for all before it.
static void confirm(const amqp_basic_ack_t *ack) {
    for (uint64_t tag = ack->multiple ? allUpTo + 1 : ack->delivery_tag; tag <= ack->delivery_tag; tag++) {
        confirmed += !isConfirmed[tag];
        isConfirmed[tag] = true;
    }
    if (ack->multiple) allUpTo = ack->delivery_tag;
}

/// Reads confirms until at most `room` messages are without one.
static void awaitConfirms(amqp_connection_state_t connection, uint64_t sent, uint64_t room) {
    while (sent - confirmed > room) {
        amqp_frame_t frame;
        amqp_maybe_release_buffers(connection);
        if (amqp_simple_wait_frame(connection, &frame) != AMQP_STATUS_OK) die("publishing ended");
        if (frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.id != AMQP_BASIC_ACK_METHOD) continue;
        confirm(frame.payload.method.decoded);
    }
}

int main(int count, char **arguments) {
    if (count != 4) die("usage: amqp_limit PORT MESSAGES WINDOW");
    port = atoi(arguments[1]), messages = atoi(arguments[2]), window = atoi(arguments[3]);
    amqp_connection_state_t consumer = connectBroker(), publisher = connectBroker();

    amqp_bytes_t exchange = amqp_cstring_bytes("bench"), key = amqp_cstring_bytes("group");
    amqp_exchange_declare(consumer, 1, exchange, amqp_cstring_bytes("direct"), 0, 0, 1, 0, amqp_empty_table);
    amqp_queue_declare_ok_t *queue = amqp_queue_declare(consumer, 1, amqp_empty_bytes, 0, 0, 1, 1, amqp_empty_table);
    if (!queue) die("no queue");
    amqp_bytes_t name = amqp_bytes_malloc_dup(queue->queue);
    amqp_queue_bind(consumer, 1, name, exchange, key, amqp_empty_table);
    amqp_basic_consume(consumer, 1, name, amqp_empty_bytes, 0, 1, 0, amqp_empty_table);
    if (amqp_get_rpc_reply(consumer).reply_type != AMQP_RESPONSE_NORMAL) die("the queue cannot be read");
    amqp_confirm_select(publisher, 1);

    pthread_t thread;
    if (pthread_create(&thread, NULL, consume, consumer)) die("no thread");
    uint8_t body[100];
    memset(body, 'x', sizeof body);
    isConfirmed = calloc((size_t)messages + 1, sizeof *isConfirmed);
    if (!isConfirmed) die("no memory");
    uint64_t cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID), start = nanoseconds(CLOCK_MONOTONIC), sent = 0;
    while (sent < (uint64_t)messages) {
        awaitConfirms(publisher, sent, (uint64_t)window - 1);
        if (amqp_basic_publish(publisher, 1, exchange, key, 0, 0, NULL, (amqp_bytes_t){sizeof body, body})) {
            die("publishing failed");
        }
        sent++;
    }
    awaitConfirms(publisher, sent, 0);
    pthread_join(thread, NULL);
    double seconds = (double)(lastArrival - start) / 1e9;
    printf("{\"count\":%d,\"seconds\":%.4f,\"per_second\":%.0f,\"cpu\":%.3f}\n", messages, seconds, messages / seconds,
           (double)(nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e9);
    amqp_bytes_free(name);
    return 0;
}
