#define _GNU_SOURCE
#include "names.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

// One job at a time. `ticket` holds the job's number (high half) and what is taken of it (low half): of few indices a bit each, of
// many the next one. Who changes it owns an index, and because the number is part of it nobody can take an index of a job that is over.
// Of few indices a thread takes those of its own part first: from one job to the next they are the same rows of a picture, which its
// cache still holds.

#if MLOPS_X86
#define PAUSE() __builtin_ia32_pause()
#else
#define PAUSE() ((void)0)
#endif
enum { spins = 1500, most = 64, few = 31 };
static const uint64_t closed = UINT32_MAX;

static pthread_mutex_t oneJob = PTHREAD_MUTEX_INITIALIZER, lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER, finished = PTHREAD_COND_INITIALIZER;
static _Atomic uint64_t ticket = UINT32_MAX;
static _Atomic size_t total, done;
static _Atomic(ck_task) job;
static _Atomic(void *) argument;
static atomic_int sleepers, callerSleeps, wanted, started, levelLimit;
static _Thread_local int isInside, ownNumber;

// The first free index from that of the thread's own part on, as a bit; 0 if none is free.
static uint32_t freeBit(uint32_t taken, size_t count) {
    int threads = atomic_load(&wanted);
    size_t first = ownNumber < threads ? (size_t)ownNumber * count / (size_t)threads : 0;
    uint32_t free = ~taken & ((1u << count) - 1), later = free & ~((1u << first) - 1), from = later ? later : free;
    return from & -from;
}

static int claim(ck_task *task, void **context, size_t *index) {
    uint64_t now = atomic_load(&ticket), next;
    do {
        size_t count = atomic_load(&total);
        *task = atomic_load(&job);
        *context = atomic_load(&argument);
        if (count <= few) {
            uint32_t bit = freeBit((uint32_t)now, count);
            if (!bit) return 0;
            *index = (size_t)__builtin_ctz(bit);
            next = now | bit;
        } else {
            *index = (uint32_t)now;
            if (*index >= count) return 0;
            next = now + 1;
        }
    } while (!atomic_compare_exchange_weak(&ticket, &now, next));
    return 1;
}

static void work(void) {
    ck_task task;
    void *context;
    size_t index;
    while (claim(&task, &context, &index)) {
        size_t count = atomic_load(&total);
        ck_limit_level(atomic_load(&levelLimit));
        task(context, index);
        if (atomic_fetch_add(&done, 1) + 1 == count && atomic_load(&callerSleeps)) {
            pthread_mutex_lock(&lock);
            pthread_cond_signal(&finished);
            pthread_mutex_unlock(&lock);
        }
    }
}

static void *serve(void *number) {
    int self = (int)(intptr_t)number;
    uint64_t seen = 0;
    ownNumber = self;
    isInside = 1;
    for (;;) {
        for (int spin = 0; atomic_load(&ticket) >> 32 == seen && spin < spins; spin++) PAUSE();
        if (atomic_load(&ticket) >> 32 == seen || self >= atomic_load(&wanted)) {
            pthread_mutex_lock(&lock);
            atomic_fetch_add(&sleepers, 1);
            for (;;) {
                uint64_t now = atomic_load(&ticket) >> 32;
                if (now != seen && self < atomic_load(&wanted)) break;
                seen = now;
                pthread_cond_wait(&wake, &lock);
            }
            atomic_fetch_sub(&sleepers, 1);
            pthread_mutex_unlock(&lock);
        }
        seen = atomic_load(&ticket) >> 32;
        work();
    }
    return NULL;
}

static int limited(int count) { return count < 1 ? 1 : count > most ? most : count; }

static int wantedThreads(void) {
    int count = atomic_load(&wanted);
    if (count == 0) {
        cpu_set_t set;
        int available = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
        int expected = 0;
        atomic_compare_exchange_strong(&wanted, &expected, limited(available));
        count = atomic_load(&wanted);
    }
    return count;
}

int ck_threads(void) { return wantedThreads(); }

void ck_set_threads(int count) { atomic_store(&wanted, limited(count)); }

static void start(int count) {
    for (int number = atomic_load(&started) + 1; number < count; number++) {
        pthread_t thread;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&attributes, 4 << 20);
        int failed = pthread_create(&thread, &attributes, serve, (void *)(intptr_t)number);
        pthread_attr_destroy(&attributes);
        if (failed) break;  // the threads that there are share the work
        atomic_store(&started, number);
    }
}

void ck_parallel(size_t count, ck_task task, void *context) {
    int threads = wantedThreads();
    if (count < 2 || count >= UINT32_MAX || threads < 2 || isInside || pthread_mutex_trylock(&oneJob) != 0) {
        for (size_t index = 0; index < count; index++) task(context, index);
        return;
    }
    if (atomic_load(&started) + 1 < threads) start(threads);
    // Between jobs the ticket's index is `closed`, so that nobody can claim one while the fields change.
    atomic_store(&job, task);
    atomic_store(&argument, context);
    atomic_store(&levelLimit, ck_level_limit());
    atomic_store(&done, 0);
    atomic_store(&total, count);
    atomic_store(&ticket, ((atomic_load(&ticket) >> 32) + 1) << 32);
    if (atomic_load(&sleepers) > 0) {
        pthread_mutex_lock(&lock);
        pthread_cond_broadcast(&wake);
        pthread_mutex_unlock(&lock);
    }
    isInside = 1;
    work();
    isInside = 0;
    for (int spin = 0; atomic_load(&done) < count && spin < spins; spin++) PAUSE();
    if (atomic_load(&done) < count) {
        pthread_mutex_lock(&lock);
        atomic_store(&callerSleeps, 1);
        while (atomic_load(&done) < count) pthread_cond_wait(&finished, &lock);
        atomic_store(&callerSleeps, 0);
        pthread_mutex_unlock(&lock);
    }
    atomic_fetch_or(&ticket, closed);
    pthread_mutex_unlock(&oneJob);
}
