// The kernels for several instruction sets in one library, and the table through which the best one for this processor is called.
#include "common.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

ParallelRegion parallel_region = nullptr;

// Raised with library.py's whenever a signature changes, so that an older build is not called.
EXPORT int nas_version() { return 8; }

EXPORT void nas_use_threads(void* region) { parallel_region = reinterpret_cast<ParallelRegion>(region); }

#if defined(__x86_64__) && !defined(__clang__)
#define STREAM(to, value) __builtin_ia32_movntps(to, value)
#endif
namespace plain {
typedef Quarter Register;
const int REGISTERS = 16;
#include "register.h"
#include "pix.h"
#include "pix_backward.h"
#include "moves.h"
#include "kronecker.h"
#include "multiplex.h"
#include "winograd.h"
}  // namespace plain
#undef STREAM

#if defined(__x86_64__) && defined(__GNUC__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#if !defined(__clang__)
#define STREAM(to, value) __builtin_ia32_movntps256(to, value)
#endif
namespace avx2 {
typedef Half Register;
const int REGISTERS = 16;
#include "register.h"
#include "pix.h"
#include "pix_backward.h"
#include "moves.h"
#include "kronecker.h"
#include "multiplex.h"
#include "winograd.h"
}  // namespace avx2
#undef STREAM
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")
#endif
#define TWO_VECTOR_PERMUTE  // one instruction here, a loop elsewhere; GCC defines no __AVX512F__ after a pragma
#if !defined(__clang__)
#define STREAM(to, value) __builtin_ia32_movntps512(to, value)
#endif
namespace avx512 {
typedef Wide Register;
const int REGISTERS = 32;
#include "register.h"
#include "pix.h"
#include "pix_backward.h"
#include "moves.h"
#include "kronecker.h"
#include "multiplex.h"
#include "winograd.h"
}  // namespace avx512
#undef STREAM
#undef TWO_VECTOR_PERMUTE
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

// 2 for AVX-512, 1 for AVX2 with fused multiply-add, 0 for neither.
static int highest() {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) return 2;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 1 : 0;
}
static int level = highest();
#define BEST(name) (level == 2 ? avx512::name : level == 1 ? avx2::name : plain::name)
#else
static int highest() { return 0; }
static int level = 0;
#define BEST(name) plain::name
#endif

// Lets kernels use no more than this level's instructions, below 0 leaves it as it is; returns the level that they use from now on.
EXPORT int nas_use_level(int most) { return level = most < 0 ? level : most < highest() ? most : highest(); }

EXPORT void nas_pix_forward(
    const float* x, const float* w, float* z, float* p, float* y, uint8_t* index, Int images, Int channels, Int pixels, Int zeta,
    float tau, Int last, Int known, Int threads) {
    BEST(pix_forward)(x, w, z, p, y, index, images, channels, pixels, zeta, tau, last, known, threads);
}

EXPORT void nas_pix_backward(
    const float* gy, const float* y, const float* z, const float* p, const float* w, const uint8_t* index, float* logit, float* gx,
    float* gw, Int images, Int channels, Int pixels, Int zeta, float tau, Int last, Int threads) {
    BEST(pix_backward)(gy, y, z, p, w, index, logit, gx, gw, images, channels, pixels, zeta, tau, last, threads);
}

EXPORT void nas_pool(const float* x, float* z, Int images, Int channels, Int pixels, Int last, Int threads) {
    BEST(pool)(x, z, images, channels, pixels, last, threads);
}

EXPORT void nas_gather(
    const float* x, const int64_t* index, float* y, Int images, Int channels, Int out, Int pixels, Int last, Int threads) {
    BEST(gather)(x, index, y, images, channels, out, pixels, last, threads);
}

EXPORT void nas_order(const float* logits, int64_t* index, Int images, Int groups, Int matrices, Int a, Int b) {
    BEST(order)(logits, index, images, groups, matrices, a, b);
}

EXPORT void nas_kronecker(
    const float* x, const float* left, const float* right, float* y, Int images, Int groups, Int a, Int b, Int rows, Int columns,
    Int pixels, Int threads) {
    BEST(kronecker)(x, left, right, y, images, groups, a, b, rows, columns, pixels, threads);
}

EXPORT void nas_multiplex(
    const float* x, const float* w, const float* bias, float* y, Int images, Int height, Int width, Int channels, Int first, Int size,
    Int k, Int stride, Int scale, Int paired, Int relu, Int threads) {
    BEST(multiplex)(x, w, bias, y, images, height, width, channels, first, size, k, stride, scale, paired, relu, threads);
}

EXPORT void nas_winograd(
    const float* x, const float* u, const float* bias, const float* residual, float* y, Int images, Int height, Int width, Int c_in,
    Int c_out, Int relu, Int threads) {
    BEST(winograd)(x, u, bias, residual, y, images, height, width, c_in, c_out, relu, threads);
}
