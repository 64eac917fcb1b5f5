#include "CLibgit2.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

// libgit2 brings fifteen libraries along, those of Kerberos and TLS among them: loading and relocating them would cost
// every start of the program some milliseconds. So it is loaded by the first who wants it; the functions of its header are
// defined here, and each calls the loaded one.

#define LIBRARY "libgit2.so." LIBGIT2_SOVERSION

#define FUNCTIONS(each) \
    each(void, git_blob_free, (git_blob *blob), (blob)) \
    each(int, git_blob_lookup, (git_blob **blob, git_repository *repo, const git_oid *id), (blob, repo, id)) \
    each(const void *, git_blob_rawcontent, (const git_blob *blob), (blob)) \
    each(git_object_size_t, git_blob_rawsize, (const git_blob *blob), (blob)) \
    each(void, git_buf_dispose, (git_buf *buffer), (buffer)) \
    each(const git_signature *, git_commit_author, (const git_commit *commit), (commit)) \
    each(void, git_commit_free, (git_commit *commit), (commit)) \
    each(const git_oid *, git_commit_id, (const git_commit *commit), (commit)) \
    each(int, git_commit_lookup, (git_commit **commit, git_repository *repo, const git_oid *id), (commit, repo, id)) \
    each(int, git_commit_parent, (git_commit **out, const git_commit *commit, unsigned int n), (out, commit, n)) \
    each(const git_oid *, git_commit_parent_id, (const git_commit *commit, unsigned int n), (commit, n)) \
    each(unsigned int, git_commit_parentcount, (const git_commit *commit), (commit)) \
    each(const char *, git_commit_summary, (git_commit *commit), (commit)) \
    each(git_time_t, git_commit_time, (const git_commit *commit), (commit)) \
    each(int, git_commit_tree, (git_tree **tree_out, const git_commit *commit), (tree_out, commit)) \
    each(const git_oid *, git_commit_tree_id, (const git_commit *commit), (commit)) \
    each(int, git_config_add_file_ondisk, (git_config *cfg, const char *path, git_config_level_t level, const \
        git_repository *repo, int force), (cfg, path, level, repo, force)) \
    each(int, git_config_delete_entry, (git_config *cfg, const char *name), (cfg, name)) \
    each(void, git_config_free, (git_config *cfg), (cfg)) \
    each(int, git_config_get_bool, (int *out, const git_config *cfg, const char *name), (out, cfg, name)) \
    each(int, git_config_get_path, (git_buf *out, const git_config *cfg, const char *name), (out, cfg, name)) \
    each(int, git_config_get_string_buf, (git_buf *out, const git_config *cfg, const char *name), (out, cfg, name)) \
    each(int, git_config_open_level, (git_config **out, const git_config *parent, git_config_level_t level), \
        (out, parent, level)) \
    each(int, git_config_set_string, (git_config *cfg, const char *name, const char *value), (cfg, name, value)) \
    each(const git_error *, git_error_last, (void), ()) \
    each(int, git_ignore_path_is_ignored, (int *ignored, git_repository *repo, const char *path), (ignored, \
        repo, path)) \
    each(size_t, git_index_entrycount, (const git_index *index), (index)) \
    each(int, git_index_find_prefix, (size_t *at_pos, git_index *index, const char *prefix), (at_pos, index, prefix)) \
    each(void, git_index_free, (git_index *index), (index)) \
    each(const git_index_entry *, git_index_get_byindex, (git_index *index, size_t n), (index, n)) \
    each(const git_index_entry *, git_index_get_bypath, (git_index *index, const char *path, int stage), \
        (index, path, stage)) \
    each(int, git_index_open, (git_index **out, const char *index_path), (out, index_path)) \
    each(int, git_index_read, (git_index *index, int force), (index, force)) \
    each(int, git_merge_file, (git_merge_file_result *out, const git_merge_file_input *ancestor, const \
        git_merge_file_input *ours, const git_merge_file_input *theirs, const git_merge_file_options *opts), \
        (out, ancestor, ours, theirs, opts)) \
    each(void, git_merge_file_result_free, (git_merge_file_result *result), (result)) \
    each(void, git_object_free, (git_object *object), (object)) \
    each(const git_oid *, git_object_id, (const git_object *obj), (obj)) \
    each(int, git_object_lookup, (git_object **object, git_repository *repo, const git_oid *id, git_object_t \
        type), (object, repo, id, type)) \
    each(int, git_object_peel, (git_object **peeled, const git_object *object, git_object_t target_type), \
        (peeled, object, target_type)) \
    each(void, git_odb_free, (git_odb *db), (db)) \
    each(int, git_odb_read_header, (size_t *len_out, git_object_t *type_out, git_odb *db, const git_oid *id), \
        (len_out, type_out, db, id)) \
    each(int, git_oid_equal, (const git_oid *a, const git_oid *b), (a, b)) \
    each(int, git_oid_fmt, (char *out, const git_oid *id), (out, id)) \
    each(int, git_oid_fromstr, (git_oid *out, const char *str), (out, str)) \
    each(int, git_oid_is_zero, (const git_oid *id), (id)) \
    each(void, git_reference_free, (git_reference *ref), (ref)) \
    each(int, git_reference_iterator_glob_new, (git_reference_iterator **out, git_repository *repo, const char *glob), \
        (out, repo, glob)) \
    each(void, git_reference_iterator_free, (git_reference_iterator *iter), (iter)) \
    each(int, git_reference_lookup, (git_reference **out, git_repository *repo, const char *name), (out, repo, name)) \
    each(int, git_reference_name_to_id, (git_oid *out, git_repository *repo, const char *name), (out, repo, name)) \
    each(int, git_reference_next_name, (const char **out, git_reference_iterator *iter), (out, iter)) \
    each(const char *, git_reference_symbolic_target, (const git_reference *ref), (ref)) \
    each(const char *, git_repository_commondir, (const git_repository *repo), (repo)) \
    each(int, git_repository_config, (git_config **out, git_repository *repo), (out, repo)) \
    each(void, git_repository_free, (git_repository *repo), (repo)) \
    each(int, git_repository_index, (git_index **out, git_repository *repo), (out, repo)) \
    each(int, git_repository_odb, (git_odb **out, git_repository *repo), (out, repo)) \
    each(int, git_repository_open_ext, (git_repository **out, const char *path, unsigned int flags, const char \
        *ceiling_dirs), (out, path, flags, ceiling_dirs)) \
    each(const char *, git_repository_path, (const git_repository *repo), (repo)) \
    each(const char *, git_repository_workdir, (const git_repository *repo), (repo)) \
    each(int, git_revparse_single, (git_object **out, git_repository *repo, const char *spec), (out, repo, spec)) \
    each(void, git_revwalk_free, (git_revwalk *walk), (walk)) \
    each(int, git_revwalk_hide, (git_revwalk *walk, const git_oid *commit_id), (walk, commit_id)) \
    each(int, git_revwalk_new, (git_revwalk **out, git_repository *repo), (out, repo)) \
    each(int, git_revwalk_next, (git_oid *out, git_revwalk *walk), (out, walk)) \
    each(int, git_revwalk_push, (git_revwalk *walk, const git_oid *id), (walk, id)) \
    each(int, git_revwalk_sorting, (git_revwalk *walk, unsigned int sort_mode), (walk, sort_mode)) \
    each(const git_status_entry *, git_status_byindex, (git_status_list *statuslist, size_t idx), (statuslist, idx)) \
    each(size_t, git_status_list_entrycount, (git_status_list *statuslist), (statuslist)) \
    each(void, git_status_list_free, (git_status_list *statuslist), (statuslist)) \
    each(int, git_status_list_new, (git_status_list **out, git_repository *repo, const git_status_options \
        *opts), (out, repo, opts)) \
    each(int, git_status_options_init, (git_status_options *opts, unsigned int version), (opts, version)) \
    each(void, git_strarray_dispose, (git_strarray *array), (array)) \
    each(int, git_tag_list, (git_strarray *tag_names, git_repository *repo), (tag_names, repo)) \
    each(const git_tree_entry *, git_tree_entry_byindex, (const git_tree *tree, size_t idx), (tree, idx)) \
    each(int, git_tree_entry_bypath, (git_tree_entry **out, const git_tree *root, const char *path), (out, \
        root, path)) \
    each(git_filemode_t, git_tree_entry_filemode, (const git_tree_entry *entry), (entry)) \
    each(void, git_tree_entry_free, (git_tree_entry *entry), (entry)) \
    each(const git_oid *, git_tree_entry_id, (const git_tree_entry *entry), (entry)) \
    each(const char *, git_tree_entry_name, (const git_tree_entry *entry), (entry)) \
    each(git_object_t, git_tree_entry_type, (const git_tree_entry *entry), (entry)) \
    each(size_t, git_tree_entrycount, (const git_tree *tree), (tree)) \
    each(void, git_tree_free, (git_tree *tree), (tree)) \
    each(const git_oid *, git_tree_id, (const git_tree *tree), (tree)) \
    each(int, git_tree_lookup, (git_tree **out, git_repository *repo, const git_oid *id), (out, repo, id))

