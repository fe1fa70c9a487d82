// Global average pooling and the gather of channels. Included once for each instruction set, after pix.h: see kernels.cpp.

// z[n, c] = mean over pixels of x, (images, channels, pixels) or, with `last`, (images, pixels, channels).
static void pool(const float* x, float* z, Int images, Int channels, Int pixels, Int last, Int threads) {
    const Int size = channels * pixels;
    if (images * size < SMALL) threads = 1;
    const Int inner = images >= threads ? 1 : threads;
    split(images, threads, inner == 1 ? threads : 1, [&](Int from, Int to) {
        for (Int n = from; n < to; ++n)
            split(channels, inner, inner, [&](Int begin, Int end) {
                if (last) pool_rows(x + n * size + begin, z + n * channels + begin, end - begin, channels, pixels);
                else pool_planes(x + n * size + begin * pixels, z + n * channels + begin, end - begin, pixels);
            });
    });
}

static void gather_rows(
    const float* RESTRICT x, const int32_t* RESTRICT from, float* RESTRICT y, Int begin, Int end, Int channels, Int out) {
    for (Int t = begin; t < end; ++t)
        for (Int c = 0; c < out; ++c) y[t * out + c] = x[t * channels + from[c]];
}

// y[n, c] = x[n, index[n, c]] for c below `out`; indices outside of [0, channels) are a fault of the caller.
static void gather(
    const float* x, const int64_t* index, float* y, Int images, Int channels, Int out, Int pixels, Int last, Int threads) {
    if (images * out * pixels < SMALL) threads = 1;
    if (!last) {
        split(images * out, threads, threads, [&](Int begin, Int end) {
            for (Int i = begin; i < end; ++i)
                std::memcpy(y + i * pixels, x + (i / out * channels + index[i]) * pixels, size_t(pixels) * sizeof(float));
        });
        return;
    }
    const Int pieces = images >= threads ? images : images * threads;
    split(pieces, pieces, threads, [&](Int begin, Int end) {
        std::vector<int32_t> from(static_cast<size_t>(out));
        for (Int i = begin; i < end; ++i) {
            const Int n = i * images / pieces, part = i - n * (pieces / images), parts = pieces / images;
            for (Int c = 0; c < out; ++c) from[size_t(c)] = int32_t(index[n * out + c]);
            gather_rows(
                x + n * channels * pixels, from.data(), y + n * out * pixels, part * pixels / parts, (part + 1) * pixels / parts,
                channels, out);
        }
    });
}

static Int largest(const float* row, Int size) {
    Int best = 0;
    for (Int i = 1; i < size; ++i) best = row[i] > row[best] ? i : best;
    return best;
}

// Which channel of its input each channel of a dynamic shuffle's output takes: logits (images, matrices·(a² + b²)), all matrices of
// a×a before those of b×b -> index (images, groups·a·b). `matrices` is 1 or `groups`.
static void order(const float* logits, int64_t* index, Int images, Int groups, Int matrices, Int a, Int b) {
    std::vector<Int> rows(size_t(matrices * a)), columns(size_t(matrices * b));
    for (Int n = 0; n < images; ++n) {
        const float *left = logits + n * matrices * (a * a + b * b), *right = left + matrices * a * a;
        for (Int i = 0; i < matrices * a; ++i) rows[size_t(i)] = largest(left + i * a, a);
        for (Int i = 0; i < matrices * b; ++i) columns[size_t(i)] = largest(right + i * b, b);
        int64_t* to = index + n * groups * a * b;
        for (Int g = 0; g < groups; ++g) {
            const Int m = matrices == 1 ? 0 : g;
            for (Int i = 0; i < a; ++i)
                for (Int j = 0; j < b; ++j)
                    to[(i * b + j) * groups + g] = (g * a + rows[size_t(m * a + i)]) * b + columns[size_t(m * b + j)];
        }
    }
}
