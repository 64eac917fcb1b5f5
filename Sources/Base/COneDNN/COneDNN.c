#include "COneDNN.h"
#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// MARK: Loading

#define FUNCTIONS(X)                                                                                                     \
    X(dnnl_engine_create) X(dnnl_stream_create) X(dnnl_stream_destroy) X(dnnl_version) X(dnnl_sgemm)                     \
    X(dnnl_memory_desc_init_by_tag) X(dnnl_memory_desc_get_size) X(dnnl_memory_create) X(dnnl_memory_destroy)           \
    X(dnnl_memory_set_data_handle) X(dnnl_primitive_attr_create) X(dnnl_primitive_attr_destroy)                          \
    X(dnnl_primitive_attr_set_scratchpad_mode) X(dnnl_primitive_attr_set_post_ops) X(dnnl_post_ops_create)               \
    X(dnnl_post_ops_destroy) X(dnnl_post_ops_append_sum) X(dnnl_post_ops_append_eltwise)                                \
    X(dnnl_dilated_convolution_forward_desc_init) X(dnnl_dilated_convolution_backward_data_desc_init)                    \
    X(dnnl_dilated_convolution_backward_weights_desc_init) X(dnnl_primitive_desc_create)                                \
    X(dnnl_primitive_desc_destroy) X(dnnl_primitive_desc_query) X(dnnl_primitive_desc_query_md) X(dnnl_primitive_create) \
    X(dnnl_primitive_destroy) X(dnnl_primitive_execute) X(dnnl_reorder_primitive_desc_create)

#define DECLARE(name) static __typeof__(name) *p_##name;
FUNCTIONS(DECLARE)
static void (*set_threads)(int);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int isLoaded;
static char error[512], version[32];
static dnnl_engine_t engine;

// What a thread needs: a stream, scratch memory, and that OpenMP's teams have one thread when it calls.
typedef struct {
    dnnl_stream_t stream;
    void *scratch;
    size_t scratchSize;
} worker;
static pthread_key_t workerKey;

static void freeWorker(void *pointer) {
    worker *w = pointer;
    if (w->stream) p_dnnl_stream_destroy(w->stream);
    free(w->scratch);
    free(w);
}

