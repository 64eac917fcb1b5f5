#define _GNU_SOURCE
#include "CSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

pid_t mlops_wait(pid_t pid, int options, int *status, int64_t *user_microseconds, int64_t *system_microseconds,
                 int64_t *peak_bytes) {
    struct rusage usage;
    pid_t waited;
    do waited = wait4(pid, status, options, &usage);
    while (waited < 0 && errno == EINTR);
    if (waited > 0) {
        *user_microseconds = (int64_t)usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec;
        *system_microseconds = (int64_t)usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec;
        *peak_bytes = (int64_t)usage.ru_maxrss * 1024;
    }
    return waited;
}

pid_t mlops_spawn(const char *path, char *const arguments[], char *const environment[], const char *directory,
                  int output, int error) {
    // The pipe carries the errno of a failed chdir or exec; exec closes it on success.
    int report[2];
    if (mlops_pipe(report) < 0) return -1;
    pid_t pid = fork();
    if (pid < 0) {
        int saved = errno;
        close(report[0]);
        close(report[1]);
        errno = saved;
        return -1;
    }
    if (pid == 0) {
        setpgid(0, 0);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        signal(SIGPIPE, SIG_DFL);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        // The report pipe moves above the standard descriptors, so that dup2 cannot overwrite it.
        int channel = fcntl(report[1], F_DUPFD_CLOEXEC, 3);
        int null = open("/dev/null", O_RDONLY);
        int kept_output = fcntl(output, F_DUPFD_CLOEXEC, 3), kept_error = fcntl(error, F_DUPFD_CLOEXEC, 3);
        if (channel >= 0 && null >= 0 && kept_output >= 0 && kept_error >= 0 && dup2(null, 0) >= 0 &&
            dup2(kept_output, 1) >= 0 && dup2(kept_error, 2) >= 0 && chdir(directory) == 0) {
            syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
            execve(path, arguments, environment);
        }
        int saved = errno;
        ssize_t written = write(channel >= 0 ? channel : report[1], &saved, sizeof saved);
        _exit(written == sizeof saved ? 126 : 127);
    }
    setpgid(pid, pid);
    close(report[1]);
    int failure = 0;
    ssize_t count;
    do count = read(report[0], &failure, sizeof failure);
    while (count < 0 && errno == EINTR);
    close(report[0]);
    if (count == sizeof failure) {
        int status;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
        errno = failure;
        return -1;
    }
    return pid;
}

// The descriptors of a supervisor; all others are closed.
enum { REPORT = 3, CONTROL = 4, OUTPUT = 5, ERROR = 6 };

// Sends `signal` to every direct child of this process but `except`. Orphans below it become direct children when their parents die.
static void signal_children(int signal, pid_t except) {
    // The supervisor has one thread, whose id is its pid; the text is its children's pids, each with a space behind it.
    int file = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    char text[4096];
    pid_t child = 0;
    ssize_t count;
    while ((count = read(file, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < count; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                child = child * 10 + (text[i] - '0');
            } else if (child > 0) {
                if (child != except) kill(child, signal);
                child = 0;
            }
        }
    }
    close(file);
}

// Runs in the process between `mlops_supervise` and the program, after a fork of a process with threads and in memory that it
// shares with the supervisor: system calls only.
static void start_program(const char *path, char *const arguments[], char *const environment[], const char *directory,
                          pid_t supervisor) {
    setpgid(0, 0);
    // If the supervisor itself is killed, the program dies with it.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != supervisor) _exit(127);
    for (int number = 1; number < 32; number++) signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(OUTPUT, 1) >= 0 && dup2(ERROR, 2) >= 0 && chdir(directory) == 0) {
        syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
        execve(path, arguments, environment);
    }
    int saved = errno;
    ssize_t written = write(REPORT, &saved, sizeof saved);
    _exit(written == sizeof saved ? 126 : 127);
}

