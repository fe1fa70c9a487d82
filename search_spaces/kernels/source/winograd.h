// 3×3 convolution of stride 1 in channels-last by Winograd's F(4×4, 3×3) (Lavin and Gray 2016): tiles of 6×6 pixels, 2 apart at their
// edges, go through a transform in which 36 products a channel give 4×4 outputs, where the direct way takes 144.
// Points 0, ±3/4, ±3/2 and infinity, whose rounding errors are a third of those of the usual 0, ±1, ±2 and infinity.
// Included once for each instruction set: see kernels.cpp, which says what a Register is and how many there are.

namespace {
const Int POINTS = 36;                // of a tile's transform
const int MOST_ROWS = REGISTERS == 32 ? 12 : 4;  // of two registers each that are kept at a time
const Int PANEL = 2 * LINE;           // output channels that are worked on together
const Int TILES_BYTES = 384 << 10;    // of transformed input that is kept in the cache
const Int FEWEST_TILES = 32;          // so many share each weight that is read, though their transform leaves the second cache
const float P = 0.75f * 0.75f, Q = 1.5f * 1.5f;
}  // namespace

// Bᵀ d of six values.
INLINE void into(const Register* d, Register* v) {
    v[0] = P * Q * d[0] - (P + Q) * d[2] + d[4];
    const Register even = d[4] - Q * d[2], odd = 0.75f * (d[3] - Q * d[1]);
    v[1] = even + odd, v[2] = even - odd;
    const Register even2 = d[4] - P * d[2], odd2 = 1.5f * (d[3] - P * d[1]);
    v[3] = even2 + odd2, v[4] = even2 - odd2;
    v[5] = P * Q * d[1] - (P + Q) * d[3] + d[5];
}

// Aᵀ m of six values.
INLINE void out_of(const Register* m, Register* y) {
    const Register sum = m[1] + m[2], difference = m[1] - m[2], sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    y[0] = m[0] + sum + sum2;
    y[1] = 0.75f * difference + 1.5f * difference2;
    y[2] = P * sum + Q * sum2;
    y[3] = 0.75f * P * difference + 1.5f * Q * difference2 + m[5];
}

// m (R, PANEL) = v (R rows of sixteen values a block, blocks `next` apart) times u (16·blocks, PANEL), of which `N` registers are taken.
template <int R, int N>
INLINE void multiply(const float* RESTRICT v, Int next, const float* RESTRICT u, float* RESTRICT m, Int blocks) {
    Register sum[R][N] = {};
    for (Int block = 0; block < blocks; ++block, v += next)
        for (int j = 0; j < LINE; ++j, u += PANEL) {
            Register weight[N];
            for (int n = 0; n < N; ++n) weight[n] = load(u + n * LENGTH);
            for (int r = 0; r < R; ++r)
                for (int n = 0; n < N; ++n) sum[r][n] += v[r * LINE + j] * weight[n];
        }
    for (int r = 0; r < R; ++r)
        for (int n = 0; n < N; ++n) store(m + r * PANEL + n * LENGTH, sum[r][n]);
}

// As `multiply`, for all of a panel.
template <int R>
INLINE void multiply_panel(const float* v, Int next, const float* u, float* m, Int blocks) {
    for (Int k = 0; k < PANEL; k += 2 * LENGTH) multiply<R, 2>(v, next, u + k, m + k, blocks);
}

// `tiles` is a multiple of four.
static void multiply_all(const float* v, Int next, const float* u, float* m, Int tiles, Int blocks) {
    while (tiles > 0) {
        const Int some = tiles >= MOST_ROWS && tiles != 16 ? MOST_ROWS : MOST_ROWS > 8 && tiles >= 8 ? 8 : 4;
        (some == MOST_ROWS ? multiply_panel<MOST_ROWS> : some == 8 ? multiply_panel<8> : multiply_panel<4>)(v, next, u, m, blocks);
        tiles -= some, v += some * LINE, m += some * PANEL;
    }
}

struct Winograd {
    const float *x, *u, *bias, *residual;
    float* y;
    Int height, width, c_in, c_out, relu;

    Int rows() const { return (height + 3) / 4; }
    Int columns() const { return (width + 3) / 4; }

