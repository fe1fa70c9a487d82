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
    Int t = 0;
    for (; t + 4 <= pixels; t += 4) {
        const float *g = gy + t * subsets, *v = y + t * subsets;
        for (Int k = begin; k < end; ++k)
            out[k] += (g[k] * v[k] + g[subsets + k] * v[subsets + k]) +
                      (g[2 * subsets + k] * v[2 * subsets + k] + g[3 * subsets + k] * v[3 * subsets + k]);
    }
    for (; t < pixels; ++t)
        for (Int k = begin; k < end; ++k) out[k] += gy[t * subsets + k] * y[t * subsets + k];
    for (Int k = begin; k < end; ++k) out[k] *= 1.0f - p[k];
}

// ---- dL/dz[b, c] / pixels = sum over k of logit[b, k] w[k, c] / pixels, for channels [begin, end) -----------------------------

// Adds `K` rows of W, times what `B` images ask of each, to the images' sums.
template <int K, int B>
INLINE void add_rows(
    const float* RESTRICT w, const float* RESTRICT logit, float* RESTRICT out, Int channels, Int subsets, Int begin, Int end) {
    Int c = begin;
    for (; c + WIDE <= end; c += WIDE) {
        Wide rows[K];
        for (int k = 0; k < K; ++k) rows[k] = load(w + k * channels + c);
        for (int b = 0; b < B; ++b) {
            Wide sum = load(out + b * channels + c);
            for (int k = 0; k < K; ++k) sum += logit[b * subsets + k] * rows[k];
            store(out + b * channels + c, sum);
        }
    }
    for (; c < end; ++c)
        for (int b = 0; b < B; ++b)
            for (int k = 0; k < K; ++k) out[b * channels + c] += logit[b * subsets + k] * w[k * channels + c];
}

template <int K>
INLINE void add_rows_to(
    const float* w, const float* logit, float* out, Int images, Int channels, Int subsets, Int begin, Int end) {
    Int b = 0;
    for (; b + 4 <= images; b += 4)
        add_rows<K, 4>(w, logit + b * subsets, out + b * channels, channels, subsets, begin, end);
    for (; b < images; ++b) add_rows<K, 1>(w, logit + b * subsets, out + b * channels, channels, subsets, begin, end);
}

static void spread(
    const float* w, const float* logit, float* out, Int images, Int channels, Int subsets, Int begin, Int end, float scale) {
    for (Int b = 0; b < images; ++b)
        for (Int c = begin; c < end; ++c) out[b * channels + c] = 0;
    Int k = 0;
    for (; k + 4 <= subsets; k += 4)
        add_rows_to<4>(w + k * channels, logit + k, out, images, channels, subsets, begin, end);
    for (; k < subsets; ++k) add_rows_to<1>(w + k * channels, logit + k, out, images, channels, subsets, begin, end);
    for (Int b = 0; b < images; ++b)
        for (Int c = begin; c < end; ++c) out[b * channels + c] *= scale;
}

// ---- dL/dW[k, c] = sum over images of logit[n, k] z[n, c], for rows [begin, end) ----------------------------------------------

template <int K>
INLINE void weight_rows(
    const float* RESTRICT logit, const float* RESTRICT z, float* RESTRICT gw, Int images, Int channels, Int subsets, Int begin,
    Int end) {
    Int c = begin;
    for (; c + 2 * WIDE <= end; c += 2 * WIDE) {
        Wide sums[2 * K] = {};
        for (Int n = 0; n < images; ++n) {
            const Wide left = load(z + n * channels + c), right = load(z + n * channels + c + WIDE);
            for (int k = 0; k < K; ++k) {
                sums[2 * k] += logit[n * subsets + k] * left;
                sums[2 * k + 1] += logit[n * subsets + k] * right;
            }
        }
        for (int k = 0; k < K; ++k) {
            store(gw + k * channels + c, sums[2 * k]);
            store(gw + k * channels + c + WIDE, sums[2 * k + 1]);
        }
    }
    for (; c < end; ++c)
        for (int k = 0; k < K; ++k) {
            float sum = 0;
            for (Int n = 0; n < images; ++n) sum += logit[n * subsets + k] * z[n * channels + c];
            gw[k * channels + c] = sum;
        }
}

