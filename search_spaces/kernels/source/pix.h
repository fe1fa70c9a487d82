// Pick-or-Mix, forward and backward, over maps whose channels (NCHW) or pixels (channels-last) are contiguous.
// This file is included once for each instruction set, within a namespace: see kernels.cpp.

namespace {
const Int TILE = 256;                // pixels of a plane that are worked on at a time, in registers and the first cache
const Int AHEAD = 1 << 11;           // elements: how far ahead of its use memory is fetched
const Int SMALL = 1 << 14;           // elements that one thread does faster than two
const Int BLOCK_BYTES = 3 << 20;     // of images that are pooled before they are picked from: they stay in the cache
}  // namespace

// ---- context: z = GAP(x), p = sigmoid(W z) -------------------------------------------------------------------------------

static void pool_planes(const float* RESTRICT x, float* RESTRICT z, Int planes, Int pixels) {
    const float scale = 1.0f / float(pixels);
    for (Int c = 0; c < planes; ++c, x += pixels) {
        Register sums[4] = {};
        Int t = 0;
        for (; t + 4 * LENGTH <= pixels; t += 4 * LENGTH)
            for (int i = 0; i < 4; ++i) sums[i] += load(x + t + i * LENGTH);
        for (; t + LENGTH <= pixels; t += LENGTH) sums[0] += load(x + t);
        float sum = total((sums[0] + sums[1]) + (sums[2] + sums[3]));
        for (; t < pixels; ++t) sum += x[t];
        z[c] = sum * scale;
    }
}

// Four pixels at a time. What comes `AHEAD` of them is fetched in the order in which it lies, which memory likes best, unless only some
// of a pixel's channels are wanted.
static void pool_rows(const float* RESTRICT x, float* RESTRICT z, Int channels, Int stride, Int pixels) {
    for (Int c = 0; c < channels; ++c) z[c] = 0;
    const Int whole = channels / LENGTH * LENGTH;
    Int t = 0;
    for (; t + 4 <= pixels; t += 4) {
        const float *row = x + t * stride, *next = row + AHEAD;
        for (Int c = 0; c < whole; c += LENGTH) {
            Register sum = load(z + c);
            for (int i = 0; i < 4; ++i, next += LENGTH) {
                sum += load(row + i * stride + c);
                PREFETCH(channels == stride ? next : row + (4 + i) * stride + c);
            }
            store(z + c, sum);
        }
        for (Int c = whole; c < channels; ++c)
            for (int i = 0; i < 4; ++i) z[c] += row[i * stride + c];
    }
    for (; t < pixels; ++t)
        for (Int c = 0; c < channels; ++c) z[c] += x[t * stride + c];
    const float scale = 1.0f / float(pixels);
    for (Int c = 0; c < channels; ++c) z[c] *= scale;
}

// Logits of `B` images for `K` rows of W: B·K sums are kept in registers; the next rows are fetched.
template <int K, int B>
INLINE void dot_products(const float* RESTRICT w, const float* RESTRICT z, float* RESTRICT p, Int channels, Int subsets) {
    Register sums[K * B] = {};
    Int c = 0;
    for (; c + LENGTH <= channels; c += LENGTH)
        for (int k = 0; k < K; ++k) {
            PREFETCH_LATER(w + (K + k) * channels + c);
            for (int b = 0; b < B; ++b) sums[k * B + b] += load(w + k * channels + c) * load(z + b * channels + c);
        }
    for (int k = 0; k < K; ++k)
        for (int b = 0; b < B; ++b) {
            float sum = total(sums[k * B + b]);
            for (Int tail = c; tail < channels; ++tail) sum += w[k * channels + tail] * z[b * channels + tail];
            p[b * subsets + k] = sum;
        }
}

template <int K>
INLINE void dot_images(const float* w, const float* z, float* p, Int images, Int channels, Int subsets) {
    const int MOST = REGISTERS / 8;
    Int b = 0;
    for (; b + MOST <= images; b += MOST) dot_products<K, MOST>(w, z + b * channels, p + b * subsets, channels, subsets);
    for (; b + 2 <= images; b += 2) dot_products<K, 2>(w, z + b * channels, p + b * subsets, channels, subsets);
    for (; b < images; ++b) dot_products<K, 1>(w, z + b * channels, p + b * subsets, channels, subsets);
}

