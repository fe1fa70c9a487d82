// A register of this instruction set, of floats and of numbers, and what is done with its lanes. Code of kernels that compares, chooses or
// moves lanes is written for it: longer vectors would be taken apart lane by lane.
// Included once for each instruction set: see kernels.cpp, which says what a Register is.

const Int LENGTH = sizeof(Register) / sizeof(float);
typedef int32_t RegisterInt __attribute__((vector_size(sizeof(Register))));
typedef uint32_t RegisterUnsigned __attribute__((vector_size(sizeof(Register))));
typedef uint16_t RegisterShorts __attribute__((vector_size(sizeof(Register) / 2)));
typedef uint8_t RegisterBytes __attribute__((vector_size(sizeof(Register) / 4)));

INLINE Register load(const float* from) { return get<Register>(from); }
INLINE RegisterInt load(const int32_t* from) {
    RegisterInt value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

// Stores where a whole register begins, on request past the caches, which then need not read first what is overwritten.
// After the last of those `streamed` lets other threads see them.
INLINE void write(float* to, const Register& value, bool past_caches) {
#if defined(STREAM)
    if (past_caches) STREAM(to, value);
    else store(to, value);
#else
    (void)past_caches;
    store(to, value);
#endif
}
INLINE void streamed() {
#if defined(STREAM)
    __builtin_ia32_sfence();
#endif
}

// Bytes as numbers and back, in two steps: in one, GCC 12 would take the lanes apart.
INLINE RegisterInt widened(const uint8_t* from) {
    RegisterBytes bytes;
    std::memcpy(&bytes, from, sizeof bytes);
    return RegisterInt(__builtin_convertvector(__builtin_convertvector(bytes, RegisterShorts), RegisterUnsigned));
}
INLINE void narrow(const RegisterInt& value, uint8_t* to) {
    const RegisterBytes bytes = __builtin_convertvector(__builtin_convertvector(RegisterUnsigned(value), RegisterShorts), RegisterBytes);
    std::memcpy(to, &bytes, sizeof bytes);
}

// Lane j is value[lanes[j]].
template <class T>
INLINE T shuffled(const T& value, const RegisterInt& lanes) {
#if defined(__clang__)  // it makes one instruction of the loop
    T out;
    for (Int j = 0; j < LENGTH; ++j) out[j] = value[lanes[j]];
    return out;
#else
    return __builtin_shuffle(value, lanes);
#endif
}

// Calls work(t) for registers at t that cover [0, size): the last one covers again what it must to be whole. Returns how many that are,
// which is none of fewer than a register holds.
template <class F>
INLINE Int cover(Int size, F work) {
    if (size < LENGTH) return 0;
    for (Int t = 0; t < size; t += LENGTH) work(t + LENGTH <= size ? t : size - LENGTH);
    return size;
}