static void load(void) {
    // The threads of OpenMP are never asked for; should a caller's environment start them, they must not spin.
    setenv("OMP_WAIT_POLICY", "passive", 0);
    void *library = dlopen("libdnnl.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(error, sizeof error, "%s", dlerror());
        return;
    }
#define FIND(name)                                                                    \
    p_##name = (__typeof__(name) *)dlsym(library, #name);                             \
    if (!p_##name) {                                                                  \
        snprintf(error, sizeof error, "libdnnl.so.2 lacks %s", #name);                \
        return;                                                                       \
    }
    FUNCTIONS(FIND)
    // From the OpenMP that oneDNN was linked with; a build of it for one thread has none.
    set_threads = (void (*)(int))dlsym(library, "omp_set_num_threads");
    if (p_dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success || pthread_key_create(&workerKey, freeWorker) != 0) {
        snprintf(error, sizeof error, "libdnnl.so.2 cannot make an engine for this processor");
        return;
    }
    const dnnl_version_t *v = p_dnnl_version();
    snprintf(version, sizeof version, "%d.%d.%d", v->major, v->minor, v->patch);
    isLoaded = 1;
}

int mlops_dnn_load(void) {
    pthread_once(&once, load);
    return isLoaded ? 0 : -1;
}

const char *mlops_dnn_error(void) { return error; }
const char *mlops_dnn_version(void) { return version; }

static worker *self(void) {
    worker *w = pthread_getspecific(workerKey);
    if (w) return w;
    if (set_threads) set_threads(1);
    w = calloc(1, sizeof *w);
    if (!w || p_dnnl_stream_create(&w->stream, engine, dnnl_stream_default_flags) != dnnl_success) abort();
    pthread_setspecific(workerKey, w);
    return w;
}

static void *scratch(worker *w, size_t size) {
    if (w->scratchSize < size) {
        free(w->scratch);
        w->scratchSize = (size + 4095) / 4096 * 4096;
        w->scratch = aligned_alloc(4096, w->scratchSize);
        if (!w->scratch) abort();
    }
    return w->scratch;
}

void mlops_dnn_sgemm(int transA, int transB, int m, int n, int k, const float *a, int lda, const float *b, int ldb,
                     float beta, float *c, int ldc) {
    self();
    p_dnnl_sgemm(transA ? 'T' : 'N', transB ? 'T' : 'N', m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}

// MARK: Plans

enum { most_arguments = 5, most_contexts = 64, buckets = 1024, most_plans = 512 };

// The memory objects of one call: they hold its pointers, so that two calls of one plan need two of these.
typedef struct context {
    struct context *next;
    dnnl_exec_arg_t arguments[most_arguments];
} context;

struct mlops_dnn_plan {
    mlops_dnn_convolution key;
    mlops_dnn_plan *next;
    int uses;
    uint64_t lastUse;
    dnnl_primitive_desc_t description;
    dnnl_primitive_t primitive;
    dnnl_primitive_t reorder;
    size_t weightBytes, scratchBytes;
    uint64_t weightLayout;
    const dnnl_memory_desc_t *scratchDescription;
    dnnl_memory_desc_t plainWeights, packedWeights;
    int argumentCount;
    struct {
        int name;
        const dnnl_memory_desc_t *description;
    } arguments[most_arguments];
    pthread_mutex_t lock;
    context *idle;
};

static pthread_mutex_t plansLock = PTHREAD_MUTEX_INITIALIZER;
static mlops_dnn_plan *plans[buckets];
static int planCount;
static uint64_t clock_;

// FNV-1a over 32-bit words.
static uint64_t hash(const void *data, size_t size) {
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i + 4 <= size; i += 4) {
        uint32_t word;
        memcpy(&word, (const char *)data + i, 4);
        h = (h ^ word) * 1099511628211u;
    }
    return h;
}

static void destroy(mlops_dnn_plan *plan) {
    while (plan->idle) {
        context *c = plan->idle;
        plan->idle = c->next;
        for (int i = 0; i < plan->argumentCount; i++) p_dnnl_memory_destroy(c->arguments[i].memory);
        free(c);
    }
    if (plan->primitive) p_dnnl_primitive_destroy(plan->primitive);
    if (plan->reorder) p_dnnl_primitive_destroy(plan->reorder);
    if (plan->description) p_dnnl_primitive_desc_destroy(plan->description);
    pthread_mutex_destroy(&plan->lock);
    free(plan);
}

static dnnl_primitive_attr_t makeAttributes(const mlops_dnn_convolution *key) {
    dnnl_primitive_attr_t attributes = NULL;
    if (p_dnnl_primitive_attr_create(&attributes) != dnnl_success) return NULL;
    p_dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user);
    dnnl_post_ops_t after = NULL;
    if (key && (key->addsToOutput || key->activation) && p_dnnl_post_ops_create(&after) == dnnl_success) {
        if (key->addsToOutput) p_dnnl_post_ops_append_sum(after, 1);
        if (key->activation == MLOPS_DNN_RELU) p_dnnl_post_ops_append_eltwise(after, 1, dnnl_eltwise_relu, 0, 0);
        if (key->activation == MLOPS_DNN_RELU6) p_dnnl_post_ops_append_eltwise(after, 1, dnnl_eltwise_clip, 0, 6);
        p_dnnl_primitive_attr_set_post_ops(attributes, after);
        p_dnnl_post_ops_destroy(after);
    }
    return attributes;
}

// The descriptions of one convolution's arrays.
typedef struct {
    dnnl_memory_desc_t input, weights, bias, output;
    dnnl_dims_t strides, dilations, padBefore, padAfter;
} shapes;

