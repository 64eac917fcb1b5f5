#include "CHashes.h"

#include <string.h>

static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#define FAST __attribute__((target("sha,sse4.1,ssse3,avx"), always_inline)) static inline
#define KERNEL __attribute__((target("sha,sse4.1,ssse3,avx"), noinline)) static

static const uint32_t constants[64] __attribute__((aligned(64))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

int mlops_sha256_is_here(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & (1u << 29))) return 0;
    return __builtin_cpu_supports("avx") && __builtin_cpu_supports("sse4.1");
}

// The instructions want the state as the words A B E F and C D G H.
FAST void load_state(const uint32_t *state, __m128i *abef, __m128i *cdgh) {
    __m128i low = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xB1);
    __m128i high = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1B);
    *abef = _mm_alignr_epi8(low, high, 8);
    *cdgh = _mm_blend_epi16(high, low, 0xF0);
}

FAST void store_state(uint32_t *state, __m128i abef, __m128i cdgh) {
    __m128i low = _mm_shuffle_epi32(abef, 0x1B);
    __m128i high = _mm_shuffle_epi32(cdgh, 0xB1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(low, high, 0xF0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(high, low, 8));
}

FAST __m128i load_words(const uint8_t *bytes) {
    const __m128i order = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)bytes), order);
}

// Four rounds with the words `m`.
#define ROUNDS(abef, cdgh, m, number)                                                                  \
    do {                                                                                               \
        __m128i w = _mm_add_epi32(m, _mm_load_si128((const __m128i *)(constants + 4 * (number))));     \
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, w);                                                   \
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(w, 0x0E));                          \
    } while (0)

// The next four words, from the sixteen before: `m0` the oldest, `m3` the newest.
#define NEXT(m0, m1, m2, m3) \
    _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(m0, m1), _mm_alignr_epi8(m3, m2, 4)), m3)

#define EACH(step)                                                                                         \
    step(0, 0, 1, 2, 3) step(1, 1, 2, 3, 0) step(2, 2, 3, 0, 1) step(3, 3, 0, 1, 2) step(4, 0, 1, 2, 3)    \
    step(5, 1, 2, 3, 0) step(6, 2, 3, 0, 1) step(7, 3, 0, 1, 2) step(8, 0, 1, 2, 3) step(9, 1, 2, 3, 0)    \
    step(10, 2, 3, 0, 1) step(11, 3, 0, 1, 2)

KERNEL void one(uint32_t *state, const uint8_t *bytes, size_t blocks) {
    __m128i a, c;
    load_state(state, &a, &c);
    for (; blocks > 0; blocks--, bytes += 64) {
        const __m128i a_before = a, c_before = c;
        __m128i m[4];
        for (int i = 0; i < 4; i++) m[i] = load_words(bytes + 16 * i);
#define STEP(number, i0, i1, i2, i3)          \
    ROUNDS(a, c, m[i0], number);              \
    m[i0] = NEXT(m[i0], m[i1], m[i2], m[i3]);
        EACH(STEP)
#undef STEP
        for (int i = 0; i < 4; i++) ROUNDS(a, c, m[i], 12 + i);
        a = _mm_add_epi32(a, a_before);
        c = _mm_add_epi32(c, c_before);
    }
    store_state(state, a, c);
}

