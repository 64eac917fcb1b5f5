// Numbers the calls of a process that change files below some folders, and makes the N-th of them fail; see Documentation/durability.md.
//
// Loaded with LD_PRELOAD. What it does is set by environment variables:
//   FAULTS_ROOT     folders, separated by colons; calls on anything else pass untouched
//   FAULTS_COUNTER  a file of 8 bytes that holds the count, shared by all threads and children
//   FAULTS_CALLS    `changes` (default) or `reads`: which calls are numbered
//   FAULTS_AT       the number of the call to which FAULTS_ACTION happens, from 1
//   FAULTS_ACTION   kill (before the call), kill-half (after half of a write), kill-after, short (half of a write), or the
//                   name of an error: EIO, ENOSPC, EINTR, EMFILE, EROFS
//   FAULTS_LASTING  1: from that call on, not only once (short: then ENOSPC)
//   FAULTS_LOG      a file that gets a record of each numbered call, with its data, for the replay
//   FAULTS_NAMES    a file that gets one line for each numbered call: its number, its name and its path
//
// Not numbered: stores into memory-mapped files. Only SQLite's `-shm` is mapped for writing; it is made anew from the WAL by
// the first process that opens the database, so what is in it never matters after a death.
#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct settings faults;

static const struct { const char *name; int number; } errors[] = {
    {"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EINTR", EINTR}, {"EMFILE", EMFILE}, {"EROFS", EROFS}};

static void fail_setup(const char *what) {
    fprintf(stderr, "faults: %s: %s\n", what, strerror(errno));
    _exit(99);
}

static int open_own(const char *variable) {
    const char *path = getenv(variable);
    if (!path) return -1;
    int file = (int)real_syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) fail_setup(path);
    // Out of the way of the process's own descriptors, which a test may limit.
    int high = fcntl(file, F_DUPFD_CLOEXEC, 20);
    if (high < 0) return file;
    real_syscall(SYS_close, file);
    return high;
}

static void read_action(void) {
    const char *action = getenv("FAULTS_ACTION");
    const char *at = getenv("FAULTS_AT");
    if (!action || !at) return;
    faults.at = strtoull(at, NULL, 10);
    const char *lasting = getenv("FAULTS_LASTING");
    faults.is_lasting = lasting && *lasting == '1';
    if (!strcmp(action, "kill")) faults.action = ACTION_KILL;
    if (!strcmp(action, "kill-half")) faults.action = ACTION_KILL_HALF;
    if (!strcmp(action, "kill-after")) faults.action = ACTION_KILL_AFTER;
    if (!strcmp(action, "short")) faults.action = ACTION_SHORT;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (!strcmp(action, errors[i].name)) {
            faults.action = ACTION_FAIL;
            faults.error = errors[i].number;
        }
    errno = EINVAL;
    if (faults.action == ACTION_NONE) fail_setup(action);
}

static void set_up(void) {
    find_real_functions();
    const char *roots = getenv("FAULTS_ROOT");
    if (roots) snprintf(faults.roots, sizeof faults.roots, "%s", roots);
    const char *calls = getenv("FAULTS_CALLS");
    faults.counts_reads = calls && !strcmp(calls, "reads");
    read_action();
    int counter = open_own("FAULTS_COUNTER");
    if (counter >= 0) {
        if (real_syscall(SYS_ftruncate, counter, 8) != 0) fail_setup("FAULTS_COUNTER");
        void *shared = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, counter, 0);
        if (shared == MAP_FAILED) fail_setup("FAULTS_COUNTER");
        faults.counter = shared;
        real_syscall(SYS_close, counter);
    }
    faults.log = open_own("FAULTS_LOG");
    faults.names = open_own("FAULTS_NAMES");
}

__attribute__((constructor)) void faults_prepare(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static __thread int is_inside;
    if (is_inside) return;
    is_inside = 1;
    pthread_once(&once, set_up);
    is_inside = 0;
}

static int is_watched(const char *path) {
    for (const char *root = faults.roots; *root;) {
        size_t length = strcspn(root, ":");
        if (length && !strncmp(path, root, length) && (path[length] == '/' || !path[length])) return 1;
        root += length + (root[length] == ':');
    }
    return 0;
}

static void descriptor_path(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, descriptor == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", descriptor);
    long length = real_syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
}

/// Fills `path` with `name` below the folder `directory`, made absolute; a null `name` means the descriptor itself.
static void resolve(int directory, const char *name, char *path) {
    int descriptor = -1, length_of_prefix = 0;
    if (name && sscanf(name, "/proc/self/fd/%d%n", &descriptor, &length_of_prefix) == 1 && name[length_of_prefix] == '/') {
        directory = descriptor;
        name += length_of_prefix + 1;
    }
    if (name && name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
        return;
    }
    descriptor_path(directory, path);
    size_t length = strlen(path);
    if (name && *name && length < PATH_MAX) snprintf(path + length, PATH_MAX - length, "/%s", name);
}

static int is_one_of(const char *name, const char *names) {
    const char *found = strstr(names, name);
    return found && (found == names || found[-1] == ' ') && strchr(" ", found[strlen(name)]);
}