static int describe(const mlops_dnn_convolution *k, shapes *s, dnnl_memory_desc_t *plainWeights) {
    dnnl_dims_t input = {k->batch, k->inputs, k->height, k->width}, bias = {k->outputs};
    dnnl_dims_t output = {k->batch, k->outputs, k->outHeight, k->outWidth};
    dnnl_dims_t one = {k->outputs, k->inputs, k->kernelHeight, k->kernelWidth};
    dnnl_dims_t grouped = {k->groups, k->outputs / k->groups, k->inputs / k->groups, k->kernelHeight, k->kernelWidth};
    int hasGroups = k->groups > 1, rank = hasGroups ? 5 : 4;
    const int64_t *weights = hasGroups ? grouped : one;
    int failed = p_dnnl_memory_desc_init_by_tag(&s->input, 4, input, dnnl_f32, dnnl_nhwc) != dnnl_success
        || p_dnnl_memory_desc_init_by_tag(&s->output, 4, output, dnnl_f32, dnnl_nhwc) != dnnl_success
        || p_dnnl_memory_desc_init_by_tag(&s->bias, 1, bias, dnnl_f32, dnnl_x) != dnnl_success
        || p_dnnl_memory_desc_init_by_tag(&s->weights, rank, weights, dnnl_f32, dnnl_format_tag_any) != dnnl_success
        || p_dnnl_memory_desc_init_by_tag(plainWeights, rank, weights, dnnl_f32, hasGroups ? dnnl_goihw : dnnl_oihw)
            != dnnl_success;
    memcpy(s->strides, (dnnl_dims_t){k->strideY, k->strideX}, sizeof(dnnl_dims_t));
    memcpy(s->dilations, (dnnl_dims_t){k->dilationY - 1, k->dilationX - 1}, sizeof(dnnl_dims_t));
    memcpy(s->padBefore, (dnnl_dims_t){k->padTop, k->padLeft}, sizeof(dnnl_dims_t));
    memcpy(s->padAfter, (dnnl_dims_t){k->padBottom, k->padRight}, sizeof(dnnl_dims_t));
    return failed ? -1 : 0;
}

static dnnl_primitive_desc_t forwardDescription(const mlops_dnn_convolution *k, const shapes *s, int isHint) {
    dnnl_convolution_desc_t operation;
    dnnl_primitive_desc_t description = NULL;
    if (p_dnnl_dilated_convolution_forward_desc_init(
            &operation, isHint ? dnnl_forward_training : dnnl_forward_inference, dnnl_convolution_direct, &s->input,
            &s->weights, k->hasBias ? &s->bias : NULL, &s->output, s->strides, s->dilations, s->padBefore, s->padAfter)
        != dnnl_success)
        return NULL;
    dnnl_primitive_attr_t attributes = makeAttributes(isHint ? NULL : k);
    if (p_dnnl_primitive_desc_create(&description, &operation, attributes, engine, NULL) != dnnl_success)
        description = NULL;
    p_dnnl_primitive_attr_destroy(attributes);
    return description;
}

static dnnl_primitive_desc_t gradientDescription(const mlops_dnn_convolution *k, const shapes *s) {
    dnnl_primitive_desc_t hint = forwardDescription(k, s, 1), description = NULL;
    if (!hint) return NULL;
    dnnl_convolution_desc_t operation;
    dnnl_status_t status = k->kind == MLOPS_DNN_INPUT_GRADIENT
        ? p_dnnl_dilated_convolution_backward_data_desc_init(
              &operation, dnnl_convolution_direct, &s->input, &s->weights, &s->output, s->strides, s->dilations,
              s->padBefore, s->padAfter)
        : p_dnnl_dilated_convolution_backward_weights_desc_init(
              &operation, dnnl_convolution_direct, &s->input, &s->weights, k->hasBias ? &s->bias : NULL, &s->output,
              s->strides, s->dilations, s->padBefore, s->padAfter);
    if (status == dnnl_success) {
        dnnl_primitive_attr_t attributes = makeAttributes(NULL);
        if (p_dnnl_primitive_desc_create(&description, &operation, attributes, engine, hint) != dnnl_success)
            description = NULL;
        p_dnnl_primitive_attr_destroy(attributes);
    }
    p_dnnl_primitive_desc_destroy(hint);
    return description;
}

static void addArgument(mlops_dnn_plan *plan, int name, dnnl_query_t query) {
    int place = plan->argumentCount++;
    plan->arguments[place].name = name;
    plan->arguments[place].description = p_dnnl_primitive_desc_query_md(plan->description, query, 0);
}