KERNEL void two(uint32_t *state, const uint8_t *bytes, uint32_t *other_state, const uint8_t *other, size_t blocks) {
    __m128i a, c, e, g;
    load_state(state, &a, &c);
    load_state(other_state, &e, &g);
    for (; blocks > 0; blocks--, bytes += 64, other += 64) {
        const __m128i a_before = a, c_before = c, e_before = e, g_before = g;
        __m128i m[4], n[4];
        for (int i = 0; i < 4; i++) {
            m[i] = load_words(bytes + 16 * i);
            n[i] = load_words(other + 16 * i);
        }
#define STEP(number, i0, i1, i2, i3)          \
    ROUNDS(a, c, m[i0], number);              \
    ROUNDS(e, g, n[i0], number);              \
    m[i0] = NEXT(m[i0], m[i1], m[i2], m[i3]); \
    n[i0] = NEXT(n[i0], n[i1], n[i2], n[i3]);
        EACH(STEP)
#undef STEP
        for (int i = 0; i < 4; i++) {
            ROUNDS(a, c, m[i], 12 + i);
            ROUNDS(e, g, n[i], 12 + i);
        }
        a = _mm_add_epi32(a, a_before);
        c = _mm_add_epi32(c, c_before);
        e = _mm_add_epi32(e, e_before);
        g = _mm_add_epi32(g, g_before);
    }
    store_state(state, a, c);
    store_state(other_state, e, g);
}

#define WIDE __attribute__((target("avx512f,avx512bw"), always_inline)) static inline
#define WIDE_KERNEL __attribute__((target("avx512f,avx512bw"), noinline)) static

int mlops_sha256_lanes(void) {
    if (!mlops_sha256_is_here()) return 0;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") ? 16 : 2;
}

// Turns rows into columns: word `j` of row `i` becomes word `i` of row `j`.
WIDE void transpose(__m512i *rows) {
    __m512i t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    // In each quarter of 128 bits four rows now stand as columns.
    for (int i = 0; i < 16; i += 4) {
        rows[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        rows[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        rows[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        rows[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    // What is left is to turn the 4 × 4 quarters.
    for (int i = 0; i < 4; i++) {
        const __m512i a = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0x88);
        const __m512i b = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0xDD);
        const __m512i c = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0x88);
        const __m512i d = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0xDD);
        t[i] = _mm512_shuffle_i32x4(a, c, 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(b, d, 0x88);
        t[i + 8] = _mm512_shuffle_i32x4(a, c, 0xDD);
        t[i + 12] = _mm512_shuffle_i32x4(b, d, 0xDD);
    }
    for (int i = 0; i < 16; i++) rows[i] = t[i];
}

#define XOR3(x, y, z) _mm512_ternarylogic_epi32(x, y, z, 0x96)

// Sixteen texts side by side, a word of each in a register: FIPS 180-4, section 6.2, with one lane a text.
WIDE_KERNEL void sixteen(uint32_t (*states)[16], const uint8_t **texts, size_t blocks) {
    const __m512i order = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL));
    __m512i s[8];
    for (int i = 0; i < 8; i++) s[i] = _mm512_loadu_si512(states[i]);
    for (size_t at = 0; at < blocks * 64; at += 64) {
        __m512i w[16], a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
        for (int i = 0; i < 16; i++) w[i] = _mm512_shuffle_epi8(_mm512_loadu_si512(texts[i] + at), order);
        transpose(w);
#define ROUND(a, b, c, d, e, f, g, h, number)                                                                        \
    do {                                                                                                             \
        const __m512i t1 = _mm512_add_epi32(                                                                         \
            _mm512_add_epi32(h, _mm512_add_epi32(w[(number) % 16], _mm512_set1_epi32((int)constants[turn + (number)]))), \
            _mm512_add_epi32(XOR3(_mm512_ror_epi32(e, 6), _mm512_ror_epi32(e, 11), _mm512_ror_epi32(e, 25)),         \
                             _mm512_ternarylogic_epi32(e, f, g, 0xCA)));                                             \
        const __m512i t2 =                                                                                           \
            _mm512_add_epi32(XOR3(_mm512_ror_epi32(a, 2), _mm512_ror_epi32(a, 13), _mm512_ror_epi32(a, 22)),         \
                             _mm512_ternarylogic_epi32(a, b, c, 0xE8));                                              \
        d = _mm512_add_epi32(d, t1);                                                                                 \
        h = _mm512_add_epi32(t1, t2);                                                                                \
    } while (0)
#define EIGHT(first)                                                                              \
    ROUND(a, b, c, d, e, f, g, h, first); ROUND(h, a, b, c, d, e, f, g, first + 1);               \
    ROUND(g, h, a, b, c, d, e, f, first + 2); ROUND(f, g, h, a, b, c, d, e, first + 3);           \
    ROUND(e, f, g, h, a, b, c, d, first + 4); ROUND(d, e, f, g, h, a, b, c, first + 5);           \
    ROUND(c, d, e, f, g, h, a, b, first + 6); ROUND(b, c, d, e, f, g, h, a, first + 7)
        for (int turn = 0; turn < 64; turn += 16) {
            EIGHT(0);
            EIGHT(8);
            if (turn == 48) break;
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) {
                const __m512i x = w[(i + 1) % 16], y = w[(i + 14) % 16];
                w[i] = _mm512_add_epi32(
                    _mm512_add_epi32(w[i], w[(i + 9) % 16]),
                    _mm512_add_epi32(XOR3(_mm512_ror_epi32(x, 7), _mm512_ror_epi32(x, 18), _mm512_srli_epi32(x, 3)),
                                     XOR3(_mm512_ror_epi32(y, 17), _mm512_ror_epi32(y, 19), _mm512_srli_epi32(y, 10))));
            }
        }
#undef EIGHT
#undef ROUND
        s[0] = _mm512_add_epi32(s[0], a);
        s[1] = _mm512_add_epi32(s[1], b);
        s[2] = _mm512_add_epi32(s[2], c);
        s[3] = _mm512_add_epi32(s[3], d);
        s[4] = _mm512_add_epi32(s[4], e);
        s[5] = _mm512_add_epi32(s[5], f);
        s[6] = _mm512_add_epi32(s[6], g);
        s[7] = _mm512_add_epi32(s[7], h);
    }
    for (int i = 0; i < 8; i++) _mm512_storeu_si512(states[i], s[i]);
}

