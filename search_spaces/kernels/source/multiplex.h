// Depthwise convolution at half, the same and twice the resolution, and with two channels a group, in channels-last.
// Included once for each instruction set: see kernels.cpp.

// The taps of an output pixel that lie inside the map: where each begins in x, from the image's first value, and its weights.
struct Taps {
    std::vector<Int> x;
    std::vector<const float*> w;
};

// The channels from `at` on, each in the place of the other of its pair.
INLINE float partners(const float* x, Int at, float) { return x[at ^ 1]; }
#if defined(__clang__)  // it makes one shuffle of the loop
template <class T>
INLINE T partners(const float* x, Int at, T) {
    T value;
    for (int i = 0; i < int(sizeof(T) / sizeof(float)); ++i) value[i] = x[at + (i ^ 1)];
    return value;
}
#else
typedef int32_t WideInt __attribute__((vector_size(64)));
typedef int32_t HalfInt __attribute__((vector_size(32)));
typedef int32_t QuarterInt __attribute__((vector_size(16)));
INLINE Wide partners(const float* x, Int at, Wide) {
    return __builtin_shuffle(get<Wide>(x + at), WideInt{1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14});
}
INLINE Half partners(const float* x, Int at, Half) { return __builtin_shuffle(get<Half>(x + at), HalfInt{1, 0, 3, 2, 5, 4, 7, 6}); }
INLINE Quarter partners(const float* x, Int at, Quarter) { return __builtin_shuffle(get<Quarter>(x + at), QuarterInt{1, 0, 3, 2}); }
#endif

// T's channels of some pixels, which see the same taps `next_x` further on each; their outputs lie `next_y` apart. A tap has `size`
// weights, and where `PAIRED` as many again for the other channel of each pair.
template <class T, int PIXELS, bool PAIRED>
INLINE void weigh(const Taps& taps, const float* x, Int next_x, Int size, const float* bias, float* y, Int next_y, Int at, Int relu) {
    T sum[PIXELS];
    for (int i = 0; i < PIXELS; ++i) sum[i] = get<T>(bias + at);
    const size_t count = taps.x.size();
    for (size_t t = 0; t < count; ++t) {
        const float* from = x + taps.x[t];
        const T weight = get<T>(taps.w[t] + at);
        for (int i = 0; i < PIXELS; ++i) sum[i] += get<T>(from + i * next_x + at) * weight;
        if (PAIRED) {
            const T other = get<T>(taps.w[t] + size + at);
            for (int i = 0; i < PIXELS; ++i) sum[i] += partners(from + i * next_x, at, T{}) * other;
        }
    }
    for (int i = 0; i < PIXELS; ++i) {
        if (relu) sum[i] = sum[i] < 0 ? T{} : sum[i];  // so a not-a-number stays
        store(y + i * next_y + at, sum[i]);
    }
}

template <int PIXELS, bool PAIRED>
static void weigh_all(const Taps& taps, const float* x, Int next_x, Int size, const float* bias, float* y, Int next_y, Int relu) {
    Int at = 0;
    for (; at + LENGTH <= size; at += LENGTH) weigh<Register, PIXELS, PAIRED>(taps, x, next_x, size, bias, y, next_y, at, relu);
    for (; at + 8 <= size; at += 8) weigh<Half, PIXELS, PAIRED>(taps, x, next_x, size, bias, y, next_y, at, relu);
    for (; at + 4 <= size; at += 4) weigh<Quarter, PIXELS, PAIRED>(taps, x, next_x, size, bias, y, next_y, at, relu);
    for (; at < size; ++at) weigh<float, PIXELS, PAIRED>(taps, x, next_x, size, bias, y, next_y, at, relu);
}

// One part of the channels: see multiplex. `first` is where the part begins among all channels of x and y.
struct Part {
    const float *w, *bias;
    Int height, width, channels, first, size, k, stride, scale, paired, relu;

