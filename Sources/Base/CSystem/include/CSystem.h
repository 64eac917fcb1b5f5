#ifndef MLOPS_CSYSTEM_H
#define MLOPS_CSYSTEM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// System calls that Swift cannot reach: variadic, missing from Glibc's module map, or macros. Those that open a file start
// again when a signal interrupts them.

/// Leaves the last `count` descriptors below the process's limit to others: from now on the calls of this header that open a
/// file fail with EMFILE rather than take one of them, and remove what they have just created. Dispatch ends the process, or
/// never wakes who sleeps, where it cannot open a file of its own. Returns 0, or -1 with errno.
int mlops_spare_descriptors(int count);

/// `openat2(2)` with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS: a descriptor, or -1 with errno.
int mlops_open_beneath(int directory, const char *path, int flags, mode_t mode);

/// `ioctl(to, FICLONE, from)`: 0, or -1 with errno.
int mlops_clone_file(int from, int to);

/// `ioctl(to, FICLONERANGE, …)`: lets `length` bytes of `to` from `target` on share their blocks with `from`, from `start` on; all
/// three are multiples of the file system's block size. 0, or -1 with errno.
int mlops_clone_range(int from, int64_t start, int64_t length, int to, int64_t target);

/// Renames `from` to `to` unless that exists: 0, or -1 with errno, EEXIST if it does. Where the file system cannot, a second
/// link is made and the first one removed.
int mlops_rename_exclusively(const char *from, const char *to);

/// Asks the kernel to start writing `length` bytes from `offset` to the disk, without waiting; advice, so no result.
void mlops_start_writeback(int file, int64_t offset, int64_t length);

/// Turns writing past the page cache (`O_DIRECT`) on or off for an open file: 1 if that changed something, 0 if it was so
/// already, or -1 with errno where the file system cannot.
int mlops_set_direct(int file, int on);

/// `syncfs(2)`: forces all that was written to the file system of `file` to the disk; 0, or -1 with errno.
int mlops_sync_file_system(int file);

/// A file without a name in the open folder `directory`, for reading and writing: a descriptor, or -1 with errno.
int mlops_open_nameless(int directory, mode_t mode);

/// Gives the open file, which may be without a name, the name `name` in the open folder `directory`: 0, or -1 with errno.
int mlops_name_open_file(int file, int directory, const char *name);

/// Removes the folder `name` of the open folder `directory` with all below it, following no link: 0, or -1 with errno. What could
/// be removed before that is gone.
int mlops_remove_tree(int directory, const char *name);

/// `open(2)` with a mode.
int mlops_open(const char *path, int flags, mode_t mode);

/// `openat(2)` with a mode.
int mlops_openat(int directory, const char *path, int flags, mode_t mode);

/// Another descriptor of the open `file`, or -1 with errno.
int mlops_duplicate(int file);

/// `pipe2(ends, O_CLOEXEC)`: 0, or -1 with errno.
int mlops_pipe(int ends[2]);

/// Asks the kernel to send `signal` to this process when its parent dies.
int mlops_die_with_parent(int signal);

/// The processor's time of a finished child, in microseconds; fills user, system and peak memory in bytes.
/// Returns the pid, 0 if it still runs (with WNOHANG in `options`), or -1 with errno. `status` is as in waitpid(2).
pid_t mlops_wait(pid_t pid, int options, int *status, int64_t *user_microseconds, int64_t *system_microseconds,
                 int64_t *peak_bytes);

/// Starts `path` (found as is, not in PATH) in a new process group with `directory` as its working directory; its standard
/// input is /dev/null, its output and error go to the given descriptors, all other descriptors are closed.
/// Returns the pid, or -1 with errno set by whichever of
/// fork, chdir or exec failed.
pid_t mlops_spawn(const char *path, char *const arguments[], char *const environment[], const char *directory,
                  int output, int error);

/// Starts `path` as `mlops_spawn` does, below a supervisor of its own that no process of it outlives: the supervisor adopts
/// orphans, and kills what is left when the program ends, when it is told to, or when this process dies in any way.
/// `directory` is absolute, and `path` too unless it is meant from there. The first call forks this process, later ones do not.
///
/// `*control` gets a descriptor: the byte `T` written to it sends SIGTERM to the program and its descendants, `K` or closing
/// it sends SIGKILL. It must be kept until `mlops_wait` has returned the supervisor's pid, and then closed.
/// Returns the pid of the supervisor, which ends as the program did (same code or signal) and whose usage includes all of
/// its descendants'; or -1 with errno set by whichever of pipe, fork, chdir or exec failed.
pid_t mlops_supervise(const char *path, char *const arguments[], char *const environment[], const char *directory,
                      int output, int error, int *control);

/// Writes `text` to standard error and returns at once; safe where stdio's globals are not.
void mlops_write_error(const char *text, size_t count);

#endif
