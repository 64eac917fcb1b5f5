#include "CKernels.h"
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

// Freed blocks wait in lists by size class: eight classes to each doubling, so at most an eighth is wasted. A block's first
// word links it to the next.

enum { classes = 512, huge = 4 << 20 };
static atomic_int lock;
static void *lists[classes];
static size_t live, pooled, peak, limit = (size_t)1 << 30;
static int isFixed;
static _Thread_local int64_t balance;

// Held for a few instructions by each allocation: a mutex would cost more than what it guards.
static void acquire(void) {
    for (int spin = 0; atomic_exchange_explicit(&lock, 1, memory_order_acquire); spin++)
        if (spin >= 100) sched_yield();
}

static void release(void) { atomic_store_explicit(&lock, 0, memory_order_release); }

static size_t classOf(size_t bytes, size_t *rounded) {
    size_t units = bytes <= 64 ? 1 : (bytes + 63) / 64;
    if (units <= 16) {
        *rounded = units * 64;
        return units;
    }
    int shift = 63 - __builtin_clzll(units) - 3;
    size_t step = (units + ((size_t)1 << shift) - 1) >> shift;  // 8 ... 16
    *rounded = (step << shift) * 64;
    return 16 + (size_t)shift * 8 + (step - 8);
}

void *ck_allocate(size_t bytes) {
    size_t size, class = classOf(bytes, &size);
    balance += (int64_t)size;
    acquire();
    void *block = lists[class];
    if (block) {
        lists[class] = *(void **)block;
        pooled -= size;
    }
    live += size;
    if (live > peak) peak = live;
    release();
    if (block) return block;
    if (posix_memalign(&block, size >= huge ? 2 << 20 : 64, size) != 0) {
        acquire();
        live -= size;
        release();
        balance -= (int64_t)size;
        return NULL;
    }
    if (size >= huge) madvise(block, size, MADV_HUGEPAGE);
    return block;
}

// What may wait for use: the limit or, unless that was set, as much as makes the most that was ever in use at once. A training whose
// steps need more than the limit would else give pages to the system in each of them, which clears them for the next.
static size_t most(void) { return !isFixed && peak > live + limit ? peak - live : limit; }

void ck_release(void *memory, size_t bytes) {
    size_t size, class = classOf(bytes, &size);
    balance -= (int64_t)size;
    acquire();
    live -= size;
    int keeps = pooled + size <= most();
    if (keeps) {
        *(void **)memory = lists[class];
        lists[class] = memory;
        pooled += size;
    }
    release();
    if (!keeps) free(memory);
}

void ck_limit_pool(size_t bytes) {
    acquire();
    limit = bytes;
    isFixed = 1;
    // Only what is kept now beyond the limit goes, whatever its size.
    void *surplus = NULL;
    for (size_t class = 1; class < classes && pooled > limit; class++) {
        size_t size = class <= 16 ? class * 64 : ((8 + (class - 16) % 8) << ((class - 16) / 8)) * 64;
        while (lists[class] && pooled > limit) {
            void *block = lists[class];
            lists[class] = *(void **)block;
            *(void **)block = surplus;
            surplus = block;
            pooled -= size;
        }
    }
    release();
    while (surplus) {
        void *next = *(void **)surplus;
        free(surplus);
        surplus = next;
    }
}

void ck_memory_use(size_t *liveBytes, size_t *pooledBytes, size_t *peakBytes) {
    acquire();
    *liveBytes = live;
    *pooledBytes = pooled;
    *peakBytes = peak;
    release();
}

int64_t ck_memory_of_thread(void) { return balance; }
