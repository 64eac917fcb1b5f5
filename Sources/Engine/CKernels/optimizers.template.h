KERNEL void NAME(sgd)(const ck_step *s, size_t n, const T *gradient, T *velocity, T *value) {
    const T rate = (T)s->learningRate, decay = (T)s->weightDecay, momentum = (T)s->momentum;
    const T fresh = s->isFirst ? 1 : (T)(1 - s->dampening), kept = s->isFirst ? 0 : momentum;
    if (!velocity) {
        for (size_t i = 0; i < n; i++) value[i] -= rate * (gradient[i] + decay * value[i]);
        return;
    }
    const T past = s->isNesterov ? momentum : 1, present = s->isNesterov ? 1 : 0;
    for (size_t i = 0; i < n; i++) {
        T g = gradient[i] + decay * value[i];
        T v = kept * velocity[i] + fresh * g;
        velocity[i] = v;
        value[i] -= rate * (present * g + past * v);
    }
}

KERNEL void NAME(adagrad)(const ck_step *s, size_t n, const T *gradient, T *squares, T *value) {
    const T rate = (T)s->learningRate, decay = (T)s->weightDecay, epsilon = (T)s->epsilon;
    for (size_t i = 0; i < n; i++) {
        T g = gradient[i] + decay * value[i];
        T sum = squares[i] + g * g;
        squares[i] = sum;
        value[i] -= rate * g / (SQRT(sum) + epsilon);
    }
}

KERNEL void NAME(rmsProp)(const ck_step *s, size_t n, const T *gradient, void *const *states, T *value) {
    const T rate = (T)s->learningRate, decay = (T)s->weightDecay, epsilon = (T)s->epsilon, momentum = (T)s->momentum;
    const T kept = (T)s->beta2, fresh = (T)(1 - s->beta2);
    T *squares = states[0], *means = s->isCentered ? states[1] : 0, *velocity = states[s->isCentered ? 2 : 1];
    if (s->momentum == 0) velocity = 0;
    for (size_t i = 0; i < n; i++) {
        T g = gradient[i] + decay * value[i];
        T square = kept * squares[i] + fresh * g * g;
        squares[i] = square;
        if (means) {
            T mean = means[i] + fresh * (g - means[i]);
            means[i] = mean;
            square -= mean * mean;
        }
        T direction = g / (SQRT(square) + epsilon);
        if (velocity) velocity[i] = direction = momentum * velocity[i] + direction;
        value[i] -= rate * direction;
    }
}

KERNEL void NAME(adam)(const ck_step *s, size_t n, const T *gradient, T *first, T *second, T *largest, T *value) {
    const T rate = (T)(s->learningRate / (1 - pow(s->beta1, (double)s->step)));
    const T root = (T)(1 / sqrt(1 - pow(s->beta2, (double)s->step)));
    const T beta1 = (T)s->beta1, fresh1 = (T)(1 - s->beta1), beta2 = (T)s->beta2, fresh2 = (T)(1 - s->beta2);
    const T epsilon = (T)s->epsilon;
    const T decay = s->isDecoupled ? 0 : (T)s->weightDecay;
    const T kept = s->isDecoupled ? (T)(1 - s->learningRate * s->weightDecay) : 1;
    if (s->keepsMaximum) {
        for (size_t i = 0; i < n; i++) {
            T old = value[i] * kept, g = gradient[i] + decay * value[i];
            T m = first[i] * beta1 + fresh1 * g;
            T v = second[i] * beta2 + fresh2 * g * g;
            T top = largest[i] > v ? largest[i] : v;
            first[i] = m;
            second[i] = v;
            largest[i] = top;
            value[i] = old - rate * m / (SQRT(top) * root + epsilon);
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        T old = value[i] * kept, g = gradient[i] + decay * value[i];
        T m = first[i] * beta1 + fresh1 * g;
        T v = second[i] * beta2 + fresh2 * g * g;
        first[i] = m;
        second[i] = v;
        value[i] = old - rate * m / (SQRT(v) * root + epsilon);
    }
}

// The direction r = m̂ / (√v̂ + ε) + λ w of You et al., 2020, algorithm 2.
KERNEL void NAME(lamb)(const ck_step *s, size_t n, const T *gradient, T *first, T *second, const T *value, T *direction) {
    const T scale = (T)(1 / (1 - pow(s->beta1, (double)s->step)));
    const T root = (T)(1 / sqrt(1 - pow(s->beta2, (double)s->step)));
    const T beta1 = (T)s->beta1, fresh1 = (T)(1 - s->beta1), beta2 = (T)s->beta2, fresh2 = (T)(1 - s->beta2);
    const T epsilon = (T)s->epsilon, decay = (T)s->weightDecay;
    for (size_t i = 0; i < n; i++) {
        T g = gradient[i];
        T m = first[i] * beta1 + fresh1 * g;
        T v = second[i] * beta2 + fresh2 * g * g;
        first[i] = m;
        second[i] = v;
        direction[i] = scale * m / (SQRT(v) * root + epsilon) + decay * value[i];
    }
}

KERNEL void NAME(descend)(const ck_step *s, size_t n, const T *gradient, T *value) {
    const T rate = (T)s->learningRate;
    for (size_t i = 0; i < n; i++) value[i] -= rate * gradient[i];
}

KERNEL void NAME(average)(const ck_step *s, size_t n, const T *present, T *value) {
    const T fresh = (T)(1 - s->momentum);
    for (size_t i = 0; i < n; i++) value[i] += fresh * (present[i] - value[i]);
}

KERNEL void NAME(scaleStep)(const ck_step *s, size_t n, T *value) {
    const T factor = (T)s->learningRate;
    for (size_t i = 0; i < n; i++) value[i] *= factor;
}
