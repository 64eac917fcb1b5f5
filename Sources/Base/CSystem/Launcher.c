#define _GNU_SOURCE
#include "CSystem.h"
#include "Supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// To fork `mlops` is to copy the tables of all its pages, and each page that it writes afterwards faults. So it is forked once
// only: into the launcher, one thread that does nothing but fork supervisors, each a child of `mlops` and not of the launcher.
// It ends when its socket closes, thus with `mlops`.

static pthread_mutex_t launcher_lock = PTHREAD_MUTEX_INITIALIZER;
static int launcher = -1;
static pid_t launcher_pid = -1;

// What a supervisor is told; the texts of path, directory, arguments and variables follow, each with its zero.
struct order {
    uint64_t byte_count;
    uint32_t argument_count, variable_count;
};

struct answer {
    int32_t pid, failure;
};

enum { ORDER_DESCRIPTORS = 4 };

static int read_all(int file, void *bytes, size_t count) {
    while (count > 0) {
        ssize_t done = read(file, bytes, count);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return -1;
        bytes = (char *)bytes + done;
        count -= (size_t)done;
    }
    return 0;
}

static int send_all(int socket, const void *bytes, size_t count) {
    while (count > 0) {
        ssize_t done = send(socket, bytes, count, MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return -1;
        bytes = (const char *)bytes + done;
        count -= (size_t)done;
    }
    return 0;
}

// Room for the descriptors that come with an order.
union passed {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(ORDER_DESCRIPTORS * sizeof(int))];
};

static int receive_order(int socket, struct order *order, int descriptors[ORDER_DESCRIPTORS]) {
    union passed passed;
    struct iovec block = {order, sizeof *order};
    struct msghdr message = {
        .msg_iov = &block, .msg_iovlen = 1, .msg_control = passed.bytes, .msg_controllen = sizeof passed.bytes};
    ssize_t count;
    do count = recvmsg(socket, &message, MSG_WAITALL | MSG_CMSG_CLOEXEC);
    while (count < 0 && errno == EINTR);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (count != sizeof *order || !header || header->cmsg_len != CMSG_LEN(ORDER_DESCRIPTORS * sizeof(int))) return -1;
    memcpy(descriptors, CMSG_DATA(header), ORDER_DESCRIPTORS * sizeof(int));
    return 0;
}

static int send_order(int socket, const struct order *order, const char *texts, const int descriptors[ORDER_DESCRIPTORS]) {
    union passed passed;
    memset(&passed, 0, sizeof passed);
    struct iovec block = {(void *)order, sizeof *order};
    struct msghdr message = {
        .msg_iov = &block, .msg_iovlen = 1, .msg_control = passed.bytes, .msg_controllen = sizeof passed.bytes};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(ORDER_DESCRIPTORS * sizeof(int));
    memcpy(CMSG_DATA(header), descriptors, ORDER_DESCRIPTORS * sizeof(int));
    ssize_t count;
    do count = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (count < 0 && errno == EINTR);
    return count == sizeof *order ? send_all(socket, texts, order->byte_count) : -1;
}

// The zero behind each text leads to the next one.
static char *next_text(char *text) { return text + strlen(text) + 1; }

// One line of /proc/self/maps.
struct mapping {
    uintptr_t start, end;
    uint64_t device, inode;
    int is_anonymous;
};