// p[b, k] = sigmoid(sum over c of w[k, c] z[b, c]) for k in [begin, end); W is read once for all images.
static void probabilities(
    const float* w, const float* z, float* p, Int images, Int channels, Int subsets, Int begin, Int end) {
    Int k = begin;
    for (; k + 4 <= end; k += 4) dot_images<4>(w + k * channels, z, p + k, images, channels, subsets);
    for (; k < end; ++k) dot_images<1>(w + k * channels, z, p + k, images, channels, subsets);
    for (Int b = 0; b < images; ++b)
        for (k = begin; k < end; ++k) p[b * subsets + k] = 1.0f / (1.0f + std::exp(-p[b * subsets + k]));
}

// Asks for `size` elements that are worked on soon, unless `from` is null.
INLINE void fetch_ahead(const float* from, Int size) {
    if (from)
        for (Int i = 0; i < size; i += LINE) PREFETCH_LATER(from + i);
}

// ---- forward, NCHW: x is `size` pixels of a subset's `zeta` planes, y those of one plane -------------------------------------

template <int Z, bool INDEX>
INLINE void pick_plane(const float* RESTRICT x, float* RESTRICT y, uint8_t* RESTRICT index, Int pixels, Int size, float p) {
    Int t = cover(size, [&](Int at) {
        Register member[Z];
        for (int i = 0; i < Z; ++i) member[i] = load(x + i * pixels + at);
        Register best = member[0];
        for (int i = 1; i < Z; ++i) best = member[i] > best ? member[i] : best;
        store(y + at, p * best);
        if (INDEX) {
            RegisterInt first = RegisterInt{} + (Z - 1);
            for (int i = Z - 2; i >= 0; --i) first = member[i] == best ? RegisterInt{} + i : first;
            narrow(first, index + at);
        }
    });
    for (; t < size; ++t) {
        int first = 0;
        for (int i = 1; i < Z; ++i) first = x[i * pixels + t] > x[first * pixels + t] ? i : first;
        y[t] = p * x[first * pixels + t];
        if (INDEX) index[t] = uint8_t(first);
    }
}

// The same for any number of members; `size` is at most TILE.
INLINE void pick_plane_any(
    const float* RESTRICT x, float* RESTRICT y, uint8_t* RESTRICT index, Int pixels, Int size, Int zeta, float p) {
    float best[TILE];
    int32_t first[TILE];
    for (Int t = 0; t < size; ++t) best[t] = x[t], first[t] = 0;
    for (Int i = 1; i < zeta; ++i) {
        const float* plane = x + i * pixels;
        for (Int t = 0; t < size; ++t) {
            first[t] = plane[t] > best[t] ? int32_t(i) : first[t];
            best[t] = plane[t] > best[t] ? plane[t] : best[t];
        }
    }
    for (Int t = 0; t < size; ++t) y[t] = p * best[t];
    if (index)
        for (Int t = 0; t < size; ++t) index[t] = uint8_t(first[t]);
}

template <int Z>
INLINE void mix_plane(const float* RESTRICT x, float* RESTRICT y, Int pixels, Int size, float scale) {
    Int t = cover(size, [&](Int at) {
        Register sum = load(x + at);
        for (int i = 1; i < Z; ++i) sum += load(x + i * pixels + at);
        store(y + at, scale * sum);
    });
    for (; t < size; ++t) {
        float sum = x[t];
        for (int i = 1; i < Z; ++i) sum += x[i * pixels + t];
        y[t] = scale * sum;
    }
}

INLINE void mix_plane_any(const float* RESTRICT x, float* RESTRICT y, Int pixels, Int size, Int zeta, float scale) {
    float sum[TILE];
    for (Int t = 0; t < size; ++t) sum[t] = x[t];
    for (Int i = 1; i < zeta; ++i)
        for (Int t = 0; t < size; ++t) sum[t] += x[i * pixels + t];
    for (Int t = 0; t < size; ++t) y[t] = scale * sum[t];
}

template <int Z>
INLINE void squeeze_plane(const float* x, float* y, uint8_t* index, Int pixels, Int size, float p, bool pick) {
    if (!pick) mix_plane<Z>(x, y, pixels, size, p / Z);
    else if (index) pick_plane<Z, true>(x, y, index, pixels, size, p);
    else pick_plane<Z, false>(x, y, index, pixels, size, p);
}