// Waits for the program while it obeys the control pipe; its status.
static int watch(pid_t program) {
    int watched = (int)syscall(SYS_pidfd_open, program, 0);
    struct pollfd polled[2] = {{.fd = CONTROL, .events = POLLIN}, {.fd = watched, .events = POLLIN}};
    int status = 0;
    for (;;) {
        // Every second orphans that ended are reaped; without pidfd the program's end is looked for every 10 ms.
        int ready = poll(polled, watched >= 0 ? 2 : 1, watched >= 0 ? 1000 : 10);
        if (ready < 0 && errno != EINTR) break;
        if (polled[0].revents) {
            char order = 'K';
            ssize_t count = read(CONTROL, &order, 1);
            int number = count == 1 && order == 'T' ? SIGTERM : SIGKILL;
            kill(-program, number);
            signal_children(number, program);
            if (count != 1) polled[0].fd = -1;  // Closed: once is enough, the end follows.
            polled[0].revents = 0;
        }
        // WNOWAIT: until it is reaped, its id cannot become another group's.
        siginfo_t information;
        information.si_pid = 0;
        if (waitid(P_PID, (id_t)program, &information, WEXITED | WNOHANG | WNOWAIT) == 0 && information.si_pid == program)
            break;
        // The program itself is left for later.
        while (waitid(P_ALL, 0, &information, WEXITED | WNOHANG | WNOWAIT) == 0 && information.si_pid > 0 &&
               information.si_pid != program) {
            waitpid(information.si_pid, NULL, 0);
            information.si_pid = 0;
        }
    }
    kill(-program, SIGKILL);
    while (waitpid(program, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

// The supervisor's life, after the fork.
static void supervise(const char *path, char *const arguments[], char *const environment[], const char *directory,
                      int report, int control, int output, int error) {
    // A session of its own: Ctrl-C in the terminal does not reach it, and nothing below it can ask the terminal for a password.
    setsid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    // Above those that they become, so that none overwrites another.
    int channel = fcntl(report, F_DUPFD_CLOEXEC, ERROR + 1);
    control = fcntl(control, F_DUPFD_CLOEXEC, ERROR + 1);
    output = fcntl(output, F_DUPFD_CLOEXEC, ERROR + 1);
    error = fcntl(error, F_DUPFD_CLOEXEC, ERROR + 1);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (channel < 0 || control < 0 || output < 0 || error < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
        dup2(null, 2) < 0 || dup2(channel, REPORT) < 0 || dup2(control, CONTROL) < 0 || dup2(output, OUTPUT) < 0 ||
        dup2(error, ERROR) < 0) {
        int saved = errno;
        ssize_t written = write(channel >= 0 ? channel : report, &saved, sizeof saved);
        _exit(written == sizeof saved ? 126 : 127);
    }
    syscall(SYS_close_range, 7u, ~0u, 0u);
    pid_t self = getpid();
    // The child borrows this memory until it is the program, so that the pages of `mlops` are not copied a second time.
    pid_t program = vfork();
    if (program == 0) start_program(path, arguments, environment, directory, self);
    if (program < 0) {
        int saved = errno;
        ssize_t written = write(REPORT, &saved, sizeof saved);
        _exit(written == sizeof saved ? 126 : 127);
    }
    setpgid(program, program);
    close(REPORT);
    close(OUTPUT);
    close(ERROR);
    int status = watch(program);
    // What left the group is a child by now or becomes one as its parents die; a process in an endless system call is left
    // behind after five seconds.
    for (int round = 0; round < 2500; round++) {
        pid_t ended;
        do ended = waitpid(-1, NULL, WNOHANG);
        while (ended > 0 || (ended < 0 && errno == EINTR));
        if (ended < 0) break;
        signal_children(SIGKILL, 0);
        poll(NULL, 0, 2);
    }
    if (WIFSIGNALED(status)) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        prctl(PR_SET_DUMPABLE, 0);
        signal(WTERMSIG(status), SIG_DFL);
        sigset_t empty;
        sigemptyset(&empty);
        sigprocmask(SIG_SETMASK, &empty, NULL);
        kill(getpid(), WTERMSIG(status));
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

pid_t mlops_supervise(const char *path, char *const arguments[], char *const environment[], const char *directory,
                      int output, int error, int *control) {
    int report[2], orders[2];
    if (mlops_pipe(report) < 0) return -1;
    if (mlops_pipe(orders) < 0) {
        int saved = errno;
        close(report[0]);
        close(report[1]);
        errno = saved;
        return -1;
    }
    // No handler of ours may run in the supervisor, which keeps every signal blocked.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) supervise(path, arguments, environment, directory, report[1], orders[0], output, error);
    int saved = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    close(orders[0]);
    int failure = saved;
    ssize_t count = sizeof failure;
    if (pid > 0) {
        do count = read(report[0], &failure, sizeof failure);
        while (count < 0 && errno == EINTR);
    }
    close(report[0]);
    if (pid < 0 || count == sizeof failure) {
        close(orders[1]);
        int status;
        if (pid > 0) {
            while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
        }
        errno = failure;
        return -1;
    }
    *control = orders[1];
    return pid;
}

void mlops_write_error(const char *text, size_t count) {
    while (count > 0) {
        ssize_t written = write(2, text, count);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return;
        text += written;
        count -= (size_t)written;
    }
}