#else

int mlops_sha256_is_here(void) { return 0; }

int mlops_sha256_lanes(void) { return 0; }

static void one(uint32_t *state, const uint8_t *bytes, size_t blocks) {
    (void)state, (void)bytes, (void)blocks;
    __builtin_trap();
}

static void two(uint32_t *state, const uint8_t *bytes, uint32_t *other_state, const uint8_t *other, size_t blocks) {
    (void)state, (void)bytes, (void)other_state, (void)other, (void)blocks;
    __builtin_trap();
}

static void sixteen(uint32_t (*states)[16], const uint8_t **texts, size_t blocks) {
    (void)states, (void)texts, (void)blocks;
    __builtin_trap();
}

#endif

void mlops_sha256_start(mlops_sha256 *hash) {
    memcpy(hash->state, initial, sizeof initial);
    hash->count = 0;
}

// Takes bytes until the unfinished block of `hash` is full or they end; the count of bytes taken.
static size_t fill_rest(mlops_sha256 *hash, const uint8_t *bytes, size_t count) {
    size_t used = hash->count % 64;
    if (used == 0) return 0;
    size_t taken = count < 64 - used ? count : 64 - used;
    memcpy(hash->rest + used, bytes, taken);
    hash->count += taken;
    if (used + taken == 64) one(hash->state, hash->rest, 1);
    return taken;
}

static void keep_rest(mlops_sha256 *hash, const uint8_t *bytes, size_t count) {
    memcpy(hash->rest, bytes, count);
    hash->count += count;
}

void mlops_sha256_update(mlops_sha256 *hash, const uint8_t *bytes, size_t count) {
    if (count == 0) return;
    size_t taken = fill_rest(hash, bytes, count);
    bytes += taken;
    count -= taken;
    size_t blocks = count / 64;
    if (blocks > 0) one(hash->state, bytes, blocks);
    hash->count += blocks * 64;
    if (count % 64 > 0) keep_rest(hash, bytes + blocks * 64, count % 64);
}

// A state as the bytes of a digest.
static void write_state(const uint32_t *state, uint8_t *bytes) {
    for (int i = 0; i < 8; i++) {
        for (int j = 0; j < 4; j++) bytes[4 * i + j] = (uint8_t)(state[i] >> (24 - 8 * j));
    }
}

