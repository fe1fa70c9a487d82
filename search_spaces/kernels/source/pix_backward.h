// Gradients of Pick-or-Mix with its context. Included once for each instruction set, after pix.h: see kernels.cpp.

// ---- dL/dlogit[k] = (1 - p[k]) · sum over pixels of dL/dy · y, for subsets [begin, end) of one image ---------------------------

static void logit_gradients_planes(
    const float* gy, const float* y, const float* p, float* out, Int begin, Int end, Int pixels) {
    for (Int k = begin; k < end; ++k) {
        const float *g = gy + k * pixels, *v = y + k * pixels;
        Wide sums[2] = {};
        Int t = 0;
        for (; t + 2 * WIDE <= pixels; t += 2 * WIDE)
            for (int i = 0; i < 2; ++i) sums[i] += load(g + t + i * WIDE) * load(v + t + i * WIDE);
        float sum = total(sums[0] + sums[1]);
        for (; t < pixels; ++t) sum += g[t] * v[t];
        out[k] = sum * (1.0f - p[k]);
    }
}

static void logit_gradients_rows(
    const float* RESTRICT gy, const float* RESTRICT y, const float* RESTRICT p, float* RESTRICT out, Int begin, Int end, Int subsets,
    Int pixels) {
    for (Int k = begin; k < end; ++k) out[k] = 0;
    for (Int t = 0; t < pixels; ++t)
        for (Int k = begin; k < end; ++k) out[k] += gy[t * subsets + k] * y[t * subsets + k];
    for (Int k = begin; k < end; ++k) out[k] *= 1.0f - p[k];
}

// ---- dL/dz[b, c] / pixels = sum over k of logit[b, k] w[k, c] / pixels, for channels [begin, end) -----------------------------

template <int B>
INLINE void spread_images(
    const float* w, const float* logit, float* out, Int channels, Int subsets, Int begin, Int end, float scale) {
    Int c = begin;
    for (; c + 2 * WIDE <= end; c += 2 * WIDE) {
        Wide sums[2 * B] = {};
        for (Int k = 0; k < subsets; ++k)
            for (int b = 0; b < B; ++b) {
                sums[2 * b] += logit[b * subsets + k] * load(w + k * channels + c);
                sums[2 * b + 1] += logit[b * subsets + k] * load(w + k * channels + c + WIDE);
            }
        for (int b = 0; b < B; ++b) {
            store(out + b * channels + c, sums[2 * b] * scale);
            store(out + b * channels + c + WIDE, sums[2 * b + 1] * scale);
        }
    }
    for (; c < end; ++c)
        for (int b = 0; b < B; ++b) {
            float sum = 0;
            for (Int k = 0; k < subsets; ++k) sum += logit[b * subsets + k] * w[k * channels + c];
            out[b * channels + c] = sum * scale;
        }
}

static void spread(
    const float* w, const float* logit, float* out, Int images, Int channels, Int subsets, Int begin, Int end, float scale) {
    Int b = 0;
    for (; b + 4 <= images; b += 4)
        spread_images<4>(w, logit + b * subsets, out + b * channels, channels, subsets, begin, end, scale);
    for (; b < images; ++b)
        spread_images<1>(w, logit + b * subsets, out + b * channels, channels, subsets, begin, end, scale);
}

// ---- dL/dx of one image ----------------------------------------------------------------------------------------------------------

static void scatter_planes(
    const float* RESTRICT gy, const float* p, const uint8_t* RESTRICT index, const float* context, float* RESTRICT gx, Int begin,
    Int end, Int channels, Int pixels, Int zeta, float tau) {
    for (Int k = begin; k < end; ++k) {
        const Int members = channels - k * zeta < zeta ? channels - k * zeta : zeta;
        const float* g = gy + k * pixels;
        const uint8_t* at = index + k * pixels;
        const bool pick = members > 1 && p[k] < tau;
        const float share = pick ? p[k] : p[k] / float(members);
        for (Int i = 0; i < members; ++i) {
            float* to = gx + (k * zeta + i) * pixels;
            const float add = context[k * zeta + i];
            if (pick)
                for (Int t = 0; t < pixels; ++t) to[t] = (int32_t(at[t]) == int32_t(i) ? share * g[t] : 0.0f) + add;
            else
                for (Int t = 0; t < pixels; ++t) to[t] = share * g[t] + add;
        }
    }
}

template <int Z>
INLINE void scatter_row(
    const float* RESTRICT gy, const float* RESTRICT picked, const float* RESTRICT mixed, const uint8_t* RESTRICT index,
    const float* RESTRICT context, float* RESTRICT gx, Int subsets) {
    for (Int k = 0; k < subsets; ++k) {
        const float yes = gy[k] * picked[k], no = gy[k] * mixed[k];
        const int32_t at = Z > 1 ? index[k] : 0;
        for (int i = 0; i < Z; ++i) gx[k * Z + i] = (at == i ? yes : no) + context[k * Z + i];
    }
}