// Columns are taken in tiles, so that the part of z that all rows need stays in the first cache.
static void weight_gradients(
    const float* logit, const float* z, float* gw, Int images, Int channels, Int subsets, Int begin, Int end) {
    for (Int from = 0; from < channels; from += TILE) {
        const Int to = from + TILE < channels ? from + TILE : channels;
        Int k = begin;
        for (; k + 4 <= end; k += 4) weight_rows<4>(logit + k, z, gw + k * channels, images, channels, subsets, from, to);
        for (; k < end; ++k) weight_rows<1>(logit + k, z, gw + k * channels, images, channels, subsets, from, to);
    }
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

// `picked` and `mixed` have a value a channel. Sixteen subsets at a time: each dL/dy is spread over its subset's lanes.
template <int Z>
INLINE void scatter_row(
    const float* RESTRICT gy, const float* RESTRICT picked, const float* RESTRICT mixed, const uint8_t* RESTRICT index,
    const float* RESTRICT context, float* RESTRICT gx, Int subsets) {
    WideInt lanes[Z], members[Z];
    for (int j = 0; j < WIDE; ++j)
        for (int i = 0; i < Z; ++i) {
            lanes[i][j] = (i * WIDE + j) / Z;
            members[i][j] = (i * WIDE + j) % Z;
        }
    Int k = 0;
    for (; k + WIDE <= subsets; k += WIDE) {
        const Wide g = load(gy + k);
        WideBytes bytes = {};
        if (Z > 1) std::memcpy(&bytes, index + k, sizeof bytes);
        const WideInt at = __builtin_convertvector(bytes, WideInt);
        for (int i = 0; i < Z; ++i) {
            const Int c = k * Z + i * WIDE;
            const Wide scale = (shuffled(at, lanes[i]) == members[i]) ? load(picked + c) : load(mixed + c);
            store(gx + c, shuffled(g, lanes[i]) * scale + load(context + c));
        }
    }
    for (; k < subsets; ++k)
        for (int i = 0; i < Z; ++i) {
            const Int c = k * Z + i;
            gx[c] = gy[k] * (Z == 1 || index[k] == i ? picked[c] : mixed[c]) + context[c];
        }
}

template <int Z>
INLINE void scatter_rows_of(
    const float* gy, const float* picked, const float* mixed, const uint8_t* index, const float* context, float* gx, Int begin,
    Int end, Int subsets, Int repeat) {
    Int t = begin;
    for (; t + repeat <= end; t += repeat)
        scatter_row<Z>(gy + t * subsets, picked, mixed, index + t * subsets, context, gx + t * subsets * Z, subsets * repeat);
    for (; t < end; ++t)
        scatter_row<Z>(gy + t * subsets, picked, mixed, index + t * subsets, context, gx + t * subsets * Z, subsets);
}

static void scatter_rows(
    const float* gy, const float* p, const uint8_t* index, const float* context, float* gx, Int begin, Int end, Int channels,
    Int zeta, float tau) {
    const Int subsets = (channels + zeta - 1) / zeta;
    const Int repeat = repeats(subsets, channels, zeta), width = channels * repeat;
    std::vector<float> scratch(size_t(3 * width));
    float *picked = scratch.data(), *mixed = picked + width, *add = mixed + width;
    for (Int i = 0; i < width; ++i) {
        const Int c = i % channels, k = c / zeta, members = channels - k * zeta < zeta ? channels - k * zeta : zeta;
        const bool pick = members > 1 && p[k] < tau;
        picked[i] = pick ? p[k] : p[k] / float(members);
        mixed[i] = pick ? 0.0f : picked[i];
        add[i] = context[c];
    }
    if (zeta == 1) scatter_rows_of<1>(gy, picked, mixed, index, add, gx, begin, end, subsets, repeat);
    else if (zeta == 2 && channels % 2 == 0) scatter_rows_of<2>(gy, picked, mixed, index, add, gx, begin, end, subsets, repeat);
    else if (zeta == 3 && channels % 3 == 0) scatter_rows_of<3>(gy, picked, mixed, index, add, gx, begin, end, subsets, repeat);
    else if (zeta == 4 && channels % 4 == 0) scatter_rows_of<4>(gy, picked, mixed, index, add, gx, begin, end, subsets, repeat);
    else if (zeta == 5 && channels % 5 == 0) scatter_rows_of<5>(gy, picked, mixed, index, add, gx, begin, end, subsets, repeat);
    else if (zeta == 6 && channels % 6 == 0) scatter_rows_of<6>(gy, picked, mixed, index, add, gx, begin, end, subsets, repeat);
    else if (zeta == 7 && channels % 7 == 0) scatter_rows_of<7>(gy, picked, mixed, index, add, gx, begin, end, subsets, repeat);
    else if (zeta == 8 && channels % 8 == 0) scatter_rows_of<8>(gy, picked, mixed, index, add, gx, begin, end, subsets, repeat);
    else
        for (Int t = begin; t < end; ++t)
            for (Int k = 0; k < subsets; ++k) {
                const Int members = channels - k * zeta < zeta ? channels - k * zeta : zeta;
                const float g = gy[t * subsets + k];
                const Int at = members > 1 ? index[t * subsets + k] : 0;
                for (Int i = 0; i < members; ++i) {
                    const Int c = k * zeta + i;
                    gx[t * channels + c] = g * (at == i ? picked[c] : mixed[c]) + context[c];
                }
            }
}

// ---- the layer ---------------------------------------------------------------------------------------------------------------------

// From gy and what the forward pass kept: logit (images, subsets), which is dL/dlogit, gx, which is dL/dx, and, unless it is null,
// gw, which is dL/dW.
static void pix_backward(
    const float* gy, const float* y, const float* z, const float* p, const float* w, const uint8_t* index, float* logit, float* gx,
    float* gw, Int images, Int channels, Int pixels, Int zeta, float tau, Int last, Int threads) {
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
    if (gw)
        split(subsets, threads, subsets * channels < SMALL ? 1 : threads, [&](Int begin, Int end) {
            weight_gradients(logit, z, gw, images, channels, subsets, begin, end);
        });
}
