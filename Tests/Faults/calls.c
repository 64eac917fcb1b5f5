// The wrappers: each describes one call of libc to `call_begin`, makes it, and hands the result to `call_end`.
//
// libc keeps two names for calls on files (`open` and `open64`), which are the same on 64-bit systems.
#define _GNU_SOURCE
#include "shim.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <utime.h>

long (*real_syscall)(long number, ...);

// A pointer to the real function for every name, found before the first call.
#define REAL(name) static __typeof__(name) *real_##name;
#define EACH_FUNCTION(X)                                                                                               \
    X(open) X(openat) X(write) X(pwrite) X(writev) X(pwritev) X(copy_file_range) X(sendfile) X(fallocate)              \
    X(posix_fallocate) X(ftruncate) X(truncate) X(rename) X(renameat) X(renameat2) X(link) X(linkat) X(symlink)        \
    X(symlinkat) X(unlink) X(unlinkat) X(remove) X(mkdir) X(mkdirat) X(rmdir) X(fsync) X(fdatasync) X(sync_file_range) \
    X(syncfs) X(fchmod) X(fchmodat) X(chmod) X(fchown) X(chown) X(fchownat) X(futimens) X(utimensat) X(utimes)         \
    X(utime) X(mkstemp) X(read) X(pread) X(readdir) X(close) X(opendir) X(fdopendir) X(fopen)
EACH_FUNCTION(REAL)
static int (*real_ioctl)(int, unsigned long, ...);

void find_real_functions(void) {
#define FIND(name) real_##name = (__typeof__(real_##name))dlsym(RTLD_NEXT, #name);
    EACH_FUNCTION(FIND)
    FIND(ioctl)
    FIND(syscall)
}

#define PATH_CALL(at, file) .directory = (at), .name = (file), .other_directory = AT_FDCWD, .descriptor = -1, .offset = -1
#define FILE_CALL(file) .directory = (file), .other_directory = AT_FDCWD, .descriptor = (file), .offset = -1
#define BEGIN(title, ...)                                                                                              \
    struct call call = {.call_name = (title), __VA_ARGS__};                                                            \
    if (call_begin(&call)) return -1;
#define END(expression) return call_end(&call, (expression))

// MARK: Opening

static int is_change(int flags) { return flags & (O_CREAT | O_TRUNC) || (flags & O_TMPFILE) == O_TMPFILE; }

static int open_file(int directory, const char *path, int flags, mode_t mode) {
    BEGIN("open", PATH_CALL(directory, path), .is_read = !is_change(flags), .makes_descriptor = 1, .flags = flags)
    END(real_openat(directory, path, flags, mode));
}

#define MODE_OF(flags)                                                                                                 \
    mode_t mode = 0;                                                                                                   \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                                           \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

#define OPEN(function)                                                                                                 \
    int function(const char *path, int flags, ...) {                                                                   \
        MODE_OF(flags)                                                                                                 \
        return open_file(AT_FDCWD, path, flags, mode);                                                                 \
    }