// Subsets [begin, end) of one image; meanwhile an image `next`, if any, is fetched from memory.
static void squeeze_planes(
    const float* x, const float* next, const float* p, float* y, uint8_t* index, Int begin, Int end, Int channels, Int pixels, Int zeta,
    float tau) {
    for (Int k = begin; k < end; ++k) {
        const Int members = channels - k * zeta < zeta ? channels - k * zeta : zeta;
        const bool pick = p[k] < tau;
        for (Int start = 0; start < pixels; start += TILE) {
            const Int at = k * zeta * pixels + start, size = pixels - start < TILE ? pixels - start : TILE;
            const float* from = x + at;
            float* to = y + k * pixels + start;
            uint8_t* first = index ? index + k * pixels + start : nullptr;
            for (Int i = 0; i < members; ++i) fetch_ahead(next ? next + at + i * pixels : nullptr, size);
            if (members == 1) mix_plane<1>(from, to, pixels, size, p[k]);
            else if (members == 2) squeeze_plane<2>(from, to, first, pixels, size, p[k], pick);
            else if (members == 3) squeeze_plane<3>(from, to, first, pixels, size, p[k], pick);
            else if (members == 4) squeeze_plane<4>(from, to, first, pixels, size, p[k], pick);
            else if (pick) pick_plane_any(from, to, first, pixels, size, members, p[k]);
            else mix_plane_any(from, to, pixels, size, members, p[k] / float(members));
        }
    }
}

// ---- forward, channels-last: pixels [begin, end) of one image --------------------------------------------------------------

#if defined(TWO_VECTOR_PERMUTE)
// Where lane j of member i of sixteen subsets of Z lies after s permutations of two vectors: sixteen and more is the second one.
template <int Z>
struct Lanes {
    alignas(64) int32_t at[Z][Z][LENGTH];
    constexpr Lanes() : at() {
        for (int i = 0; i < Z; ++i)
            for (int s = 1; s < Z; ++s)
                for (int j = 0; j < LENGTH; ++j) {
                    const int from = (j * Z + i) / LENGTH, lane = (j * Z + i) % LENGTH;
                    at[i][s][j] = from == s ? LENGTH + lane : s == 1 ? lane : j;
                }
    }
};
template <int Z>
constexpr Lanes<Z> LANES;

// As many subsets of Z as fill vectors, and how many those are; compilers do it as well for powers of two.
template <int Z, bool INDEX>
INLINE Int squeeze_wide(
    const float* RESTRICT x, const float* RESTRICT gate, const float* RESTRICT share, float* RESTRICT y, uint8_t* RESTRICT index,
    Int subsets) {
    if (Z == 1 || Z == 2 || Z == 4 || Z == 8) return 0;
    Int k = 0;
    for (; k + LENGTH <= subsets; k += LENGTH) {
        Register from[Z], member[Z];
        for (int i = 0; i < Z; ++i) from[i] = load(x + k * Z + i * LENGTH);
        for (int i = 0; i < Z; ++i) {
            member[i] = from[0];
            for (int s = 1; s < Z; ++s)
                member[i] = __builtin_shuffle(member[i], from[s], *reinterpret_cast<const RegisterInt*>(LANES<Z>.at[i][s]));
        }
        Register best = member[0], sum = member[0];
        for (int i = 1; i < Z; ++i) {
            best = member[i] > best ? member[i] : best;
            sum += member[i];
        }
        store(y + k, load(share + k) * (load(gate + k) != 0 ? best : sum));
        if (INDEX) {
            RegisterInt at = (RegisterInt{} + (Z - 1));
            for (int i = Z - 2; i >= 0; --i) at = member[i] == best ? RegisterInt{} + i : at;
            narrow(at, index + k);
        }
    }
    return k;
}
#else
template <int Z, bool INDEX>
INLINE Int squeeze_wide(const float*, const float*, const float*, float*, uint8_t*, Int) {
    return 0;
}
#endif

