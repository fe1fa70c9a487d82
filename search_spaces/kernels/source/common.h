// What the native kernels share: versions for several instruction sets, and PyTorch's own threads. No headers of torch are needed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(_WIN32)
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

#if !defined(__GNUC__)
#error "these kernels use GCC's vector extensions: build with GCC or Clang"
#endif
#define INLINE static inline __attribute__((always_inline))
#define RESTRICT __restrict__

typedef int64_t Int;

const int LINE = 16;                                         // floats of a line of the caches
#define PREFETCH(from) __builtin_prefetch(from)              // what is used next
#define PREFETCH_LATER(from) __builtin_prefetch(from, 0, 2)  // more than the first cache holds

// Sixteen, eight and four floats, which the compiler maps to registers if there are such.
typedef float Wide __attribute__((vector_size(64)));
typedef float Half __attribute__((vector_size(32)));
typedef float Quarter __attribute__((vector_size(16)));

// Moves to and from such a vector; and the sum of its lanes.
template <class T>
INLINE T get(const float* from) {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
}
template <class T>
INLINE void store(float* to, const T& value) {
    std::memcpy(to, &value, sizeof(T));
}
INLINE float total(const Quarter& value) { return (value[0] + value[2]) + (value[1] + value[3]); }
INLINE float total(const Half& value) {
    union { Half whole; Quarter half[2]; } a = {value};
    return total(a.half[0] + a.half[1]);
}
INLINE float total(const Wide& value) {
    union { Wide whole; Half half[2]; } a = {value};
    return total(a.half[0] + a.half[1]);
}

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
