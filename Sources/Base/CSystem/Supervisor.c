#define _GNU_SOURCE
#include "Supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

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

// Runs in the process that is to be the program, in memory that it shares with the supervisor: system calls only.
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

void mlops_be_supervisor(const char *path, char *const arguments[], char *const environment[], const char *directory,
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
