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
