#ifndef FAULTS_SHIM_H
#define FAULTS_SHIM_H

#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>

#define RECORD_MAGIC 0x6c746166u

enum action { ACTION_NONE, ACTION_KILL, ACTION_KILL_HALF, ACTION_KILL_AFTER, ACTION_SHORT, ACTION_FAIL };

struct settings {
    char roots[4 * PATH_MAX];
    int counts_reads;
    uint64_t at;
    enum action action;
    int error;
    int is_lasting;
    uint64_t *counter;
    uint64_t own_count;
    int log;
    int names;
    pthread_mutex_t order;
};

extern struct settings faults;

/// One call, as the wrapper describes it.
struct call {
    const char *call_name;
    int is_read;
    /// The path: `name` below `directory`; without a name the descriptor's own.
    int directory;
    const char *name;
    /// The second path of a rename or link, or null.
    int other_directory;
    const char *other_name;
    /// The file that is written, or -1.
    int descriptor;
    int makes_descriptor;
    /// Whether a link at the path is followed.
    int follows;
    int flags;
    /// Where a write goes; -1 for the file's position.
    int64_t offset;
    /// What a write writes; null when the kernel copies. `length` may be halved.
    const void *data;
    size_t *length;
    /// The target of a symbolic link.
    const char *text;
    // Filled by call_begin:
    uint64_t number;
    char path[PATH_MAX];
    char other_path[PATH_MAX];
};

/// In the log before: name, path, other path, data.
struct record {
    uint32_t magic, flags;
    uint64_t number;
    int64_t result;
    uint64_t inode;
    int64_t offset;
    uint64_t data_length;
    uint32_t error, name_length, path_length, other_length;
};

/// 0 to go on, -1 to return -1 with errno as it is.
int call_begin(struct call *call);
/// Notes what came out, and returns it.
long call_end(struct call *call, long result);
void write_record(struct call *call, long result, int error);
void faults_prepare(void);
void find_real_functions(void);
extern long (*real_syscall)(long number, ...);

#endif
