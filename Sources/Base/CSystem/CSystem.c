#define _GNU_SOURCE
#include "CSystem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// Descriptors from here on are left to others.
static atomic_int first_spare = INT_MAX;

int mlops_spare_descriptors(int count) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -1;
    atomic_store(&first_spare, limit.rlim_cur > INT_MAX ? INT_MAX : (int)limit.rlim_cur - count);
    return 0;
}

// `file`, or -1 with EMFILE if it is one of those that are left to others.
static int keep(int file) {
    if (file < atomic_load_explicit(&first_spare, memory_order_relaxed)) return file;
    close(file);
    errno = EMFILE;
    return -1;
}

// As `keep`, for a file that this call may have created.
static int keep_created(int file, int directory, const char *path, int flags) {
    int kept = keep(file);
    if (kept != file && (flags & O_CREAT) && (flags & O_EXCL)) {
        (void)unlinkat(directory, path, 0);
        errno = EMFILE;
    }
    return kept;
}

int mlops_open_beneath(int directory, const char *path, int flags, mode_t mode) {
    struct open_how how;
    memset(&how, 0, sizeof how);
    how.flags = (uint64_t)(flags | O_CLOEXEC);
    how.mode = (flags & O_CREAT) ? mode : 0;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    int file;
    do file = (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
    while (file < 0 && errno == EINTR);
    return keep_created(file, directory, path, flags);
}

int mlops_clone_file(int from, int to) { return ioctl(to, FICLONE, from); }

int mlops_clone_range(int from, int64_t start, int64_t length, int to, int64_t target) {
    struct file_clone_range range = {
        .src_fd = from, .src_offset = (uint64_t)start, .src_length = (uint64_t)length, .dest_offset = (uint64_t)target};
    return ioctl(to, FICLONERANGE, &range);
}

int mlops_rename_exclusively(const char *from, const char *to) {
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) return -1;
    if (link(from, to) != 0) return -1;
    (void)unlink(from);
    return 0;
}

void mlops_start_writeback(int file, int64_t offset, int64_t length) {
    (void)sync_file_range(file, offset, length, SYNC_FILE_RANGE_WRITE);
}

int mlops_set_direct(int file, int on) {
    int flags = fcntl(file, F_GETFL);
    if (flags < 0) return -1;
    if (!(flags & O_DIRECT) == !on) return 0;
    return fcntl(file, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) < 0 ? -1 : 1;
}

int mlops_sync_file_system(int file) { return syncfs(file); }

int mlops_open_nameless(int directory, mode_t mode) {
    return mlops_openat(directory, ".", O_TMPFILE | O_RDWR, mode);
}

int mlops_name_open_file(int file, int directory, const char *name) {
    // By the descriptor alone, where the kernel lets the file's maker do that (6.10, or a privilege).
    if (linkat(file, "", directory, name, AT_EMPTY_PATH) == 0) return 0;
    if (errno != ENOENT && errno != EPERM && errno != EINVAL) return -1;
    char source[32];
    snprintf(source, sizeof source, "/proc/self/fd/%d", file);
    return linkat(AT_FDCWD, source, directory, name, AT_SYMLINK_FOLLOW);
}

int mlops_remove_tree(int directory, const char *name) {
    int folder = mlops_openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (folder < 0) return -1;
    DIR *entries = fdopendir(folder);
    if (!entries) {
        close(folder);
        return -1;
    }
    int failure = 0;
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (unlinkat(folder, entry->d_name, 0) == 0 || errno == ENOENT) continue;
        if ((errno != EISDIR && errno != EPERM) || mlops_remove_tree(folder, entry->d_name) != 0) failure = errno;
    }
    closedir(entries);
    if (!failure && unlinkat(directory, name, AT_REMOVEDIR) == 0) return 0;
    if (failure) errno = failure;
    return -1;
}

int mlops_open(const char *path, int flags, mode_t mode) { return mlops_openat(AT_FDCWD, path, flags, mode); }

int mlops_openat(int directory, const char *path, int flags, mode_t mode) {
    int file;
    do file = openat(directory, path, flags | O_CLOEXEC, mode);
    while (file < 0 && errno == EINTR);
    return keep_created(file, directory, path, flags);
}

int mlops_duplicate(int file) { return keep(fcntl(file, F_DUPFD_CLOEXEC, 0)); }

int mlops_pipe(int ends[2]) {
    if (pipe2(ends, O_CLOEXEC) < 0) return -1;
    if (keep(ends[1]) == ends[1]) return 0;
    close(ends[0]);
    errno = EMFILE;
    return -1;
}

int mlops_die_with_parent(int signal) { return prctl(PR_SET_PDEATHSIG, signal); }

void mlops_write_error(const char *text, size_t count) {
    while (count > 0) {
        ssize_t written = write(2, text, count);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return;
        text += written;
        count -= (size_t)written;
    }
}