#define OPENAT(function)                                                                                               \
    int function(int directory, const char *path, int flags, ...) {                                                    \
        MODE_OF(flags)                                                                                                 \
        return open_file(directory, path, flags, mode);                                                                \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
int __open_2(const char *path, int flags) { return open_file(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return open_file(AT_FDCWD, path, flags, 0); }
int __openat_2(int directory, const char *path, int flags) { return open_file(directory, path, flags, 0); }
int __openat64_2(int directory, const char *path, int flags) { return open_file(directory, path, flags, 0); }
int creat(const char *path, mode_t mode) { return open_file(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return open_file(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

#define FOPEN(function)                                                                                                \
    FILE *function(const char *path, const char *mode) {                                                               \
        struct call call = {.call_name = "fopen", PATH_CALL(AT_FDCWD, path), .is_read = mode[0] == 'r' && !strchr(mode, '+')}; \
        if (call_begin(&call)) return NULL;                                                                            \
        FILE *file = real_fopen(path, mode);                                                                           \
        call_end(&call, file ? 0 : -1);                                                                                \
        return file;                                                                                                   \
    }
FOPEN(fopen)
FOPEN(fopen64)

int mkstemp(char *pattern) {
    BEGIN("mkstemp", PATH_CALL(AT_FDCWD, pattern), .makes_descriptor = 1, .flags = O_CREAT | O_EXCL)
    END(real_mkstemp(pattern));
}

// MARK: Writing

ssize_t write(int file, const void *bytes, size_t length) {
    BEGIN("write", FILE_CALL(file), .data = bytes, .length = &length)
    END(real_write(file, bytes, length));
}

#define PWRITE(function)                                                                                               \
    ssize_t function(int file, const void *bytes, size_t length, off_t offset) {                                       \
        struct call call = {.call_name = "pwrite", .directory = file, .other_directory = AT_FDCWD, .descriptor = file, \
                            .offset = offset, .data = bytes, .length = &length};                                       \
        if (call_begin(&call)) return -1;                                                                              \
        END(real_pwrite(file, bytes, length, offset));                                                                 \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

// A vector is written as one piece, so that it can be halved.
static ssize_t write_vector(int file, const struct iovec *parts, int count, int64_t offset) {
    size_t length = 0;
    for (int i = 0; i < count; i++) length += parts[i].iov_len;
    char *bytes = malloc(length + 1);
    if (!bytes) return -1;
    size_t used = 0;
    for (int i = 0; i < count; i++) {
        memcpy(bytes + used, parts[i].iov_base, parts[i].iov_len);
        used += parts[i].iov_len;
    }
    struct call call = {.call_name = "writev", .directory = file, .other_directory = AT_FDCWD, .descriptor = file,
                        .offset = offset, .data = bytes, .length = &length};
    ssize_t result = -1;
    if (!call_begin(&call))
        result = call_end(&call, offset < 0 ? real_write(file, bytes, length) : real_pwrite(file, bytes, length, offset));
    int saved = errno;
    free(bytes);
    errno = saved;
    return result;
}

ssize_t writev(int file, const struct iovec *parts, int count) { return write_vector(file, parts, count, -1); }
ssize_t pwritev(int file, const struct iovec *parts, int count, off_t offset) {
    return write_vector(file, parts, count, offset);
}
ssize_t pwritev64(int file, const struct iovec *parts, int count, off_t offset) {
    return write_vector(file, parts, count, offset);
}

ssize_t copy_file_range(int from, off_t *from_offset, int file, off_t *offset, size_t length, unsigned flags) {
    BEGIN("copy_file_range", FILE_CALL(file), .length = &length)
    END(real_copy_file_range(from, from_offset, file, offset, length, flags));
}

#define SENDFILE(function)                                                                                             \
    ssize_t function(int file, int from, off_t *offset, size_t length) {                                               \
        BEGIN("sendfile", FILE_CALL(file), .length = &length)                                                          \
        END(real_sendfile(file, from, offset, length));                                                                \
    }
SENDFILE(sendfile)
SENDFILE(sendfile64)

#define FALLOCATE(function)                                                                                            \
    int function(int file, int mode, off_t offset, off_t length) {                                                     \
        BEGIN("fallocate", FILE_CALL(file), .flags = mode)                                                             \
        END(real_fallocate(file, mode, offset, length));                                                               \
    }
FALLOCATE(fallocate)
FALLOCATE(fallocate64)

#define POSIX_FALLOCATE(function)                                                                                      \
    int function(int file, off_t offset, off_t length) {                                                               \
        struct call call = {.call_name = "fallocate", FILE_CALL(file)};                                                \
        if (call_begin(&call)) return errno;                                                                           \
        END(real_posix_fallocate(file, offset, length));                                                               \
    }
POSIX_FALLOCATE(posix_fallocate)
POSIX_FALLOCATE(posix_fallocate64)

#define FTRUNCATE(function)                                                                                            \
    int function(int file, off_t length) {                                                                             \
        struct call call = {.call_name = "ftruncate", .directory = file, .other_directory = AT_FDCWD,                  \
                            .descriptor = file, .offset = length};                                                     \
        if (call_begin(&call)) return -1;                                                                              \
        END(real_ftruncate(file, length));                                                                             \
    }
FTRUNCATE(ftruncate)
FTRUNCATE(ftruncate64)

#define TRUNCATE(function)                                                                                             \
    int function(const char *path, off_t length) {                                                                     \
        struct call call = {.call_name = "ftruncate", .directory = AT_FDCWD, .name = path,                             \
                            .other_directory = AT_FDCWD, .descriptor = -1, .offset = length, .follows = 1};            \
        if (call_begin(&call)) return -1;                                                                              \
        END(real_truncate(path, length));                                                                              \
    }
TRUNCATE(truncate)
TRUNCATE(truncate64)

// MARK: Names

static int rename_file(int from, const char *old, int to, const char *new, unsigned flags) {
    BEGIN("rename", .directory = from, .name = old, .other_directory = to, .other_name = new, .descriptor = -1,
          .offset = -1, .flags = (int)flags)
    END(flags ? real_renameat2(from, old, to, new, flags) : real_renameat(from, old, to, new));
}
int rename(const char *old, const char *new) { return rename_file(AT_FDCWD, old, AT_FDCWD, new, 0); }
int renameat(int from, const char *old, int to, const char *new) { return rename_file(from, old, to, new, 0); }
int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
    return rename_file(from, old, to, new, flags);
}

int linkat(int from, const char *old, int to, const char *new, int flags) {
    BEGIN("link", .directory = from, .name = old, .other_directory = to, .other_name = new, .descriptor = -1,
          .offset = -1, .flags = flags)
    END(real_linkat(from, old, to, new, flags));
}
int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

int symlinkat(const char *target, int directory, const char *path) {
    BEGIN("symlink", PATH_CALL(directory, path), .text = target)
    END(real_symlinkat(target, directory, path));
}
int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }

int unlinkat(int directory, const char *path, int flags) {
    BEGIN(flags & AT_REMOVEDIR ? "rmdir" : "unlink", PATH_CALL(directory, path), .flags = flags)
    END(real_unlinkat(directory, path, flags));
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
    BEGIN("unlink", PATH_CALL(AT_FDCWD, path))
    END(real_remove(path));
}

int mkdirat(int directory, const char *path, mode_t mode) {
    BEGIN("mkdir", PATH_CALL(directory, path), .flags = (int)mode)
    END(real_mkdirat(directory, path, mode));
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

// MARK: Flushing

int fsync(int file) {
    BEGIN("fsync", FILE_CALL(file))
    END(real_fsync(file));
}
int fdatasync(int file) {
    BEGIN("fsync", FILE_CALL(file))
    END(real_fdatasync(file));
}
int syncfs(int file) {
    BEGIN("syncfs", FILE_CALL(file))
    END(real_syncfs(file));
}
int sync_file_range(int file, off_t offset, off_t length, unsigned flags) {
    BEGIN("sync_file_range", FILE_CALL(file))
    END(real_sync_file_range(file, offset, length, flags));
}

// MARK: Modes, owners, times

int fchmod(int file, mode_t mode) {
    BEGIN("chmod", FILE_CALL(file), .flags = (int)mode)
    END(real_fchmod(file, mode));
}
int fchmodat(int directory, const char *path, mode_t mode, int flags) {
    BEGIN("chmod", PATH_CALL(directory, path), .flags = (int)mode)
    END(real_fchmodat(directory, path, mode, flags));
}
int chmod(const char *path, mode_t mode) { return fchmodat(AT_FDCWD, path, mode, 0); }
int fchown(int file, uid_t user, gid_t group) {
    BEGIN("chown", FILE_CALL(file))
    END(real_fchown(file, user, group));
}
int chown(const char *path, uid_t user, gid_t group) {
    BEGIN("chown", PATH_CALL(AT_FDCWD, path))
    END(real_chown(path, user, group));
}
int fchownat(int directory, const char *path, uid_t user, gid_t group, int flags) {
    BEGIN("chown", PATH_CALL(directory, path))
    END(real_fchownat(directory, path, user, group, flags));
}
int futimens(int file, const struct timespec times[2]) {
    BEGIN("utimens", FILE_CALL(file))
    END(real_futimens(file, times));
}
int utimensat(int directory, const char *path, const struct timespec times[2], int flags) {
    BEGIN("utimens", PATH_CALL(directory, path))
    END(real_utimensat(directory, path, times, flags));
}
int utimes(const char *path, const struct timeval times[2]) {
    BEGIN("utimens", PATH_CALL(AT_FDCWD, path))
    END(real_utimes(path, times));
}
int utime(const char *path, const struct utimbuf *times) {
    BEGIN("utimens", PATH_CALL(AT_FDCWD, path))
    END(real_utime(path, times));
}

// MARK: What goes around libc's functions

int ioctl(int file, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    faults_prepare();
    if (request != FICLONE && request != FICLONERANGE) return real_ioctl(file, request, argument);
    BEGIN("clone", FILE_CALL(file))
    END(real_ioctl(file, request, argument));
}

long syscall(long number, ...) {
    va_list rest;
    va_start(rest, number);
    long a[6];
    for (int i = 0; i < 6; i++) a[i] = va_arg(rest, long);
    va_end(rest);
    faults_prepare();
    switch (number) {
#ifdef SYS_openat2
    case SYS_openat2: {
        // struct open_how starts with the flags, 64 bits.
        int flags = (int)*(const uint64_t *)a[2];
        BEGIN("open", PATH_CALL((int)a[0], (const char *)a[1]), .is_read = !is_change(flags), .makes_descriptor = 1,
              .flags = flags)
        END(real_syscall(number, a[0], a[1], a[2], a[3]));
    }
#endif
    case SYS_openat: return open_file((int)a[0], (const char *)a[1], (int)a[2], (mode_t)a[3]);
    case SYS_copy_file_range:
        return copy_file_range((int)a[0], (off_t *)a[1], (int)a[2], (off_t *)a[3], (size_t)a[4], (unsigned)a[5]);
    case SYS_renameat2:
        return rename_file((int)a[0], (const char *)a[1], (int)a[2], (const char *)a[3], (unsigned)a[4]);
    default: return real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
}

// MARK: Reading, numbered with FAULTS_CALLS=reads

ssize_t read(int file, void *bytes, size_t length) {
    BEGIN("read", FILE_CALL(file), .is_read = 1)
    END(real_read(file, bytes, length));
}
#define PREAD(function)                                                                                                \
    ssize_t function(int file, void *bytes, size_t length, off_t offset) {                                             \
        BEGIN("pread", FILE_CALL(file), .is_read = 1)                                                                  \
        END(real_pread(file, bytes, length, offset));                                                                  \
    }
PREAD(pread)
PREAD(pread64)

// A failed close has closed the file all the same.
int close(int file) {
    faults_prepare();
    if (!faults.counts_reads) return real_close(file);
    struct call call = {.call_name = "close", FILE_CALL(file), .is_read = 1};
    int fault = call_begin(&call) ? errno : 0;
    int result = real_close(file);
    if (!fault) return (int)call_end(&call, result);
    errno = fault;
    return -1;
}

#define OPENDIR(where, at, expression)                                                                                  \
    struct call call = {.call_name = "opendir", .directory = (at), .name = (where),                                     \
                        .other_directory = AT_FDCWD, .descriptor = -1, .offset = -1, .is_read = 1};                    \
    if (call_begin(&call)) return NULL;                                                                                \
    DIR *stream = (expression);                                                                                        \
    call_end(&call, stream ? 0 : -1);                                                                                  \
    return stream;
DIR *opendir(const char *path) { OPENDIR(path, AT_FDCWD, real_opendir(path)) }
DIR *fdopendir(int file) { OPENDIR(NULL, file, real_fdopendir(file)) }

#define READDIR(type, function)                                                                                        \
    type *function(DIR *stream) {                                                                                      \
        struct call call = {.call_name = "readdir", FILE_CALL(dirfd(stream)), .is_read = 1};                           \
        if (call_begin(&call)) return NULL;                                                                            \
        int before = errno;                                                                                            \
        type *entry = (type *)real_readdir(stream);                                                                    \
        if (!call.number) return entry;                                                                                \
        int after = errno;                                                                                             \
        call_end(&call, 0);                                                                                            \
        errno = entry ? before : after;                                                                                \
        return entry;                                                                                                  \
    }
READDIR(struct dirent, readdir)
READDIR(struct dirent64, readdir64)