static void listArguments(mlops_dnn_plan *plan) {
    int hasBias = plan->key.hasBias;
    switch (plan->key.kind) {
    case MLOPS_DNN_FORWARD:
        addArgument(plan, DNNL_ARG_SRC, dnnl_query_src_md);
        addArgument(plan, DNNL_ARG_WEIGHTS, dnnl_query_weights_md);
        addArgument(plan, DNNL_ARG_DST, dnnl_query_dst_md);
        break;
    case MLOPS_DNN_INPUT_GRADIENT:
        addArgument(plan, DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md);
        addArgument(plan, DNNL_ARG_WEIGHTS, dnnl_query_weights_md);
        addArgument(plan, DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md);
        hasBias = 0;
        break;
    default:
        addArgument(plan, DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md);
        addArgument(plan, DNNL_ARG_DIFF_WEIGHTS, dnnl_query_diff_weights_md);
        addArgument(plan, DNNL_ARG_SRC, dnnl_query_src_md);
    }
    plan->scratchDescription = p_dnnl_primitive_desc_query_md(plan->description, dnnl_query_scratchpad_md, 0);
    plan->scratchBytes = plan->scratchDescription ? p_dnnl_memory_desc_get_size(plan->scratchDescription) : 0;
    addArgument(plan, DNNL_ARG_SCRATCHPAD, dnnl_query_scratchpad_md);
    if (!hasBias) return;
    int isForward = plan->key.kind == MLOPS_DNN_FORWARD, place = plan->argumentCount++;
    plan->arguments[place].name = isForward ? DNNL_ARG_BIAS : DNNL_ARG_DIFF_BIAS;
    plan->arguments[place].description = p_dnnl_primitive_desc_query_md(
        plan->description, isForward ? dnnl_query_weights_md : dnnl_query_diff_weights_md, 1);
}

static mlops_dnn_plan *make(const mlops_dnn_convolution *key) {
    self();
    mlops_dnn_plan *plan = calloc(1, sizeof *plan);
    shapes s;
    if (!plan) return NULL;
    plan->key = *key;
    pthread_mutex_init(&plan->lock, NULL);
    if (describe(key, &s, &plan->plainWeights) != 0) goto failed;
    plan->description = key->kind == MLOPS_DNN_FORWARD ? forwardDescription(key, &s, 0) : gradientDescription(key, &s);
    if (!plan->description) goto failed;
    const char *name = "";
    p_dnnl_primitive_desc_query(plan->description, dnnl_query_impl_info_str, 0, &name);
    if (strncmp(name, "ref", 3) == 0) goto failed;
    listArguments(plan);
    plan->packedWeights = *plan->arguments[1].description;
    plan->weightBytes = p_dnnl_memory_desc_get_size(&plan->packedWeights);
    plan->weightLayout = hash(&plan->packedWeights, sizeof plan->packedWeights);
    int packs = key->kind != MLOPS_DNN_WEIGHT_GRADIENT;
    dnnl_primitive_desc_t reorder = NULL;
    if (p_dnnl_primitive_create(&plan->primitive, plan->description) != dnnl_success)
        goto failed;
    if (p_dnnl_reorder_primitive_desc_create(&reorder, packs ? &plan->plainWeights : &plan->packedWeights, engine,
                                             packs ? &plan->packedWeights : &plan->plainWeights, engine, NULL)
        != dnnl_success)
        goto failed;
    dnnl_status_t status = p_dnnl_primitive_create(&plan->reorder, reorder);
    p_dnnl_primitive_desc_destroy(reorder);
    if (status == dnnl_success) return plan;
failed:
    destroy(plan);
    return NULL;
}

// Forgets the plan that was used longest ago of those that nobody holds.
static mlops_dnn_plan *evict(void) {
    mlops_dnn_plan **oldest = NULL;
    for (int b = 0; b < buckets; b++)
        for (mlops_dnn_plan **link = &plans[b]; *link; link = &(*link)->next)
            if ((*link)->uses == 0 && (!oldest || (*link)->lastUse < (*oldest)->lastUse)) oldest = link;
    if (!oldest) return NULL;
    mlops_dnn_plan *plan = *oldest;
    *oldest = plan->next;
    planCount--;
    return plan;
}

