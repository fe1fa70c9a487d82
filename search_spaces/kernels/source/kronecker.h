// Mixing of channels by Kronecker products. Included once for each instruction set, after pix.h: see kernels.cpp.

// out (rows × width) = by (rows × inner, its rows `stride` apart) · from (inner × width), for `R` rows and the columns of `N` registers.
template <int R, int N>
INLINE void small_columns(const float* RESTRICT by, Int stride, const float* RESTRICT from, float* RESTRICT out, Int inner, Int width) {
    Register sums[R][N] = {};
    for (Int k = 0; k < inner; ++k)
        for (int r = 0; r < R; ++r)
            for (int n = 0; n < N; ++n) sums[r][n] += by[r * stride + k] * load(from + k * width + n * LENGTH);
    for (int r = 0; r < R; ++r)
        for (int n = 0; n < N; ++n) store(out + r * width + n * LENGTH, sums[r][n]);
}

// The same for all columns; `width` is a multiple of LENGTH.
template <int R>
INLINE void small_rows(const float* by, Int stride, const float* from, float* out, Int inner, Int width) {
    Int c = 0;
    for (; c + 2 * LENGTH <= width; c += 2 * LENGTH) small_columns<R, 2>(by, stride, from + c, out + c, inner, width);
    if (c < width) small_columns<R, 1>(by, stride, from + c, out + c, inner, width);
}

INLINE void small_product(const float* by, Int stride, const float* from, float* out, Int rows, Int inner, Int width) {
    Int r = 0;
    for (; r + 4 <= rows; r += 4) small_rows<4>(by + r * stride, stride, from, out + r * width, inner, width);
    for (; r < rows; ++r) small_rows<1>(by + r * stride, stride, from, out + r * width, inner, width);
}

// Pixels [begin, end) of one image, channels-last. At each pixel and group Y = A X Bᵀ, X being its channels as an a×b matrix, and
// output channel (i·columns + j)·groups + g is Y[i, j]. Rows are padded to whole vectors in `scratch`.
static void kronecker_pixels(
    const float* RESTRICT x, const float* left, const float* right, float* RESTRICT y, float* scratch, Int begin, Int end, Int groups,
    Int a, Int b, Int rows, Int columns) {
    const Int wide_b = (b + LENGTH - 1) / LENGTH * LENGTH, wide_columns = (columns + LENGTH - 1) / LENGTH * LENGTH;
    float *matrix = scratch, *between = matrix + a * wide_b, *out = between + rows * wide_b, *turned = out + rows * wide_columns;
    for (Int i = 0; i < turned - scratch + groups * b * wide_columns; ++i) scratch[i] = 0;
    for (Int g = 0; g < groups; ++g)
        for (Int j = 0; j < columns; ++j)
            for (Int l = 0; l < b; ++l) turned[(g * b + l) * wide_columns + j] = right[(g * columns + j) * b + l];
    for (Int t = begin; t < end; ++t)
        for (Int g = 0; g < groups; ++g) {
            const float* from = x + (t * groups + g) * a * b;
            if (b % LENGTH) {
                for (Int k = 0; k < a; ++k)
                    for (Int l = 0; l < b; ++l) matrix[k * wide_b + l] = from[k * b + l];
                from = matrix;
            }
            small_product(left + g * rows * a, a, from, between, rows, a, wide_b);
            float* to = y + t * groups * rows * columns;
            const bool direct = groups == 1 && columns % LENGTH == 0;
            small_product(between, wide_b, turned + g * b * wide_columns, direct ? to : out, rows, b, wide_columns);
            if (!direct)
                for (Int i = 0; i < rows; ++i)
                    for (Int j = 0; j < columns; ++j) to[(i * columns + j) * groups + g] = out[i * wide_columns + j];
        }
}

// x (images, pixels, groups·a·b), left (images, groups, rows, a), right (images, groups, columns, b)
// -> y (images, pixels, rows·columns·groups).
static void kronecker(
    const float* x, const float* left, const float* right, float* y, Int images, Int groups, Int a, Int b, Int rows, Int columns,
    Int pixels, Int threads) {
    if (images * pixels * groups * a * b < SMALL) threads = 1;
    const Int parts = images >= threads ? 1 : threads, pieces = images * parts;
    split(pieces, pieces, threads, [&](Int begin, Int end) {
        const Int wide_b = b + LENGTH, wide_columns = columns + LENGTH;
        std::vector<float> scratch(size_t((a + rows) * wide_b + (rows + groups * b) * wide_columns));
        for (Int i = begin; i < end; ++i) {
            const Int n = i / parts, part = i % parts;
            kronecker_pixels(
                x + n * pixels * groups * a * b, left + n * groups * rows * a, right + n * groups * columns * b,
                y + n * pixels * groups * rows * columns, scratch.data(), part * pixels / parts, (part + 1) * pixels / parts, groups, a,
                b, rows, columns);
        }
    });
}
