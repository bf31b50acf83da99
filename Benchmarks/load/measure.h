/// What the load tool measures with: clocks, a server's CPU time and memory, a histogram of latencies.
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t nanoseconds(clockid_t clock) {
    struct timespec now;
    if (clock_gettime(clock, &now)) return 0;
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t monotonic(void) { return nanoseconds(CLOCK_MONOTONIC); }

// MARK: processes

enum { MAX_PROCESSES = 16 };

/// The processes that together are the server.
struct processes {
    int count;
    int ids[MAX_PROCESSES];
};

/// What they have used up so far, over all their threads, those that have ended too.
struct usage {
    uint64_t cpu;           // nanoseconds, user and system
    double user, system;    // seconds, in steps of a clock tick: only to tell how `cpu` divides
};

static inline struct usage usageOf(const struct processes *processes) {
    struct usage usage = {0};
    for (int i = 0; i < processes->count; i++) {
        clockid_t clock;
        if (clock_getcpuclockid(processes->ids[i], &clock) == 0) usage.cpu += nanoseconds(clock);
        char path[64], line[1024];
        snprintf(path, sizeof path, "/proc/%d/stat", processes->ids[i]);
        FILE *file = fopen(path, "r");
        if (!file) {
            fprintf(stderr, "load: the server's process %d is gone\n", processes->ids[i]);
            exit(1);
        }
        unsigned long user = 0, system = 0;
        // The name in parentheses may hold anything, so the fields are counted from the last parenthesis.
        char *rest = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
        if (rest) sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
        fclose(file);
        double tick = (double)sysconf(_SC_CLK_TCK);
        usage.user += (double)user / tick;
        usage.system += (double)system / tick;
    }
    return usage;
}

/// Proportional set size in KiB: private pages, and the share of the shared ones.
static inline long proportionalSetSize(const struct processes *processes) {
    long sum = 0;
    for (int i = 0; i < processes->count; i++) {
        char path[64], line[256];
        snprintf(path, sizeof path, "/proc/%d/smaps_rollup", processes->ids[i]);
        FILE *file = fopen(path, "r");
        long kilobytes;
        while (file && fgets(line, sizeof line, file)) {
            if (sscanf(line, "Pss: %ld kB", &kilobytes) == 1) sum += kilobytes;
        }
        if (file) fclose(file);
    }
    return sum;
}

// MARK: latencies

/// Counts per value on a scale with 32 steps per doubling, so that a percentile is at most 3.2 % off.
enum { STEPS = 32, BUCKETS = 64 * STEPS };

struct histogram {
    uint64_t counts[BUCKETS], total, max;
};

static inline unsigned bucketOf(uint64_t value) {
    if (value < STEPS) return (unsigned)value;
    unsigned doubling = 63 - (unsigned)__builtin_clzll(value) - 5;
    return doubling * STEPS + (unsigned)(value >> doubling);
}

static inline uint64_t upperBound(unsigned bucket) {
    if (bucket < 2 * STEPS) return bucket;
    unsigned doubling = bucket / STEPS - 1;
    return ((uint64_t)(bucket % STEPS + STEPS + 1) << doubling) - 1;
}

static inline void record(struct histogram *histogram, uint64_t value) {
    histogram->counts[bucketOf(value)]++;
    histogram->total++;
    if (value > histogram->max) histogram->max = value;
}

static inline uint64_t percentile(const struct histogram *histogram, double share) {
    uint64_t wanted = (uint64_t)((double)histogram->total * share), seen = 0;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        seen += histogram->counts[bucket];
        if (histogram->counts[bucket] && seen >= wanted) {
            return upperBound(bucket) < histogram->max ? upperBound(bucket) : histogram->max;
        }
    }
    return histogram->max;
}

#endif