    // Rows and columns are alike: which one of x a tap of output i reads, beyond the map or below 0 if none, and which half it is of.
    Int from(Int i, Int half, Int tap) const {
        const Int p = (scale < 0 ? i >> 1 : scale > 0 ? 2 * i + half : i) * stride + tap - k / 2;
        return p < 0 ? -1 : scale < 0 ? 2 * p + (i & 1) : scale > 0 ? p >> 1 : p;
    }
    Int side(Int i, Int half, Int tap) const { return scale > 0 ? ((2 * i + half) * stride + tap - k / 2) & 1 : 0; }

    // The taps of output (i, j); `a` and `b` say which quarter of the channels it is of, at scale +1.
    void taps(Int i, Int j, Int a, Int b, Taps& found) const {
        const Int length = scale > 0 ? size / 4 : size, phase = scale < 0 ? (i & 1) * 2 + (j & 1) : 0;
        found.x.clear();
        found.w.clear();
        for (Int u = 0; u < k; ++u) {
            const Int row = from(i, a, u);
            if (row < 0 || row >= height) continue;
            for (Int v = 0; v < k; ++v) {
                const Int column = from(j, b, v);
                if (column < 0 || column >= width) continue;
                const Int quarter = side(i, a, u) * 2 + side(j, b, v);
                found.x.push_back((row * width + column) * channels + first + quarter * length);
                found.w.push_back(w + ((phase * k + u) * k + v) * length * (paired ? 2 : 1));
            }
        }
    }

    // One row of the output. Outputs `hop` apart see the same taps further on, unless some of their columns are beyond an edge.
    void row(const float* x, float* y, Int i, Int columns, Taps& found) const {
        const Int hop = scale < 0 ? 2 : 1, next = (scale < 0 ? 2 : 1) * stride * channels;
        const Int runs = scale > 0 ? 4 : 1, length = size / runs;
        for (Int run = 0; run < runs; ++run)
            for (Int start = 0; start < hop; ++start) {
                const Int a = run >> 1, b = run & 1, shift = first + run * length;
                for (Int j = start; j < columns;) {
                    taps(i, j, a, b, found);
                    Int same = 1;
                    if (from(j, b, 0) >= 0)
                        while (j + same * hop < columns && from(j + same * hop, b, k - 1) < width) ++same;
                    const float *at = x, *own = bias + run * length;
                    while (same > 0) {
                        const Int some = same >= 8 ? 8 : same >= 4 ? 4 : 1;
                        const auto all = some == 8 ? (paired ? weigh_all<8, true> : weigh_all<8, false>)
                            : some == 4            ? (paired ? weigh_all<4, true> : weigh_all<4, false>)
                                                   : (paired ? weigh_all<1, true> : weigh_all<1, false>);
                        all(found, at, next, length, own, y + j * channels + shift, hop * channels, relu);
                        same -= some, j += some * hop, at += some * next;
                    }
                }
            }
    }
};

// One part of the channels, `size` of them from channel `first` on: x (images, height, width, channels) ->
// y (images, ⌈height/stride⌉, ⌈width/stride⌉, channels), with bias and ReLU if asked for.
// scale 0: w (k·k, size). scale −1: each pixel of a 2×2 patch sees the like pixels of other patches, w (4, k·k, size).
// scale +1: a quarter of the channels is each of the pixels of a patch, w (k·k, size/4). paired, at scale 0: w (k·k, 2, size), for the
// channel itself and for the other of its pair.
static void multiplex(
    const float* x, const float* w, const float* bias, float* y, Int images, Int height, Int width, Int channels, Int first, Int size,
    Int k, Int stride, Int scale, Int paired, Int relu, Int threads) {
    const Int rows = (height + stride - 1) / stride, columns = (width + stride - 1) / stride;
    const Part part{w, bias, height, width, channels, first, size, k, stride, scale, paired, relu};
    if (images * rows * columns * size < SMALL) threads = 1;
    split(images * rows, threads * 4, threads, [&](Int begin, Int end) {
        Taps found;
        for (Int row = begin; row < end; ++row)
            part.row(x + row / rows * height * width * channels, y + row * columns * channels, row % rows, columns, found);
    });
}