mlops_dnn_plan *mlops_dnn_acquire(const mlops_dnn_convolution *convolution) {
    size_t bucket = (hash(convolution, sizeof *convolution) >> 20) % buckets;
    pthread_mutex_lock(&plansLock);
    mlops_dnn_plan *plan = plans[bucket], *victim = NULL;
    while (plan && memcmp(&plan->key, convolution, sizeof *convolution) != 0) plan = plan->next;
    if (!plan && (plan = make(convolution))) {
        if (planCount >= most_plans) victim = evict();
        plan->next = plans[bucket];
        plans[bucket] = plan;
        planCount++;
    }
    if (plan) {
        plan->uses++;
        plan->lastUse = ++clock_;
    }
    pthread_mutex_unlock(&plansLock);
    if (victim) destroy(victim);
    return plan;
}

void mlops_dnn_release(mlops_dnn_plan *plan) {
    pthread_mutex_lock(&plansLock);
    plan->uses--;
    pthread_mutex_unlock(&plansLock);
}

uint64_t mlops_dnn_weight_layout(const mlops_dnn_plan *plan) { return plan->weightLayout; }

size_t mlops_dnn_weight_bytes(const mlops_dnn_plan *plan) { return plan->weightBytes; }

// MARK: Running

static void reorder(mlops_dnn_plan *plan, const dnnl_memory_desc_t *from, const float *source,
                    const dnnl_memory_desc_t *to, float *target) {
    dnnl_memory_t a = NULL, b = NULL;
    worker *w = self();
    if (p_dnnl_memory_create(&a, from, engine, (void *)source) != dnnl_success
        || p_dnnl_memory_create(&b, to, engine, target) != dnnl_success)
        abort();
    dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, a}, {DNNL_ARG_TO, b}};
    if (p_dnnl_primitive_execute(plan->reorder, w->stream, 2, arguments) != dnnl_success) abort();
    p_dnnl_memory_destroy(a);
    p_dnnl_memory_destroy(b);
}

void mlops_dnn_pack(mlops_dnn_plan *plan, const float *weight, float *packed) {
    reorder(plan, &plan->plainWeights, weight, &plan->packedWeights, packed);
}

void mlops_dnn_unpack(mlops_dnn_plan *plan, const float *packed, float *weight) {
    reorder(plan, &plan->packedWeights, packed, &plan->plainWeights, weight);
}

static context *takeContext(mlops_dnn_plan *plan) {
    pthread_mutex_lock(&plan->lock);
    context *c = plan->idle;
    if (c) plan->idle = c->next;
    pthread_mutex_unlock(&plan->lock);
    if (c) return c;
    c = calloc(1, sizeof *c);
    if (!c) abort();
    for (int i = 0; i < plan->argumentCount; i++) {
        c->arguments[i].arg = plan->arguments[i].name;
        if (p_dnnl_memory_create(&c->arguments[i].memory, plan->arguments[i].description, engine, DNNL_MEMORY_NONE)
            != dnnl_success)
            abort();
    }
    return c;
}

static void run(mlops_dnn_plan *plan, const float *first, const float *weights, const float *third, const float *bias) {
    worker *w = self();
    context *c = takeContext(plan);
    const void *pointers[most_arguments] = {first, weights, third, scratch(w, plan->scratchBytes), bias};
    for (int i = 0; i < plan->argumentCount; i++)
        p_dnnl_memory_set_data_handle(c->arguments[i].memory, (void *)pointers[i]);
    if (p_dnnl_primitive_execute(plan->primitive, w->stream, plan->argumentCount, c->arguments) != dnnl_success) abort();
    pthread_mutex_lock(&plan->lock);
    c->next = plan->idle;
    plan->idle = c;
    pthread_mutex_unlock(&plan->lock);
}

void mlops_dnn_forward(mlops_dnn_plan *plan, const float *input, const float *packed, const float *bias, float *output) {
    run(plan, input, packed, output, bias);
}

void mlops_dnn_input_gradient(mlops_dnn_plan *plan, const float *gradient, const float *packed, float *inputGradient) {
    run(plan, gradient, packed, inputGradient, NULL);
}

void mlops_dnn_weight_gradient(mlops_dnn_plan *plan, const float *gradient, const float *input, float *packedGradient,
                               float *biasGradient) {
    run(plan, gradient, packedGradient, input, biasGradient);
}
