// What the native kernels share: versions for several instruction sets, and PyTorch's own threads. No headers of torch are needed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#if defined(_WIN32)
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#define RESTRICT __restrict__
#else
#define INLINE static inline
#define RESTRICT
#endif

typedef int64_t Int;

// Sixteen floats, which the compiler maps to the registers of the version that it makes.
#if defined(__GNUC__)
const int WIDE = 16;
typedef float Wide __attribute__((vector_size(64)));
typedef float WideUnaligned __attribute__((vector_size(64), aligned(4)));
#define load(from) (Wide(*reinterpret_cast<const WideUnaligned*>(from)))
#define store(to, value) (*reinterpret_cast<WideUnaligned*>(to) = (value))
#define PREFETCH(from) __builtin_prefetch(from)              // what is used next
#define PREFETCH_LATER(from) __builtin_prefetch(from, 0, 2)  // more than the first cache holds
typedef float Half __attribute__((vector_size(32)));
typedef float Quarter __attribute__((vector_size(16)));
INLINE float total(const Wide& value) {
    union { Wide whole; Half half[2]; } a = {value};
    union { Half whole; Quarter half[2]; } b = {a.half[0] + a.half[1]};
    const Quarter c = b.half[0] + b.half[1];
    return (c[0] + c[2]) + (c[1] + c[3]);
}

// Lane j is value[lanes[j]].
typedef int32_t WideInt __attribute__((vector_size(64)));
typedef uint8_t WideBytes __attribute__((vector_size(16)));
#if defined(__clang__)
template <class T>
INLINE T shuffled(const T& value, const WideInt& lanes) {
    T out;
    for (int j = 0; j < WIDE; ++j) out[j] = value[lanes[j]];
    return out;
}
#else
#define shuffled(value, lanes) __builtin_shuffle(value, lanes)
#endif
#else
#error "these kernels use GCC's vector extensions: build with GCC or Clang"
#endif

// libgomp's entry to a parallel region, handed in from Python so that PyTorch's threads are used and no second pool is made.
typedef void (*ParallelRegion)(void (*work)(void*), void* argument, unsigned threads, unsigned flags);
extern ParallelRegion parallel_region;

template <class F>
struct Job {
    F* run;
    Int total, pieces;
    std::atomic<Int> next;

    static void work(void* argument) {
        Job* job = static_cast<Job*>(argument);
        for (Int i = job->next++; i < job->pieces; i = job->next++)
            (*job->run)(i * job->total / job->pieces, (i + 1) * job->total / job->pieces);
    }
};

// Calls run(begin, end) over [0, total), cut into at most `pieces` ranges which `threads` threads take one after the other.
template <class F>
static void split(Int total, Int pieces, Int threads, F run) {
    if (pieces > total) pieces = total;
    if (threads <= 1 || pieces <= 1 || !parallel_region) {
        run(Int(0), total);
        return;
    }
    Job<F> job{&run, total, pieces, {0}};
    parallel_region(&Job<F>::work, &job, unsigned(threads < pieces ? threads : pieces), 0);
}
