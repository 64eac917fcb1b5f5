INLINE T NAME(largest)(size_t n, const T *x) {
    T best = x[0];
    size_t i = 0;
    if (n >= LANES) {
        T acc[LANES];
        for (int k = 0; k < LANES; k++) acc[k] = x[k];
        for (i = LANES; i + LANES <= n; i += LANES)
            for (int k = 0; k < LANES; k++) acc[k] = acc[k] > x[i + k] ? acc[k] : x[i + k];
        for (int k = 0; k < LANES; k++) best = acc[k] > best ? acc[k] : best;
    }
    for (; i < n; i++) best = x[i] > best ? x[i] : best;
    return best;
}

INLINE T NAME(rowTotal)(size_t n, const T *x) {
    T acc[LANES] = {0}, total = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) acc[k] += x[i + k];
    for (; i < n; i++) total += x[i];
    for (int k = 0; k < LANES; k++) total += acc[k];
    return total;
}

INLINE T NAME(dot)(size_t n, const T *x, const T *y) {
    T acc[LANES] = {0}, total = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) acc[k] += x[i + k] * y[i + k];
    for (; i < n; i++) total += x[i] * y[i];
    for (int k = 0; k < LANES; k++) total += acc[k];
    return total;
}

// out = e^(x - shift); gives the sum.
INLINE T NAME(exponentials)(size_t n, const T *x, T shift, T *out) {
    for (size_t i = 0; i < n; i++) out[i] = EXP(x[i] - shift);
    return NAME(rowTotal)(n, out);
}

KERNEL void NAME(softmax)(size_t rows, size_t n, const T *x, T *out) {
    for (size_t r = 0; r < rows; r++, x += n, out += n) {
        T scale = 1 / NAME(exponentials)(n, x, NAME(largest)(n, x), out);
        for (size_t i = 0; i < n; i++) out[i] *= scale;
    }
}

KERNEL void NAME(logSoftmax)(size_t rows, size_t n, const T *x, T *out) {
    for (size_t r = 0; r < rows; r++, x += n, out += n) {
        T shift = NAME(largest)(n, x);
        T logarithm = LOG(NAME(exponentials)(n, x, shift, out));
        for (size_t i = 0; i < n; i++) out[i] = (x[i] - shift) - logarithm;
    }
}

KERNEL void NAME(softmaxGradient)(size_t rows, size_t n, const T *g, const T *y, T *out) {
    for (size_t r = 0; r < rows; r++, g += n, y += n, out += n) {
        T product = NAME(dot)(n, g, y);
        for (size_t i = 0; i < n; i++) out[i] = y[i] * (g[i] - product);
    }
}

KERNEL void NAME(logSoftmaxGradient)(size_t rows, size_t n, const T *g, const T *y, T *out) {
    for (size_t r = 0; r < rows; r++, g += n, y += n, out += n) {
        T total = NAME(rowTotal)(n, g);
        for (size_t i = 0; i < n; i++) out[i] = g[i] - EXP(y[i]) * total;
    }
}

KERNEL void NAME(crossEntropy)(size_t rows, size_t n, const T *x, const int64_t *labels, double smoothing,
                               const T *weights, T *loss, T *residual) {
    const T share = (T)(smoothing / (double)n), rest = (T)(1 - smoothing);
    T everywhere = weights ? share * NAME(rowTotal)(n, weights) : (T)smoothing;
    for (size_t r = 0; r < rows; r++, x += n, residual += n) {
        size_t label = (size_t)labels[r];
        T shift = NAME(largest)(n, x), sum = NAME(exponentials)(n, x, shift, residual);
        T at = rest * (weights ? weights[label] : 1), mass = at + everywhere;
        T logarithm = LOG(sum), value = at * (logarithm - (x[label] - shift));
        if (smoothing > 0) {
            T product = weights ? NAME(dot)(n, x, weights) : NAME(rowTotal)(n, x);
            value += everywhere * (logarithm + shift) - share * product;
        }
        loss[r] = value;
        T scale = mass / sum;
        for (size_t i = 0; i < n; i++) residual[i] *= scale;
        residual[label] -= at;
        if (smoothing > 0)
            for (size_t i = 0; i < n; i++) residual[i] -= share * (weights ? weights[i] : 1);
    }
}

KERNEL void NAME(bce)(size_t n, const T *x, const T *t, double positive, T *loss) {
    const T extra = (T)(positive - 1);
    for (size_t i = 0; i < n; i++) {
        // (1 - t) x + (1 + extra t) log(1 + e^-x), stable for either sign of x
        T softplus = (x[i] < 0 ? -x[i] : 0) + LOG1P(EXP(-ABS(x[i])));
        loss[i] = (1 - t[i]) * x[i] + (1 + extra * t[i]) * softplus;
    }
}

KERNEL void NAME(bceGradient)(size_t n, const T *g, int stepG, const T *x, const T *t, double positive, T *out) {
    const T extra = (T)(positive - 1);
    for (size_t i = 0; i < n; i++) {
        T rest = 1 / (1 + EXP(x[i]));  // 1 - sigmoid(x)
        out[i] = g[stepG ? i : 0] * ((1 - t[i]) - (1 + extra * t[i]) * rest);
    }
}

KERNEL void NAME(layerNorm)(size_t rows, size_t n, const T *x, const T *weight, const T *bias, double epsilon, T *y,
                            T *mean, T *inverse) {
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        T m = NAME(rowTotal)(n, x) / (T)n;
        for (size_t i = 0; i < n; i++) y[i] = x[i] - m;
        T s = 1 / SQRT(NAME(dot)(n, y, y) / (T)n + (T)epsilon);
        mean[r] = m;
        inverse[r] = s;
        for (size_t i = 0; i < n; i++) y[i] *= s;
        if (weight)
            for (size_t i = 0; i < n; i++) y[i] *= weight[i];
        if (bias)
            for (size_t i = 0; i < n; i++) y[i] += bias[i];
    }
}

KERNEL void NAME(layerNormGradient)(size_t rows, size_t n, const T *g, const T *x, const T *weight, const T *mean,
                                    const T *inverse, T *out) {
    for (size_t r = 0; r < rows; r++, g += n, x += n, out += n) {
        const T m = mean[r], s = inverse[r];
        for (size_t i = 0; i < n; i++) out[i] = weight ? g[i] * weight[i] : g[i];
        T average = NAME(rowTotal)(n, out) / (T)n;
        T product = (NAME(dot)(n, out, x) - m * average * (T)n) * s * s / (T)n;
        for (size_t i = 0; i < n; i++) out[i] = s * (out[i] - average - (x[i] - m) * product);
    }
}

KERNEL void NAME(layerNormParameters)(size_t rows, size_t n, const T *g, const T *x, const T *mean, const T *inverse,
                                      T *weightGradient, T *biasGradient) {
    memset(weightGradient, 0, n * sizeof(T));
    memset(biasGradient, 0, n * sizeof(T));
    for (size_t r = 0; r < rows; r++, g += n, x += n) {
        const T m = mean[r], s = inverse[r];
        for (size_t i = 0; i < n; i++) {
            weightGradient[i] += g[i] * ((x[i] - m) * s);
            biasGradient[i] += g[i];
        }
    }
}