// Calls `visit` for each mapping of this process.
static void each_mapping(void (*visit)(const struct mapping *, void *), void *context) {
    int file = open("/proc/thread-self/maps", O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    char block[4096], line[96];
    size_t length = 0;
    ssize_t count;
    // `start-end rwxp offset major:minor inode path`
    while ((count = read(file, block, sizeof block)) > 0) {
        for (ssize_t i = 0; i < count; i++) {
            if (block[i] != '\n') {
                if (length < sizeof line - 1) line[length++] = block[i];
                continue;
            }
            line[length] = 0;
            length = 0;
            struct mapping mapping;
            char *rest;
            mapping.start = strtoul(line, &rest, 16);
            mapping.end = strtoul(rest + 1, &rest, 16);
            strtoul(rest + sizeof " rw-p", &rest, 16);
            uint64_t major = strtoul(rest, &rest, 16);
            mapping.device = major << 32 | strtoul(rest + 1, &rest, 16);
            mapping.inode = strtoul(rest, &rest, 10);
            // The stack and what the kernel adds have a name in brackets, too.
            mapping.is_anonymous = mapping.inode == 0 && (!strchr(rest, '[') || strstr(rest, "[heap]"));
            visit(&mapping, context);
        }
    }
    close(file);
}

enum { NEEDED = 6 };

// What a supervisor touches: own code and variables, the C library and the loader, the thread's data, its stack.
struct needed {
    uintptr_t addresses[NEEDED];
    uint64_t devices[NEEDED], inodes[NEEDED];
};

static void note_file(const struct mapping *mapping, void *context) {
    struct needed *needed = context;
    for (int i = 0; i < NEEDED; i++) {
        if (needed->addresses[i] < mapping->start || needed->addresses[i] >= mapping->end) continue;
        needed->devices[i] = mapping->device;
        needed->inodes[i] = mapping->inode;
    }
}

static void keep_from_forks(const struct mapping *mapping, void *context) {
    const struct needed *needed = context;
    const uintptr_t window = 128 << 10;
    if (mapping->inode != 0) {
        for (int i = 0; i < NEEDED; i++)
            if (needed->inodes[i] == mapping->inode && needed->devices[i] == mapping->device) return;
        madvise((void *)mapping->start, mapping->end - mapping->start, MADV_DONTFORK);
        return;
    }
    // Small ones are variables of programs and libraries. The thread's data may share a mapping with the heap.
    if (!mapping->is_anonymous || mapping->end - mapping->start < 2 * window) return;
    for (uintptr_t at = mapping->start; at < mapping->end; at += window) {
        int is_needed = 0;
        for (int i = 0; i < NEEDED; i++)
            is_needed |= needed->addresses[i] + window >= at && needed->addresses[i] < at + 2 * window;
        uintptr_t end = mapping->end - at < window ? mapping->end : at + window;
        if (!is_needed) madvise((void *)at, end - at, MADV_DONTFORK);
    }
}

// Keeps the heap of `mlops` as it was at the fork, and its libraries, from being copied into supervisors: it would cost each
// of them time, and count as memory of the stage's.
static void lighten_forks(void) {
    // A function of the C library may have its address in this program; what `stdout` points to lies there. This file is
    // compiled without a PLT, so that no supervisor makes the linker look through libraries that it does not have.
    struct needed needed = {
        .addresses = {(uintptr_t)&launcher, (uintptr_t)&mlops_be_supervisor, (uintptr_t)&errno, (uintptr_t)stdout,
                      (uintptr_t)getauxval(AT_BASE), (uintptr_t)__builtin_frame_address(0)}};
    each_mapping(note_file, &needed);
    each_mapping(keep_from_forks, &needed);
}

// The launcher's life, after the fork of a process with threads: system calls only, and no memory but its own.
static void launch(int socket) {
    setsid();
    prctl(PR_SET_NAME, "mlops-launcher");
    // All others first: there may be no room for one more.
    syscall(SYS_close_range, 0u, (unsigned)socket - 1, 0u);
    syscall(SYS_close_range, (unsigned)socket + 1, ~0u, 0u);
    if (socket != 3) {
        if (dup3(socket, 3, O_CLOEXEC) < 0) _exit(127);
        close(socket);
        socket = 3;
    }
    if (open("/dev/null", O_RDWR | O_CLOEXEC) != 0 || dup2(0, 1) < 0 || dup2(0, 2) < 0) _exit(127);
    // `mlops` works on in the folder that it started in, and so does this; but it must not keep a disk from being unmounted.
    if (chdir("/") != 0) _exit(127);
    lighten_forks();
    for (;;) {
        struct order order;
        int descriptors[ORDER_DESCRIPTORS];
        if (receive_order(socket, &order, descriptors) != 0) _exit(0);
        size_t pointer_count = (size_t)order.argument_count + order.variable_count + 2;
        size_t size = order.byte_count + pointer_count * sizeof(char *);
        char **arguments = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (arguments == MAP_FAILED) _exit(127);
        char *path = (char *)(arguments + pointer_count);
        if (read_all(socket, path, order.byte_count) != 0) _exit(0);
        char *directory = next_text(path), *text = directory, **environment = arguments + order.argument_count + 1;
        for (uint32_t i = 0; i < order.argument_count; i++) arguments[i] = text = next_text(text);
        for (uint32_t i = 0; i < order.variable_count; i++) environment[i] = text = next_text(text);
        struct answer answer = {0, 0};
        answer.pid = (int32_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
        if (answer.pid == 0)
            mlops_be_supervisor(path, arguments, environment, directory, descriptors[0], descriptors[1], descriptors[2],
                                descriptors[3]);
        answer.failure = errno;
        // Before the answer: who reads what the program prints waits for the last to close it.
        for (int i = 0; i < ORDER_DESCRIPTORS; i++) close(descriptors[i]);
        munmap(arguments, size);
        if (send_all(socket, &answer, sizeof answer) != 0) _exit(0);
    }
}

// -1 with errno. The lock is held.
static int start_launcher(void) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) return -1;
    // No handler of ours may run in the launcher and in supervisors, which keep every signal blocked.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) launch(ends[1]);
    int saved = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        errno = saved;
        return -1;
    }
    launcher = ends[0];
    launcher_pid = pid;
    return 0;
}