static void read_state(const uint8_t *bytes, uint32_t *state) {
    for (int i = 0; i < 8; i++, bytes += 4) {
        state[i] = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    }
}

void mlops_sha256_midstate(const mlops_sha256 *hash, uint8_t *midstate) { write_state(hash->state, midstate); }

void mlops_sha256_resume(mlops_sha256 *hash, const uint8_t *midstate, uint64_t count) {
    read_state(midstate, hash->state);
    hash->count = count;
}

// Pads the last `count` bytes of a text of `total` bytes and writes its digest.
static void finish(uint32_t *state, const uint8_t *rest, size_t count, uint64_t total, uint8_t *digest) {
    uint8_t last[128] = {0};
    if (count > 0) memcpy(last, rest, count);
    last[count] = 0x80;
    size_t length = count < 56 ? 64 : 128;
    for (int i = 0; i < 8; i++) last[length - 1 - i] = (uint8_t)(total * 8 >> (8 * i));
    one(state, last, length / 64);
    write_state(state, digest);
}

void mlops_sha256_finish(mlops_sha256 *hash, uint8_t *digest) {
    finish(hash->state, hash->rest, hash->count % 64, hash->count, digest);
}

// One text after the other through one state.
typedef struct {
    uint32_t state[8];
    const uint8_t *bytes;
    size_t length;
    // Whole blocks that are left, and where they begin.
    size_t blocks;
    const uint8_t *next;
    uint8_t *digest;
} lane;

static void begin(lane *lane, const uint8_t *bytes, size_t length, uint8_t *digest) {
    memcpy(lane->state, initial, sizeof initial);
    lane->bytes = lane->next = bytes;
    lane->length = length;
    lane->blocks = length / 64;
    lane->digest = digest;
}

static void advance(lane *lane, size_t blocks) {
    lane->next += blocks * 64;
    lane->blocks -= blocks;
}

static void end(lane *lane) {
    finish(lane->state, lane->bytes + lane->length / 64 * 64, lane->length % 64, lane->length, lane->digest);
}

void mlops_sha256_with_pieces(mlops_sha256 *whole, const uint8_t *bytes, size_t count, const uint8_t *first,
                              const uint32_t *lengths, size_t pieces, uint8_t *digests) {
    size_t taken = count > 0 ? fill_rest(whole, bytes, count) : 0;
    bytes += taken;
    count -= taken;
    size_t left = count / 64;
    for (size_t i = 0; i < pieces; i++) {
        lane piece;
        begin(&piece, first, lengths[i], digests + 32 * i);
        size_t common = piece.blocks < left ? piece.blocks : left;
        if (common > 0) two(whole->state, bytes, piece.state, piece.next, common);
        bytes += common * 64;
        left -= common;
        advance(&piece, common);
        if (piece.blocks > 0) one(piece.state, piece.next, piece.blocks);
        end(&piece);
        first += lengths[i];
    }
    if (left > 0) one(whole->state, bytes, left);
    bytes += left * 64;
    whole->count += count / 64 * 64;
    if (count % 64 > 0) keep_rest(whole, bytes, count % 64);
}

enum { most_lanes = 16, fewest_side_by_side = 11 };