#define DECLARE(result, name, parameters, arguments) static result(*loaded_##name) parameters;
FUNCTIONS(DECLARE)

#define DEFINE(result, name, parameters, arguments)                                                                    \
    result name parameters { return loaded_##name arguments; }
FUNCTIONS(DEFINE)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void *library;
static _Thread_local int is_starting;
static __typeof__(&git_libgit2_opts) options;
static int is_loaded;
static char error[512];

static void *find(const char *name) {
    void *symbol = dlsym(library, name);
    if (!symbol) snprintf(error, sizeof error, "%s lacks %s", LIBRARY, name);
    return symbol;
}

// libgit2 reads all certificates of the system when it starts, for connections that nobody makes here: `mlops` leaves them
// to the program git. That takes longer than all else of a start, so libgit2 finds this function before mbedTLS's own, and
// learns that there are none; a connection would be refused. Anybody else gets the real one.
__attribute__((visibility("default"))) int mbedtls_x509_crt_parse_file(void *chain, const char *path) {
    static const int file_error = -0x2900; // MBEDTLS_ERR_X509_FILE_IO_ERROR
    if (is_starting || !library) return file_error;
    int (*real)(void *, const char *) = (int (*)(void *, const char *))dlsym(library, "mbedtls_x509_crt_parse_file");
    return real ? real(chain, path) : file_error;
}

static void load(void) {
    library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(error, sizeof error, "%s", dlerror());
        return;
    }
#define FIND(result, name, parameters, arguments)                                                                      \
    loaded_##name = (__typeof__(loaded_##name))find(#name);                                                            \
    if (!loaded_##name) return;
    FUNCTIONS(FIND)
    options = (__typeof__(options))find("git_libgit2_opts");
    __typeof__(&git_libgit2_init) start = (__typeof__(start))find("git_libgit2_init");
    if (!options || !start) return;
    is_starting = 1;
    int count = start();
    is_starting = 0;
    if (count < 0) {
        snprintf(error, sizeof error, "%s does not start", LIBRARY);
        return;
    }
    is_loaded = 1;
}

int mlops_git_load(void) {
    pthread_once(&once, load);
    return is_loaded ? 0 : -1;
}

const char *mlops_git_load_error(void) { return error; }

int mlops_git_accept_extensions(const char *const *names, size_t count) {
    return options(GIT_OPT_SET_EXTENSIONS, (const char **)names, count);
}
