/// The message every server carries: JSON of a fixed length, whose changing digits stand at fixed places.
///
///     {"s":1000000042,"g":1000007,"t":1000000012345678901,"p":"xxxx…"}
///
/// s = 1e9 + the message's number in its group, g = 1e6 + the group, t = 1e18 + nanoseconds when it was sent.
/// The leading 1 keeps the width fixed without a leading zero, which JSON forbids.
#ifndef BENCH_PAYLOAD_H
#define BENCH_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
    NUMBER_AT = 6, NUMBER_DIGITS = 9, GROUP_AT = 21, GROUP_DIGITS = 6, TIME_AT = 33, TIME_DIGITS = 18,
    PADDING_AT = 57, PAYLOAD_LEAST = 64, PAYLOAD_MOST = 65000,
};

static inline void writeDigits(uint8_t *at, int digits, uint64_t value) {
    for (int i = digits; i-- > 0; value /= 10) at[i] = (uint8_t)('0' + value % 10);
}

static inline uint64_t readDigits(const uint8_t *at, int digits) {
    uint64_t value = 0;
    for (int i = 0; i < digits; i++) value = value * 10 + (uint8_t)(at[i] - '0');
    return value;
}

static inline void makeTemplate(uint8_t *payload, size_t length) {
    memset(payload, 'x', length);
    static const char start[] = "{\"s\":1000000000,\"g\":1000000,\"t\":1000000000000000000,\"p\":\"";
    memcpy(payload, start, sizeof start - 1);
    memcpy(payload + length - 2, "\"}", 2);
}

/// Whether everything but the digits is as in the template.
static inline bool matchesTemplate(const uint8_t *payload, const uint8_t *model, size_t length) {
    return !memcmp(payload, model, NUMBER_AT) &&
           !memcmp(payload + NUMBER_AT + NUMBER_DIGITS, model + NUMBER_AT + NUMBER_DIGITS, 6) &&
           !memcmp(payload + PADDING_AT, model + PADDING_AT, length - PADDING_AT);
}

#endif
