KERNEL void NAME(sgd)(const ck_sgd *s, size_t n, const T *gradient, T *velocity, T *value) {
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

KERNEL void NAME(adam)(const ck_adam *s, size_t n, const T *gradient, T *first, T *second, T *value) {
    const T rate = (T)(s->learningRate / (1 - pow(s->beta1, (double)s->step)));
    const T root = (T)(1 / sqrt(1 - pow(s->beta2, (double)s->step)));
    const T beta1 = (T)s->beta1, fresh1 = (T)(1 - s->beta1), beta2 = (T)s->beta2, fresh2 = (T)(1 - s->beta2);
    const T epsilon = (T)s->epsilon;
    const T decay = s->isDecoupled ? 0 : (T)s->weightDecay;
    const T kept = s->isDecoupled ? (T)(1 - s->learningRate * s->weightDecay) : 1;
    for (size_t i = 0; i < n; i++) {
        T old = value[i] * kept, g = gradient[i] + decay * value[i];
        T m = first[i] * beta1 + fresh1 * g;
        T v = second[i] * beta2 + fresh2 * g * g;
        first[i] = m;
        second[i] = v;
        value[i] = old - rate * m / (SQRT(v) * root + epsilon);
    }
}
