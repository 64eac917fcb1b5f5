#define _GNU_SOURCE
#include "CSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

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
