// Gradients of Pick-or-Mix with its context. Included once for each instruction set, after pix.h: see kernels.cpp.

namespace {
const Int SUMS = 1 << 10;         // channels, of which four images' sums stay in the first cache
const Int CACHED = 24 << 20;      // bytes: a dL/dx of more has left the caches before it is read
}  // namespace

// ---- dL/dlogit[k] = (1 - p[k]) · sum over pixels of dL/dy · y, for subsets [begin, end) of one image ---------------------------

static void logit_gradients_planes(
    const float* gy, const float* y, const float* p, float* out, Int begin, Int end, Int pixels) {
    for (Int k = begin; k < end; ++k) {
        const float *g = gy + k * pixels, *v = y + k * pixels;
        Register sums[2] = {};
        Int t = 0;
        for (; t + 2 * LENGTH <= pixels; t += 2 * LENGTH)
            for (int i = 0; i < 2; ++i) sums[i] += load(g + t + i * LENGTH) * load(v + t + i * LENGTH);
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
    for (; c + LENGTH <= end; c += LENGTH) {
        Register rows[K];
        for (int k = 0; k < K; ++k) rows[k] = load(w + k * channels + c);
        for (int b = 0; b < B; ++b) {
            Register sum = load(out + b * channels + c);
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

// `SUMS` channels are taken at a time, so that their sums stay in the first cache while all rows are added.
static void spread(
    const float* w, const float* logit, float* out, Int images, Int channels, Int subsets, Int begin, Int end, float scale) {
    for (Int from = begin; from < end; from += SUMS) {
        const Int to = from + SUMS < end ? from + SUMS : end;
        for (Int b = 0; b < images; ++b)
            for (Int c = from; c < to; ++c) out[b * channels + c] = 0;
        Int k = 0;
        for (; k + 4 <= subsets; k += 4) add_rows_to<4>(w + k * channels, logit + k, out, images, channels, subsets, from, to);
        for (; k < subsets; ++k) add_rows_to<1>(w + k * channels, logit + k, out, images, channels, subsets, from, to);
        for (Int b = 0; b < images; ++b)
            for (Int c = from; c < to; ++c) out[b * channels + c] *= scale;
    }
}

// ---- dL/dW[k, c] = sum over images of logit[n, k] z[n, c], for rows [begin, end) ----------------------------------------------

template <int K>
INLINE void weight_rows(
    const float* RESTRICT logit, const float* RESTRICT z, float* RESTRICT gw, Int images, Int channels, Int subsets, Int begin,
    Int end) {
    Int c = begin;
    for (; c + 2 * LENGTH <= end; c += 2 * LENGTH) {
        Register sums[2 * K] = {};
        for (Int n = 0; n < images; ++n) {
            const Register left = load(z + n * channels + c), right = load(z + n * channels + c + LENGTH);
            for (int k = 0; k < K; ++k) {
                sums[2 * k] += logit[n * subsets + k] * left;
                sums[2 * k + 1] += logit[n * subsets + k] * right;
            }
        }
        for (int k = 0; k < K; ++k) {
            store(gw + k * channels + c, sums[2 * k]);
            store(gw + k * channels + c + LENGTH, sums[2 * k + 1]);
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

template <bool PICK>
INLINE void scatter_plane(
    const float* RESTRICT gy, const uint8_t* RESTRICT index, const float* RESTRICT context, float* RESTRICT gx, Int members, Int pixels,
    float scale, bool past) {
    Int t = cover(pixels, [&](Int at) {
        const Register g = scale * load(gy + at);
        const RegisterInt picked = PICK ? widened(index + at) : RegisterInt{};
        for (Int i = 0; i < members; ++i)
            write(gx + i * pixels + at, (PICK ? (picked == int32_t(i) ? g : Register{}) : g) + context[i], past);
    });
    for (; t < pixels; ++t)
        for (Int i = 0; i < members; ++i) gx[i * pixels + t] = (PICK && index[t] != i ? 0.0f : scale * gy[t]) + context[i];
}

static void scatter_planes(
    const float* gy, const float* p, const uint8_t* index, const float* context, float* gx, Int begin, Int end, Int channels, Int pixels,
    Int zeta, float tau, bool past) {
    for (Int k = begin; k < end; ++k) {
        const Int members = channels - k * zeta < zeta ? channels - k * zeta : zeta;
        const float *g = gy + k * pixels, *add = context + k * zeta;
        float* to = gx + k * zeta * pixels;
        if (members > 1 && p[k] < tau) scatter_plane<true>(g, index + k * pixels, add, to, members, pixels, p[k], past);
        else scatter_plane<false>(g, nullptr, add, to, members, pixels, p[k] / float(members), past);
    }
}

// `scale` has a value a subset, `all` -1 where all members share and 0 where the picked one takes all, `context` a value a channel.
// As many subsets at a time as a register holds: each dL/dy is spread over its subset's lanes, and stays in those whose bit is among the subset's takers.
template <int Z>
INLINE void scatter_row(
    const float* RESTRICT gy, const float* RESTRICT scale, const int32_t* RESTRICT all, const uint8_t* RESTRICT index,
    const float* RESTRICT context, float* RESTRICT gx, Int subsets, bool past) {
    RegisterInt lanes[Z], member[Z];
    for (int j = 0; j < LENGTH; ++j)
        for (int i = 0; i < Z; ++i) {
            lanes[i][j] = (i * LENGTH + j) / Z;
            member[i][j] = 1 << (i * LENGTH + j) % Z;
        }
    Int k = 0;
    for (; k + LENGTH <= subsets; k += LENGTH) {
        const Register g = load(gy + k) * load(scale + k);
        RegisterInt takers = load(all + k);
        if (Z > 1) takers |= (RegisterInt{} + 1) << widened(index + k);
        for (int i = 0; i < Z; ++i) {
            const Int c = k * Z + i * LENGTH;
            const RegisterInt taken = shuffled(takers, lanes[i]) & member[i];
            write(gx + c, (taken != 0 ? shuffled(g, lanes[i]) : Register{}) + load(context + c), past);
        }
    }
    for (; k < subsets; ++k)
        for (int i = 0; i < Z; ++i)
            gx[k * Z + i] = (all[k] || index[k] == i ? gy[k] * scale[k] : 0.0f) + context[k * Z + i];
}

template <int Z>
INLINE void scatter_rows_of(
    const float* gy, const float* scale, const int32_t* all, const uint8_t* index, const float* context, float* gx, Int begin, Int end,
    Int subsets, Int repeat, bool past) {
    for (Int t = begin; t < end;) {
        const Int size = t + repeat <= end ? repeat : 1;
        scatter_row<Z>(gy + t * subsets, scale, all, index + t * subsets, context, gx + t * subsets * Z, subsets * size, past);
        t += size;
    }
}

static void scatter_rows(
    const float* gy, const float* p, const uint8_t* index, const float* context, float* gx, Int begin, Int end, Int channels,
    Int zeta, float tau, bool past) {
    const Int subsets = (channels + zeta - 1) / zeta, repeat = repeats(subsets, channels, zeta);
    std::vector<float> scale(size_t(subsets * repeat)), add(size_t(channels * repeat));
    std::vector<int32_t> all(scale.size());
    for (Int i = 0; i < subsets * repeat; ++i) {
        const Int k = i % subsets, members = channels - k * zeta < zeta ? channels - k * zeta : zeta;
        const bool pick = members > 1 && p[k] < tau;
        scale[size_t(i)] = pick ? p[k] : p[k] / float(members);
        all[size_t(i)] = pick ? 0 : -1;
    }
    for (Int i = 0; i < repeat; ++i) std::memcpy(add.data() + i * channels, context, size_t(channels) * sizeof(float));
    const bool done = with_members(zeta, channels, [&](auto z) {
        scatter_rows_of<z.value>(gy, scale.data(), all.data(), index, add.data(), gx, begin, end, subsets, repeat, past);
    });
    for (Int t = begin; t < end && !done; ++t)
        for (Int k = 0; k < subsets; ++k) {
            const Int members = channels - k * zeta < zeta ? channels - k * zeta : zeta, at = t * subsets + k;
            const float share = gy[at] * scale[size_t(k)];
            for (Int i = 0; i < members; ++i)
                gx[t * channels + k * zeta + i] = (all[size_t(k)] || index[at] == i ? share : 0.0f) + context[k * zeta + i];
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
    const bool aligned = reinterpret_cast<uintptr_t>(gx) % sizeof(Register) == 0 && (last ? channels : pixels) % LENGTH == 0;
    const bool past = aligned && images * size * Int(sizeof(float)) > CACHED;
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
                    if (last) scatter_rows(gy + i * out, p + i * subsets, index + i * out, add, gx + i * size, begin, end, channels, zeta, tau, past);
                    else scatter_planes(gy + i * out, p + i * subsets, index + i * out, add, gx + i * size, begin, end, channels, pixels, zeta, tau, past);
                    if (past) streamed();
                });
        }
    });
    if (gw)
        split(subsets, threads, subsets * channels < SMALL ? 1 : threads, [&](Int begin, Int end) {
            weight_gradients(logit, z, gw, images, channels, subsets, begin, end);
        });
}