// The members picked go through a row of 32-bit numbers: a loop over numbers of one width is one that compilers vectorise.
template <int Z, bool INDEX>
INLINE void squeeze_row(
    const float* RESTRICT x, const float* RESTRICT gate, const float* RESTRICT share, float* RESTRICT y, uint8_t* RESTRICT index,
    Int subsets) {
    int32_t first[TILE];
    const Int done = squeeze_wide<Z, INDEX>(x, gate, share, y, index, subsets);
    for (Int start = done; start < subsets; start += TILE) {
        const Int size = subsets - start < TILE ? subsets - start : TILE;
        for (Int k = 0; k < size; ++k) {
            const float* from = x + (start + k) * Z;
            float best = from[0], sum = from[0];
            for (int i = 1; i < Z; ++i) {
                best = from[i] > best ? from[i] : best;
                sum += from[i];
            }
            y[start + k] = share[start + k] * (gate[start + k] != 0 ? best : sum);
            if (INDEX) {
                int32_t at = Z - 1;
                for (int i = Z - 2; i >= 0; --i) at = from[i] == best ? i : at;
                first[k] = at;
            }
        }
        if (INDEX)
            for (Int k = 0; k < size; ++k) index[start + k] = uint8_t(first[k]);
    }
}

INLINE void squeeze_row_any(
    const float* RESTRICT x, const float* RESTRICT gate, const float* RESTRICT share, float* RESTRICT y, uint8_t* RESTRICT index,
    Int channels, Int zeta) {
    for (Int k = 0; k * zeta < channels; ++k) {
        const float* from = x + k * zeta;
        const Int members = channels - k * zeta < zeta ? channels - k * zeta : zeta;
        if (gate[k] == 0) {
            float sum = 0;
#pragma omp simd reduction(+ : sum)
            for (Int i = 0; i < members; ++i) sum += from[i];
            y[k] = share[k] * sum;
            continue;
        }
        float best = from[0];
#pragma omp simd reduction(max : best)
        for (Int i = 1; i < members; ++i) best = from[i] > best ? from[i] : best;
        y[k] = share[k] * best;
        if (index) {
            Int first = 0;
            while (first + 1 < members && from[first] != best) ++first;
            index[k] = uint8_t(first);
        }
    }
}

template <int Z>
INLINE void squeeze_rows_of(
    const float* x, const float* next, const float* gate, const float* share, float* y, uint8_t* index, Int rows, Int subsets,
    Int repeat) {
    for (Int t = 0; t < rows;) {
        const Int size = t + repeat <= rows ? repeat : 1;
        fetch_ahead(next ? next + t * subsets * Z : nullptr, size * subsets * Z);
        if (index) squeeze_row<Z, true>(x + t * subsets * Z, gate, share, y + t * subsets, index + t * subsets, size * subsets);
        else squeeze_row<Z, false>(x + t * subsets * Z, gate, share, y + t * subsets, nullptr, size * subsets);
        t += size;
    }
}

// Calls run(z) with zeta as z.value, if there is code of its own for so many members and all subsets are whole; returns whether it did.
template <int Z = 8, class F>
INLINE bool with_members(Int zeta, Int channels, F run) {
    if (zeta == Z && channels % Z == 0) {
        run(std::integral_constant<int, Z>{});
        return true;
    }
    if constexpr (Z > 1) return with_members<Z - 1>(zeta, channels, run);
    return false;
}

// How many pixels of few channels are worked on as one: the loops over channels then fill whole vectors.
static Int repeats(Int subsets, Int channels, Int zeta) { return subsets < 64 && channels % zeta == 0 ? 64 / subsets : 1; }

// `gate` is 1 where a subset is picked from and 0 where it is mixed, `share` is p or p over the subset's size; both are `repeats` times as long.
static void squeeze_rows(
    const float* x, const float* next, const float* gate, const float* share, float* y, uint8_t* index, Int begin, Int end,
    Int channels, Int zeta) {
    const Int subsets = (channels + zeta - 1) / zeta, rows = end - begin, repeat = repeats(subsets, channels, zeta);
    x += begin * channels;
    if (next) next += begin * channels;
    y += begin * subsets;
    if (index) index += begin * subsets;
    const bool done = with_members(zeta, channels, [&](auto z) {
        squeeze_rows_of<z.value>(x, next, gate, share, y, z.value > 1 ? index : nullptr, rows, subsets, repeat);
    });
    for (Int t = 0; t < rows && !done; ++t) {
        fetch_ahead(next ? next + t * channels : nullptr, channels);
        squeeze_row_any(x + t * channels, gate, share, y + t * subsets, index ? index + t * subsets : nullptr, channels, zeta);
    }
}