template <int Z>
INLINE void scatter_rows_of(
    const float* gy, const float* picked, const float* mixed, const uint8_t* index, const float* context, float* gx, Int begin,
    Int end, Int subsets) {
    for (Int t = begin; t < end; ++t)
        scatter_row<Z>(gy + t * subsets, picked, mixed, index + t * subsets, context, gx + t * subsets * Z, subsets);
}

static void scatter_rows(
    const float* gy, const float* p, const uint8_t* index, const float* context, float* gx, Int begin, Int end, Int channels,
    Int zeta, float tau) {
    const Int subsets = (channels + zeta - 1) / zeta;
    std::vector<float> scratch(size_t(2 * subsets));
    float *picked = scratch.data(), *mixed = picked + subsets;
    for (Int k = 0; k < subsets; ++k) {
        const Int members = channels - k * zeta < zeta ? channels - k * zeta : zeta;
        const bool pick = members > 1 && p[k] < tau;
        picked[k] = pick ? p[k] : p[k] / float(members);
        mixed[k] = pick ? 0.0f : picked[k];
    }
    if (zeta == 1) scatter_rows_of<1>(gy, picked, mixed, index, context, gx, begin, end, subsets);
    else if (zeta == 2 && channels % 2 == 0) scatter_rows_of<2>(gy, picked, mixed, index, context, gx, begin, end, subsets);
    else if (zeta == 4 && channels % 4 == 0) scatter_rows_of<4>(gy, picked, mixed, index, context, gx, begin, end, subsets);
    else if (zeta == 8 && channels % 8 == 0) scatter_rows_of<8>(gy, picked, mixed, index, context, gx, begin, end, subsets);
    else
        for (Int t = begin; t < end; ++t)
            for (Int k = 0; k < subsets; ++k) {
                const Int members = channels - k * zeta < zeta ? channels - k * zeta : zeta;
                const float g = gy[t * subsets + k];
                const Int at = members > 1 ? index[t * subsets + k] : 0;
                for (Int i = 0; i < members; ++i) {
                    const Int c = k * zeta + i;
                    gx[t * channels + c] = g * (at == i ? picked[k] : mixed[k]) + context[c];
                }
            }
}

// ---- the layer ---------------------------------------------------------------------------------------------------------------------

// From gy, y, p, w and the index of the forward pass: logit (images, subsets), which is dL/dlogit, and gx, which is dL/dx.
static void pix_backward(
    const float* gy, const float* y, const float* p, const float* w, const uint8_t* index, float* logit, float* gx, Int images,
    Int channels, Int pixels, Int zeta, float tau, Int last, Int threads) {
    const Int subsets = (channels + zeta - 1) / zeta, size = channels * pixels, out = subsets * pixels;
    if (images * size < SMALL) threads = 1;
    const float scale = 1.0f / float(pixels);
    const Int block = images >= threads ? block_of(size, subsets * channels) : images;
    const Int pieces = images >= threads ? (images + block - 1) / block : 1;
    const Int inner = images >= threads ? 1 : threads;
    split(images, pieces < threads && inner == 1 ? threads : pieces, inner == 1 ? threads : 1, [&](Int from, Int to) {
        std::vector<float> context(size_t(block * channels));
        for (Int n = from; n < to; n += block) {
            const Int count = n + block < to ? block : to - n;
            for (Int i = n; i < n + count; ++i)
                split(subsets, inner, inner, [&](Int begin, Int end) {
                    if (last) logit_gradients_rows(gy + i * out, y + i * out, p + i * subsets, logit + i * subsets, begin, end, subsets, pixels);
                    else logit_gradients_planes(gy + i * out, y + i * out, p + i * subsets, logit + i * subsets, begin, end, pixels);
                });
            split((channels + 31) / 32, inner, inner, [&](Int begin, Int end) {
                spread(
                    w, logit + n * subsets, context.data(), count, channels, subsets, begin * 32,
                    end * 32 < channels ? end * 32 : channels, scale);
            });
            for (Int i = n; i < n + count; ++i)
                split(last ? pixels : subsets, inner, inner, [&](Int begin, Int end) {
                    const float* add = context.data() + (i - n) * channels;
                    if (last) scatter_rows(gy + i * out, p + i * subsets, index + i * out, add, gx + i * size, begin, end, channels, zeta, tau);
                    else scatter_planes(gy + i * out, p + i * subsets, index + i * out, add, gx + i * size, begin, end, channels, pixels, zeta, tau);
                });
        }
    });
}