// Has the launcher fork a supervisor; its pid, or -1 with errno, or 0 if the launcher is gone.
static pid_t order_supervisor(const struct order *order, const char *texts, const int descriptors[ORDER_DESCRIPTORS]) {
    struct answer answer = {-1, 0};
    pthread_mutex_lock(&launcher_lock);
    if (launcher < 0 && start_launcher() != 0) {
        answer.failure = errno;
    } else if (send_order(launcher, order, texts, descriptors) != 0 || read_all(launcher, &answer, sizeof answer) != 0) {
        close(launcher);
        kill(launcher_pid, SIGKILL);
        while (waitpid(launcher_pid, NULL, 0) < 0 && errno == EINTR) {}
        launcher = -1;
        answer.pid = 0;
    }
    pthread_mutex_unlock(&launcher_lock);
    errno = answer.failure;
    return answer.pid;
}

static pid_t order_program(const struct order *order, const char *texts, int output, int error, int *control) {
    int report[2], orders[2];
    if (mlops_pipe(report) < 0) return -1;
    if (mlops_pipe(orders) < 0) {
        int saved = errno;
        close(report[0]);
        close(report[1]);
        errno = saved;
        return -1;
    }
    int descriptors[ORDER_DESCRIPTORS] = {report[1], orders[0], output, error};
    pid_t pid = order_supervisor(order, texts, descriptors);
    int failure = errno;
    close(report[1]);
    close(orders[0]);
    ssize_t count = 0;
    if (pid > 0) {
        do count = read(report[0], &failure, sizeof failure);
        while (count < 0 && errno == EINTR);
    }
    close(report[0]);
    if (pid > 0 && count != sizeof failure) {
        *control = orders[1];
        return pid;
    }
    close(orders[1]);
    int status;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    errno = failure;
    return pid == 0 ? 0 : -1;
}

static size_t texts_size(char *const texts[], uint32_t *count) {
    size_t size = 0;
    for (*count = 0; texts[*count]; ++*count) size += strlen(texts[*count]) + 1;
    return size;
}

pid_t mlops_supervise(const char *path, char *const arguments[], char *const environment[], const char *directory,
                      int output, int error, int *control) {
    struct order order;
    order.byte_count = strlen(path) + strlen(directory) + 2;
    order.byte_count += texts_size(arguments, &order.argument_count);
    order.byte_count += texts_size(environment, &order.variable_count);
    char *texts = malloc(order.byte_count);
    if (!texts) return -1;
    char *end = stpcpy(stpcpy(texts, path) + 1, directory) + 1;
    for (uint32_t i = 0; i < order.argument_count; i++) end = stpcpy(end, arguments[i]) + 1;
    for (uint32_t i = 0; i < order.variable_count; i++) end = stpcpy(end, environment[i]) + 1;
    // A launcher that somebody killed is replaced. What it may have started last ends as its control pipe is closed.
    pid_t pid = 0;
    for (int attempt = 0; attempt < 2 && pid == 0; attempt++)
        pid = order_program(&order, texts, output, error, control);
    int saved = pid == 0 ? ECHILD : errno;
    free(texts);
    errno = saved;
    return pid > 0 ? pid : -1;
}