/// A full disk does not keep anybody from removing files, and only what opens files can run out of descriptors.
static int can_happen(const struct call *call) {
    if (faults.action != ACTION_FAIL) return 1;
    switch (faults.error) {
    case ENOSPC: return !is_one_of(call->call_name, "unlink rmdir chmod chown utimens");
    case EMFILE: return call->makes_descriptor || is_one_of(call->call_name, "fopen opendir");
    case EINTR: return is_one_of(call->call_name, "open write pwrite writev fsync");
    default: return 1;
    }
}

// Where the next write goes: a file that is open to append takes it at its end.
static int64_t write_position(int file) {
    struct stat status;
    if (fcntl(file, F_GETFL) & O_APPEND && fstat(file, &status) == 0) return status.st_size;
    return lseek(file, 0, SEEK_CUR);
}

int call_begin(struct call *call) {
    faults_prepare();
    call->number = 0;
    if (!faults.roots[0] || call->is_read != faults.counts_reads) return 0;
    int saved = errno;
    resolve(call->directory, call->name, call->path);
    call->other_path[0] = 0;
    if (call->other_name) resolve(call->other_directory, call->other_name, call->other_path);
    int counts = is_watched(call->path) || is_watched(call->other_path);
    if (!counts) {
        errno = saved;
        return 0;
    }
    // With a log, calls happen one after the other, in the log's order.
    if (faults.log >= 0) pthread_mutex_lock(&faults.order);
    call->number = faults.counter ? __atomic_add_fetch(faults.counter, 1, __ATOMIC_SEQ_CST)
                                  : __atomic_add_fetch(&faults.own_count, 1, __ATOMIC_SEQ_CST);
    if (faults.names >= 0) {
        char line[2 * PATH_MAX + 64];
        int length = snprintf(line, sizeof line, "%llu %s %s %s\n", (unsigned long long)call->number, call->call_name,
                              call->path, call->other_path);
        real_syscall(SYS_write, faults.names, line, (size_t)length);
    }
    int is_due = can_happen(call) && faults.at && (call->number == faults.at || (faults.is_lasting && call->number > faults.at));
    if (call->descriptor >= 0 && call->offset < 0) call->offset = write_position(call->descriptor);
    errno = saved;
    if (!is_due) return 0;
    switch (faults.action) {
    case ACTION_KILL: kill(getpid(), SIGKILL); pause(); return 0;
    case ACTION_FAIL: break;
    case ACTION_SHORT:
        // Half of it goes through; what comes after that finds the disk full. One byte cannot be halved.
        if (call->length && *call->length > 1 && call->number == faults.at) {
            *call->length /= 2;
            return 0;
        }
        if (!faults.is_lasting || !call->length || call->number == faults.at) return 0;
        errno = ENOSPC;
        goto failed;
    case ACTION_KILL_HALF:
        if (call->length && *call->length > 1) {
            *call->length /= 2;
            return 0;
        }
        kill(getpid(), SIGKILL);
        pause();
        return 0;
    default: return 0;
    }
    errno = faults.error;
failed:
    if (faults.log >= 0) pthread_mutex_unlock(&faults.order);
    call->number = 0;
    return -1;
}

long call_end(struct call *call, long result) {
    if (!call->number) return result;
    int saved = errno;
    if (faults.log >= 0) {
        write_record(call, result, saved);
        pthread_mutex_unlock(&faults.order);
    }
    if (faults.at == call->number && (faults.action == ACTION_KILL_AFTER || faults.action == ACTION_KILL_HALF)) {
        kill(getpid(), SIGKILL);
        pause();
    }
    errno = saved;
    return result;
}

void write_record(struct call *call, long result, int error) {
    struct stat status = {0};
    int file = call->makes_descriptor ? (int)result : call->descriptor;
    if (result >= 0) {
        if (file >= 0)
            fstat(file, &status);
        else
            fstatat(AT_FDCWD, call->other_path[0] ? call->other_path : call->path, &status,
                    call->follows ? 0 : AT_SYMLINK_NOFOLLOW);
    }
    const void *data = call->data;
    uint64_t data_length = result > 0 && call->length ? (uint64_t)result : 0;
    void *copy = NULL;
    if (data_length && !data) {
        // Copied inside the kernel: read back what arrived.
        copy = malloc(data_length);
        ssize_t count = copy ? (ssize_t)real_syscall(SYS_pread64, file, copy, data_length, call->offset) : -1;
        data = copy;
        data_length = count > 0 ? (uint64_t)count : 0;
    }
    if (call->text) {
        data = call->text;
        data_length = strlen(call->text);
    }
    struct record record = {
        .magic = RECORD_MAGIC, .number = call->number, .result = result, .error = result < 0 ? error : 0,
        .flags = (uint32_t)call->flags, .inode = status.st_ino, .offset = call->offset,
        .name_length = (uint32_t)strlen(call->call_name), .path_length = (uint32_t)strlen(call->path),
        .other_length = (uint32_t)strlen(call->other_path), .data_length = data_length};
    struct iovec parts[] = {{&record, sizeof record}, {(void *)call->call_name, record.name_length},
                            {call->path, record.path_length}, {call->other_path, record.other_length},
                            {(void *)data, (size_t)data_length}};
    real_syscall(SYS_writev, faults.log, parts, 5);
    free(copy);
}
