/* What one core of this machine can do at most: arithmetic, and reading from each level of memory.
   Plain C with the vectors of GCC and Clang; limits.py compiles it, runs it and prints the answers. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif

typedef float floats __attribute__((vector_size(BYTES)));
typedef double doubles __attribute__((vector_size(BYTES)));

#define CHAINS 12    /* independent sums: more than latency x throughput of any core, and they fit its registers */
#define SECONDS 0.2  /* of each measurement */
#define REPEATS 5    /* of which the best counts: a limit is what is possible */

static volatile double sink; /* so that no result is unused */

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Chains of x = x * a + b: a multiply-add each, no memory. Returns operations a second, two for each. */
#define MULTIPLY_ADDS(NAME, VECTOR, SCALAR)                                        \
    static double NAME(void) {                                                     \
        enum { LANES = BYTES / sizeof(SCALAR), INNER = 20000 };                    \
        volatile SCALAR near_one = (SCALAR)0.999, small = (SCALAR)0.001;           \
        VECTOR a = (VECTOR){0} + near_one, b = (VECTOR){0} + small, x[CHAINS];     \
        for (int i = 0; i < CHAINS; i++) x[i] = b * (SCALAR)i;                     \
        double count = 0, began = now(), seconds;                                  \
        do {                                                                       \
            for (int n = 0; n < INNER; n++) {                                      \
                _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++)          \
                    x[i] = x[i] * a + b;                                           \
            }                                                                      \
            count += 2.0 * INNER * CHAINS * LANES;                                 \
            seconds = now() - began;                                               \
        } while (seconds < SECONDS);                                               \
        for (int i = 0; i < CHAINS; i++) sink += (double)x[i][0];                  \
        return count / seconds;                                                    \
    }

MULTIPLY_ADDS(multiply_adds_float, floats, float)
MULTIPLY_ADDS(multiply_adds_double, doubles, double)

/* Adds up an array, over and over. Returns bytes read a second. */
static double reading(size_t bytes) {
    size_t vectors = bytes / BYTES / 8 * 8;
    floats *array = aligned_alloc(64, vectors * BYTES);
    if (array == NULL) return 0;
    memset(array, 0, vectors * BYTES);
    floats sum[8] = {{0}};
    double count = 0, began = now(), seconds;
    do {
        for (size_t start = 0; start < vectors; start += 8) {
            _Pragma("GCC unroll 8") for (int i = 0; i < 8; i++) sum[i] += array[start + (size_t)i];
        }
        count += (double)(vectors * BYTES);
        seconds = now() - began;
    } while (seconds < SECONDS);
    for (int i = 0; i < 8; i++) sink += (double)sum[i][0];
    free(array);
    return count / seconds;
}

static double best(double (*measure)(void)) {
    double most = 0;
    for (int i = 0; i < REPEATS; i++) {
        double found = measure();
        if (found > most) most = found;
    }
    return most;
}

static size_t working_set;
static double reading_working_set(void) { return reading(working_set); }

/* Prints a name, a value and a unit a line. The working sets are given in bytes: L1, L2, memory. */
int main(int count, char **arguments) {
    static const char *names[] = {"read L1", "read L2", "read memory"};
    printf("vectors\t%d\tbytes\n", BYTES);
    printf("multiply-adds float32\t%.4g\tGFLOP/s\n", best(multiply_adds_float) / 1e9);
    printf("multiply-adds float64\t%.4g\tGFLOP/s\n", best(multiply_adds_double) / 1e9);
    for (int i = 1; i < count && i <= 3; i++) {
        working_set = (size_t)atoll(arguments[i]);
        printf("%s\t%.4g\tGB/s\n", names[i - 1], best(reading_working_set) / 1e9);
    }
    return 0;
}
