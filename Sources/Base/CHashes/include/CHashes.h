#ifndef MLOPS_CHASHES_H
#define MLOPS_CHASHES_H

#include <stddef.h>
#include <stdint.h>

// SHA-256 of several streams at once. The processor's instructions for one stream wait for each other; those of a second
// stream fill the gaps, so that two cost little more than one. Sixteen stand side by side in the registers of AVX-512, which
// is 1.6 times quicker than two at a time (2.9 GB/s against 1.4 of one stream and 1.8 of two, on a Xeon of 2023).

/// Whether this processor has what the functions below need. Without it nothing else here may be called.
int mlops_sha256_is_here(void);
/// How many texts this processor hashes side by side: 16 with AVX-512, else 2; 0 if `mlops_sha256_is_here` is.
int mlops_sha256_lanes(void);

/// SHA-256 of bytes that arrive piece by piece.
typedef struct {
    uint32_t state[8];
    /// Bytes so far.
    uint64_t count;
    /// The last `count % 64` bytes.
    uint8_t rest[64];
} mlops_sha256;

void mlops_sha256_start(mlops_sha256 *hash);
void mlops_sha256_update(mlops_sha256 *hash, const uint8_t *bytes, size_t count);
/// The 32 bytes of the digest. `hash` must be started anew before it is used again.
void mlops_sha256_finish(mlops_sha256 *hash, uint8_t *digest);

/// What `hash` has come to after whole blocks, 32 bytes: the intermediate hash value of FIPS 180-4.
void mlops_sha256_midstate(const mlops_sha256 *hash, uint8_t *midstate);
/// Makes `hash` one that has come to `midstate` after `count` bytes, which are whole blocks.
void mlops_sha256_resume(mlops_sha256 *hash, const uint8_t *midstate, uint64_t count);
/// Moves each of `count` midstates over a stretch of its own, whole blocks of 64 bytes; `width` of them side by side, as
/// `mlops_sha256_of_many`.
void mlops_sha256_advance(const uint8_t *const *stretches, const size_t *lengths, size_t count, uint8_t *midstates,
                          int width);

/// Continues `whole` with `count` bytes and at the same time writes the digests of `pieces` pieces, which follow each other
/// from `first` on and have the given lengths, 32 bytes each.
void mlops_sha256_with_pieces(mlops_sha256 *whole, const uint8_t *bytes, size_t count, const uint8_t *first,
                              const uint32_t *lengths, size_t pieces, uint8_t *digests);

/// Writes the digests of `count` texts, 32 bytes each, `width` texts side by side: 2, or 16 where `mlops_sha256_lanes` is.
void mlops_sha256_of_many(const uint8_t *const *texts, const size_t *lengths, size_t count, uint8_t *digests, int width);

// The rolling hash that cuts chunks.

/// Moves `*hash` over `bytes`, `h = (h << 1) + gear[byte]`, up to the first byte after which it is below `limit`.
/// Returns the count of bytes up to and with that byte, or 0 if there is none.
size_t mlops_gear_cut(const uint8_t *bytes, size_t count, const uint64_t *gear, uint64_t limit, uint64_t *hash);

#endif