// Moves all of `lanes` on by the blocks that the shortest of them has left. Sixteen cost the same however many of them are
// wanted; so fewer than `fewest_side_by_side` go two at a time.
static void advance_all(lane *lanes, size_t count, int is_wide) {
    size_t common = lanes[0].blocks;
    for (size_t i = 1; i < count; i++) common = lanes[i].blocks < common ? lanes[i].blocks : common;
    if (common == 0) return;
    if (is_wide && count >= fewest_side_by_side) {
        uint32_t states[8][most_lanes];
        const uint8_t *texts[most_lanes];
        for (size_t i = 0; i < most_lanes; i++) {
            const lane *source = &lanes[i < count ? i : 0];
            texts[i] = source->next;
            for (int j = 0; j < 8; j++) states[j][i] = source->state[j];
        }
        sixteen(states, texts, common);
        for (size_t i = 0; i < count; i++) {
            for (int j = 0; j < 8; j++) lanes[i].state[j] = states[j][i];
        }
    } else {
        for (size_t i = 0; i + 1 < count; i += 2) {
            two(lanes[i].state, lanes[i].next, lanes[i + 1].state, lanes[i + 1].next, common);
        }
        if (count % 2 == 1) one(lanes[count - 1].state, lanes[count - 1].next, common);
    }
    for (size_t i = 0; i < count; i++) advance(&lanes[i], common);
}

// Hashes `count` texts, as many side by side as `width` says. `are_stretches`: each is whole blocks and goes on from the midstate
// where its result goes.
static void hash_each(const uint8_t *const *texts, const size_t *lengths, size_t count, uint8_t *results, int width,
                      int are_stretches) {
    lane lanes[most_lanes];
    const int is_wide = width == most_lanes;
    size_t taken = 0, busy = 0;
    while (taken < count || busy > 0) {
        // What is left of a few texts goes two at a time, so that the second waits for no third.
        const size_t rest = busy + (count - taken);
        const size_t most = is_wide && rest >= fewest_side_by_side ? most_lanes : 2;
        while (busy < most && taken < count) {
            lane *next = &lanes[busy++];
            begin(next, texts[taken], lengths[taken], results + 32 * taken);
            if (are_stretches) read_state(next->digest, next->state);
            taken++;
        }
        advance_all(lanes, busy, is_wide);
        for (size_t i = busy; i-- > 0;) {
            if (lanes[i].blocks > 0) continue;
            if (are_stretches) write_state(lanes[i].state, lanes[i].digest);
            else end(&lanes[i]);
            lanes[i] = lanes[--busy];
        }
    }
}

void mlops_sha256_of_many(const uint8_t *const *texts, const size_t *lengths, size_t count, uint8_t *digests, int width) {
    hash_each(texts, lengths, count, digests, width, 0);
}

void mlops_sha256_advance(const uint8_t *const *stretches, const size_t *lengths, size_t count, uint8_t *midstates,
                          int width) {
    hash_each(stretches, lengths, count, midstates, width, 1);
}

// Keeps the compiler from folding a sum back into the chain of hashes.
#define APART(sum) __asm__("" : "+r"(sum))

size_t mlops_gear_cut(const uint8_t *bytes, size_t count, const uint64_t *gear, uint64_t limit, uint64_t *hash) {
    uint64_t h = *hash;
    size_t i = 0;
    // Four bytes a turn, their sums made beside the chain of hashes, so that the chain is two steps a turn and not eight.
    for (; i + 4 <= count; i += 4) {
        const uint64_t g1 = gear[bytes[i]], g2 = gear[bytes[i + 1]], g3 = gear[bytes[i + 2]], g4 = gear[bytes[i + 3]];
        uint64_t two = (g1 << 1) + g2, three = (two << 1) + g3, four = (three << 1) + g4;
        APART(two);
        APART(three);
        APART(four);
        const uint64_t h1 = (h << 1) + g1, h2 = (h << 2) + two, h3 = (h << 3) + three, h4 = (h << 4) + four;
        if (__builtin_expect(h1 < limit, 0)) return *hash = h1, i + 1;
        if (__builtin_expect(h2 < limit, 0)) return *hash = h2, i + 2;
        if (__builtin_expect(h3 < limit, 0)) return *hash = h3, i + 3;
        if (__builtin_expect(h4 < limit, 0)) return *hash = h4, i + 4;
        h = h4;
    }
    for (; i < count; i++) {
        h = (h << 1) + gear[bytes[i]];
        if (h < limit) {
            *hash = h;
            return i + 1;
        }
    }
    *hash = h;
    return 0;
}
