// A wall clock that jumps back and forth, loaded with LD_PRELOAD; the monotonic clock, and the kernel's that stamps files, stay right.
//
//   CLOCK_SEED    the jumps are drawn from it: up to a year, every few readings, for all threads together
//   CLOCK_OFFSET  instead: seconds that the clock is off all the time
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t jumps[] = {0, 31536000, -31536000, 1, -1, 3600, -3600, 15 * 86400, -15 * 86400, 0};

static int64_t offset_now(void) {
    static uint64_t readings;
    static int is_ready, is_fixed;
    static int64_t fixed;
    static uint64_t seed;
    if (!is_ready) {
        const char *offset = getenv("CLOCK_OFFSET"), *text = getenv("CLOCK_SEED");
        if (offset) fixed = strtoll(offset, NULL, 10);
        if (text) seed = strtoull(text, NULL, 10);
        is_fixed = offset || !text;
        is_ready = 1;
    }
    if (is_fixed) return fixed;
    // SplitMix64.
    uint64_t value = seed + (__atomic_fetch_add(&readings, 1, __ATOMIC_RELAXED) / 4 + 1) * 0x9E3779B97F4A7C15u;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
    return jumps[(value ^ (value >> 31)) % (sizeof jumps / sizeof *jumps)];
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    long result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += offset_now();
    return (int)result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}
