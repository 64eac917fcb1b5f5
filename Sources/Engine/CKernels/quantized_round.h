#ifndef MLOPS_QUANTIZED_ROUND_H
#define MLOPS_QUANTIZED_ROUND_H

// `value` rounded half to even, for |value| < 2^22: at 1.5 · 2^23 floats are whole numbers, and additions round half to even.
// Vectorises everywhere, where `rintf` is a call on processors without SSE4.1.
#define CK_Q_ROUND(value) (((value) + 12582912.0f) - 12582912.0f)

#endif
