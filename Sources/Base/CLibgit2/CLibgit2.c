#include "CLibgit2.h"

int mlops_git_accept_extensions(const char *const *names, size_t count) {
    return git_libgit2_opts(GIT_OPT_SET_EXTENSIONS, (const char **)names, count);
}
