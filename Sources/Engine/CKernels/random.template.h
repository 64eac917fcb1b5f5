#if !IS_FAST
// The four words of block `block` of `seed`: Philox4x32-10, the same function as Basics.Philox.
INLINE void NAME(philox)(uint64_t seed, uint64_t block, uint32_t out[4]) {
    uint32_t x0 = (uint32_t)block, x1 = (uint32_t)(block >> 32), x2 = 0, x3 = 0;
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * x0, b = (uint64_t)0xCD9E8D57u * x2;
        x0 = (uint32_t)(b >> 32) ^ x1 ^ k0;
        x1 = (uint32_t)b;
        x2 = (uint32_t)(a >> 32) ^ x3 ^ k1;
        x3 = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = x0, out[1] = x1, out[2] = x2, out[3] = x3;
}

KERNEL void NAME(uniform)(uint64_t seed, size_t first, size_t n, double low, double high, T *out) {
    for (size_t i = 0; i < n; i += 4) {
        uint32_t words[4];
        NAME(philox)(seed, (first + i) / 4, words);
        for (size_t k = 0; k < 4 && i + k < n; k++)
            out[i + k] = (T)(low + (high - low) * ((words[k] >> 8) * 0x1p-24));
    }
}

KERNEL void NAME(normal)(uint64_t seed, size_t first, size_t n, double mean, double deviation, T *out) {
    for (size_t i = 0; i < n; i += 4) {
        uint32_t words[4];
        double values[4];
        NAME(philox)(seed, (first + i) / 4, words);
        for (int pair = 0; pair < 4; pair += 2) {  // Box and Muller; the first of a pair lies in (0, 1]
            double radius = sqrt(-2 * log((words[pair] + 1.0) * 0x1p-32));
            double angle = 6.283185307179586477 * (words[pair + 1] * 0x1p-32);
            values[pair] = radius * cos(angle);
            values[pair + 1] = radius * sin(angle);
        }
        for (size_t k = 0; k < 4 && i + k < n; k++) out[i + k] = (T)(mean + deviation * values[k]);
    }
}

KERNEL void NAME(dropoutMask)(uint64_t seed, size_t first, size_t n, double p, double scale, T *out) {
    uint64_t threshold = (uint64_t)(p * 4294967296.0);
    for (size_t i = 0; i < n; i += 4) {
        uint32_t words[4];
        NAME(philox)(seed, (first + i) / 4, words);
        for (size_t k = 0; k < 4 && i + k < n; k++) out[i + k] = words[k] >= threshold ? (T)scale : 0;
    }
}
#endif