// ---- the layer ---------------------------------------------------------------------------------------------------------------

static void gates(const float* p, float* gate, float* share, Int channels, Int subsets, Int zeta, float tau) {
    for (Int k = 0; k < subsets; ++k) {
        const Int members = channels - k * zeta < zeta ? channels - k * zeta : zeta;
        gate[k] = p[k] < tau ? 1.0f : 0.0f;
        share[k] = p[k] < tau ? p[k] : p[k] / float(members);
    }
}

static void squeeze_image(
    const float* x, const float* next, const float* p, float* y, uint8_t* index, Int begin, Int end, Int channels, Int pixels, Int zeta,
    float tau, bool last) {
    if (!last) {
        squeeze_planes(x, next, p, y, index, begin, end, channels, pixels, zeta, tau);
        return;
    }
    const Int subsets = (channels + zeta - 1) / zeta;
    const Int repeat = repeats(subsets, channels, zeta), width = subsets * repeat;
    std::vector<float> scratch(size_t(2 * width));
    float *gate = scratch.data(), *share = gate + width;
    for (Int r = 0; r < repeat; ++r) gates(p, gate + r * subsets, share + r * subsets, channels, subsets, zeta, tau);
    squeeze_rows(x, next, gate, share, y, index, begin, end, channels, zeta);
}

// Images that are worked on together: no more than stay in the cache, but enough that W is not read oftener than they are.
static Int block_of(Int size, Int weights) {
    const Int block = (BLOCK_BYTES > 4 * weights ? BLOCK_BYTES : 4 * weights) / (4 * size);
    return block < 1 ? 1 : block > 16 ? 16 : block;
}

// x (images, channels, pixels) or, with `last`, (images, pixels, channels); w (subsets, channels) -> z (images, channels),
// p (images, subsets), y (images, subsets, pixels) or its channels-last form; index likewise, which member was picked, or null.
// `known` is 0 where z and p are to be computed, 1 where z is given, 2 where p is given.
static void pix_forward(
    const float* x, const float* w, float* z, float* p, float* y, uint8_t* index, Int images, Int channels, Int pixels, Int zeta,
    float tau, Int last, Int known, Int threads) {
    const Int subsets = (channels + zeta - 1) / zeta, size = channels * pixels;
    if (images * size < SMALL) threads = 1;
    if (images >= threads) {
        const Int block = block_of(size, subsets * channels);
        split(images, (images + block - 1) / block < threads ? threads : (images + block - 1) / block, threads, [&](Int from, Int to) {
            for (Int n = from; n < to; n += block) {
                const Int end = n + block < to ? n + block : to;
                if (known < 1)
                    for (Int i = n; i < end; ++i) {
                        if (last) pool_rows(x + i * size, z + i * channels, channels, channels, pixels);
                        else pool_planes(x + i * size, z + i * channels, channels, pixels);
                    }
                if (known < 2) probabilities(w, z + n * channels, p + n * subsets, end - n, channels, subsets, 0, subsets);
                for (Int i = n; i < end; ++i) {
                    uint8_t* at = index ? index + i * subsets * pixels : nullptr;
                    const float* next = i + block < to ? x + (i + block) * size : nullptr;
                    squeeze_image(
                        x + i * size, next, p + i * subsets, y + i * subsets * pixels, at, 0, last ? pixels : subsets, channels, pixels,
                        zeta, tau, last);
                }
            }
        });
        return;
    }
    for (Int i = 0; i < images; ++i) {
        const float* image = x + i * size;
        if (known < 1)
            split(channels, threads, threads, [&](Int from, Int to) {
                if (last) pool_rows(image + from, z + i * channels + from, to - from, channels, pixels);
                else pool_planes(image + from * pixels, z + i * channels + from, to - from, pixels);
            });
        if (known < 2)
            split(subsets, threads, subsets * channels < SMALL ? 1 : threads, [&](Int from, Int to) {
                probabilities(w, z + i * channels, p + i * subsets, 1, channels, subsets, from, to);
            });
        split(last ? pixels : subsets, threads, threads, [&](Int from, Int to) {
            uint8_t* at = index ? index + i * subsets * pixels : nullptr;
            squeeze_image(
                image, nullptr, p + i * subsets, y + i * subsets * pixels, at, from, to, channels, pixels, zeta, tau, last);
        });
    }
}
