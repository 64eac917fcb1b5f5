#include "names.h"
#include <stdatomic.h>

// -1 until the processor was asked.
static atomic_int chosen = -1;

static int best(void) {
#if MLOPS_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl"))
        return 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
    return 0;
}

// Of this thread and of the pool's threads while they work for it.
static _Thread_local int limit = 2;

int ck_level(void) {
    int level = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (level < 0) {
        level = best();
        atomic_store_explicit(&chosen, level, memory_order_relaxed);
    }
    return level < limit ? level : limit;
}

int ck_level_limit(void) { return limit; }
void ck_limit_level(int level) { limit = level; }

static _Thread_local int isRecording = 1;
int ck_recording(void) { return isRecording; }
void ck_set_recording(int recording) { isRecording = recording; }

static _Thread_local int autocast = -1;
int ck_autocast(void) { return autocast; }
void ck_set_autocast(int dtype) { autocast = dtype; }