    // Channels of tile t into v (POINTS, c_in / 16, tiles, 16), points `next` apart; what lies outside of the map reads `zeros`.
    void read(Int t, const float* zeros, float* v, Int tiles, Int next) const {
        const Int across = columns(), image = t / (rows() * across), row = t / across % rows() * 4 - 1, column = t % across * 4 - 1;
        const float* from[POINTS];
        for (Int i = 0; i < 6; ++i)
            for (Int j = 0; j < 6; ++j) {
                const bool inside = row + i >= 0 && row + i < height && column + j >= 0 && column + j < width;
                from[6 * i + j] = inside ? x + ((image * height + row + i) * width + column + j) * c_in : zeros;
            }
        for (Int c = 0; c < c_in; c += LENGTH) {
            Register half[POINTS], line[6];
            for (int j = 0; j < 6; ++j) {
                for (int i = 0; i < 6; ++i) line[i] = load(from[6 * i + j] + c);
                Register done[6];
                into(line, done);
                for (int i = 0; i < 6; ++i) half[6 * i + j] = done[i];
            }
            float* const to = v + c / LINE * tiles * LINE + c % LINE;
            for (int i = 0; i < 6; ++i) {
                into(half + 6 * i, line);
                for (int j = 0; j < 6; ++j) store(to + (6 * i + j) * next, line[j]);
            }
        }
    }

    // A register of channels from k on of tile t, from m, whose points lie `next` apart.
    void write(Int t, Int k, const float* m, Int next) const {
        const Int across = columns(), image = t / (rows() * across), row = t / across % rows() * 4, column = t % across * 4;
        Register half[24], line[6], done[4];
        for (int j = 0; j < 6; ++j) {
            for (int i = 0; i < 6; ++i) line[i] = load(m + (6 * i + j) * next);
            out_of(line, done);
            for (int i = 0; i < 4; ++i) half[6 * i + j] = done[i];
        }
        const Register shift = load(bias + k);
        for (Int i = 0; i < 4 && row + i < height; ++i) {
            out_of(half + 6 * i, done);
            const Int at = ((image * height + row + i) * width + column) * c_out + k;
            for (Int j = 0; j < 4 && column + j < width; ++j) {
                Register value = done[j] + shift;
                if (residual) value += load(residual + at + j * c_out);
                if (relu) value = value < 0 ? Register{} : value;  // so a not-a-number stays
                store(y + at + j * c_out, value);
            }
        }
    }

    // Tiles [begin, end), `most` at a time.
    void run(Int begin, Int end, Int most) const {
        const Int next_v = most * c_in + LINE, next_m = most * PANEL + LINE;  // not a power of two: it would be one set of the cache
        const std::unique_ptr<float[]> memory(new float[size_t(POINTS * (next_v + next_m) + c_in + LINE)]);
        float* const v = memory.get() + (64 - reinterpret_cast<uintptr_t>(memory.get()) % 64) / 4;
        float *const m = v + POINTS * next_v, *const zeros = m + POINTS * next_m;
        for (Int c = 0; c < c_in; ++c) zeros[c] = 0;
        for (Int t = begin; t < end; t += most) {
            const Int some = end - t < most ? end - t : most, tiles = (some + 3) / 4 * 4;
            for (Int i = 0; i < tiles; ++i) read(i < some ? t + i : t, zeros, v + i * LINE, tiles, next_v);
            for (Int k = 0; k < c_out; k += PANEL) {
                for (Int p = 0; p < POINTS; ++p)
                    multiply_all(v + p * next_v, tiles * LINE, u + (k * POINTS + p * PANEL) * c_in, m + p * next_m, tiles, c_in / LINE);
                for (Int i = 0; i < some; ++i)
                    for (Int n = 0; n < PANEL && k + n < c_out; n += LENGTH) write(t + i, k + n, m + i * PANEL + n, next_m);
            }
        }
    }
};

// y = act(x * w + bias + residual): x (images, height, width, c_in), residual or null and y (images, height, width, c_out); both
// numbers of channels are multiples of sixteen. u (c_out / 32, 36, c_in, 32) are the transformed weights, zero beyond c_out.
static void winograd(
    const float* x, const float* u, const float* bias, const float* residual, float* y, Int images, Int height, Int width, Int c_in,
    Int c_out, Int relu, Int threads) {
    const Winograd job{x, u, bias, residual, y, height, width, c_in, c_out, relu};
    const Int tiles = images * job.rows() * job.columns();
    Int most = TILES_BYTES / (POINTS * 4 * c_in);
    if (most < FEWEST_TILES) most = FEWEST_TILES;
    const Int share = (tiles + threads - 1) / threads;
    if (most > share) most = share;
    most = (most + 3) / 4 * 4;
    split(tiles, (tiles + most - 1) / most, threads, [&](Int begin, Int end) { job.run(begin, end, most); });
}
