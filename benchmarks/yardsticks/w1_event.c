/* W1, "retrying multi-server queues with one zone lost", as a C event loop: the speed to measure azsim against.
 *
 * The world: Poisson requests at 0.7 of the capacity; 3 zones of 4 instances, 8 slots each, an unbounded FIFO
 * before the slots; round-robin over the instances in rotation; work Exp(20 ms); the client waits 200 ms for an
 * attempt, makes up to 3 of them, and backs off uniform(0, 50 ms doubling) between them; a server works on for a
 * client that has left (orphan). With a zone lost: a third into the run the first zone falls silent with all it
 * holds, and it leaves the rotation 10 s later.
 *
 * What makes it fast: one source for each kind of event instead of one heap. The next arrival is a scalar. All
 * timeouts are equally long, so they expire in the order of sending: a ring. Completions are few at a time (a slot
 * each) and near: a timing wheel with a bitmap. Only back-offs need a heap. Random numbers are hashes of (seed,
 * request, attempt, purpose), so their order does not matter and first draws come in vectorised batches.
 *
 * Build: gcc -O3 -march=native -ffp-contract=fast -fno-math-errno -fno-trapping-math w1_event.c -lm -o w1_event
 * Run:   ./w1_event a|b DURATION_S SEED REPLICATIONS      (a: nothing breaks, b: a zone is lost)
 * Prints one JSON object; `wall_s` is the simulation alone.
 */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { ZONES = 3, PER_ZONE = 4, INSTANCES = ZONES * PER_ZONE, SLOTS = 8, ATTEMPTS = 3 };
static const double WORK_S = 0.020, TIMEOUT_S = 0.200, BACKOFF_S = 0.050, LOAD = 0.7, DETECTION_S = 10.0;
#define NEVER 1e300
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

typedef struct {
    uint64_t requests, attempts, succeeded, failed, timeouts, completions, orphans;
    double latency_sum_s;
} Totals;

/* ---- random numbers: one hash for each (seed, request, attempt, purpose) ---- */

enum { ARRIVAL, WORK, JITTER };
enum { BATCH = 256 };
static const uint64_t GOLDEN = 0x9e3779b97f4a7c15u;
static uint64_t seed_key, batch_first;
static double arrival_draws[BATCH], work_draws[BATCH];

static inline uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* In (0, 1), both ends left out. */
static inline double uniform(uint64_t request, unsigned attempt, unsigned purpose)
{
    uint64_t hash = mix(seed_key + (request * 16 + attempt * 4 + purpose) * GOLDEN);
    return ((double)(int64_t)(hash >> 12) + 0.5) * 0x1p-52;
}

/* ln x for 0 < x < 1 to about 1e-12, inline so that batches vectorise: x = 2^e m, m near 1, ln m = 2 artanh s. */
static inline double natural_log(double x)
{
    union { double value; uint64_t bits; } m = { x };
    int64_t e = (int64_t)(m.bits - 0x3fe6a09e667f3bcdu) >> 52;
    m.bits -= (uint64_t)e << 52;
    double s = (m.value - 1.0) / (m.value + 1.0), z = s * s;
    double p = 2.0 / 15;
    p = p * z + 2.0 / 13;
    p = p * z + 2.0 / 11;
    p = p * z + 2.0 / 9;
    p = p * z + 2.0 / 7;
    p = p * z + 2.0 / 5;
    p = p * z + 2.0 / 3;
    p = p * z + 2.0;
    return (double)e * 0.6931471805599453 + s * p;
}

static inline double exponential(uint64_t request, unsigned attempt, unsigned purpose)
{
    return -natural_log(uniform(request, attempt, purpose));
}

static __attribute__((noinline)) void draw_batch(uint64_t first)
{
    batch_first = first;
    for (int k = 0; k < BATCH; k++) arrival_draws[k] = exponential(first + k, 0, ARRIVAL);
    for (int k = 0; k < BATCH; k++) work_draws[k] = exponential(first + k, 0, WORK);
}

static inline double arrival_gap(uint64_t request)
{
    uint64_t first = request & ~(uint64_t)(BATCH - 1);
    if (first != batch_first) draw_batch(first);
    return arrival_draws[request & (BATCH - 1)];
}

static inline double work_s(uint64_t request, unsigned attempt)
{
    if (attempt == 0 && (request & ~(uint64_t)(BATCH - 1)) == batch_first)
        return WORK_S * work_draws[request & (BATCH - 1)];
    return WORK_S * exponential(request, attempt, WORK);
}

static void seed_draws(uint64_t seed)
{
    seed_key = mix((seed * GOLDEN + 12345 + 4 * GOLDEN) ^ 0x1234567);
    batch_first = ~(uint64_t)0;
}

/* ---- attempts whose client still waits: a ring in order of sending, which is the order of timing out ---- */

/* `try_key` is request * 4 + attempt, the address of an attempt's random numbers. */
typedef struct { double sent_s, started_s; uint32_t try_key; bool settled; } Attempt;
enum { WINDOW = 1 << 14 };
static Attempt window_ring[WINDOW];
static uint32_t window_head, window_tail; /* serials: of the oldest attempt not settled, of the next to send */

static inline Attempt *attempt_at(uint32_t serial) { return &window_ring[serial & (WINDOW - 1)]; }

/* Leaves the settled attempts behind; returns when the oldest one left times out. */
static inline double next_timeout(void)
{
    while (window_head != window_tail && attempt_at(window_head)->settled) window_head++;
    return window_head != window_tail ? attempt_at(window_head)->sent_s + TIMEOUT_S : NEVER;
}

/* ---- back-offs: a binary heap by end ---- */

typedef struct { double end_s, started_s; uint32_t try_key; } Backoff;
static Backoff *backoffs;
static uint32_t backoff_count, backoff_capacity;

static void backoff_push(Backoff entry)
{
    if (backoff_count == backoff_capacity) {
        backoff_capacity = backoff_capacity ? 2 * backoff_capacity : 1024;
        backoffs = realloc(backoffs, backoff_capacity * sizeof *backoffs);
        if (!backoffs) abort();
    }
    uint32_t i = backoff_count++;
    for (uint32_t parent; i > 0 && backoffs[parent = (i - 1) / 2].end_s > entry.end_s; i = parent)
        backoffs[i] = backoffs[parent];
    backoffs[i] = entry;
}

static Backoff backoff_pop(void)
{
    Backoff first = backoffs[0], last = backoffs[--backoff_count];
    uint32_t i = 0;
    for (uint32_t child; (child = 2 * i + 1) < backoff_count; i = child) {
        if (child + 1 < backoff_count) child += backoffs[child + 1].end_s < backoffs[child].end_s;
        if (backoffs[child].end_s >= last.end_s) break;
        backoffs[i] = backoffs[child];
    }
    backoffs[i] = last;
    return first;
}

static inline double next_backoff(void) { return backoff_count ? backoffs[0].end_s : NEVER; }

/* ---- instances: slots in use, and a FIFO of jobs that doubles when full ---- */

typedef struct { uint32_t try_key, serial; } Job;
typedef struct { Job *jobs; uint64_t head, tail, capacity; } Queue;
static Queue queues[INSTANCES];
static int slots_busy[INSTANCES], rotation[INSTANCES], rotation_size, rotation_next;
static bool alive[INSTANCES];

static void queue_grow(Queue *queue)
{
    uint64_t capacity = queue->capacity ? 2 * queue->capacity : 64;
    Job *jobs = malloc(capacity * sizeof *jobs);
    if (!jobs) abort();
    for (uint64_t i = queue->head; i < queue->tail; i++)
        jobs[i & (capacity - 1)] = queue->jobs[i & (queue->capacity - 1)];
    free(queue->jobs);
    queue->jobs = jobs;
    queue->capacity = capacity;
}

static inline void queue_push(Queue *queue, Job job)
{
    if (UNLIKELY(queue->tail - queue->head == queue->capacity)) queue_grow(queue);
    queue->jobs[queue->tail++ & (queue->capacity - 1)] = job;
}

static inline Job queue_pop(Queue *queue) { return queue->jobs[queue->head++ & (queue->capacity - 1)]; }

static inline int next_in_rotation(void)
{
    if (rotation_next >= rotation_size) rotation_next = 0;
    return rotation[rotation_next++];
}

/* ---- completions: a timing wheel of unsorted buckets, and a bitmap of those in use ---- */

enum { BUCKETS = 8192, NODES = INSTANCES * SLOTS, NO_NODE = 127 };
/* The wheel turns once in a second. The longest work a draw can give is -ln(2^-53) * 20 ms = 0.735 s, so no two
 * laps ever mix. */
static const double BUCKETS_PER_S = 8192.0;
typedef struct { double end_s; Job job; uint32_t instance, next; } Node;
static Node nodes[NODES];
static uint8_t bucket_heads[BUCKETS];
static uint64_t buckets_used[BUCKETS / 64];
static uint32_t free_node, nodes_used;

static void wheel_clear(void)
{
    for (uint32_t n = 0; n < NODES; n++) nodes[n].next = n + 1;
    memset(bucket_heads, NO_NODE, sizeof bucket_heads);
    memset(buckets_used, 0, sizeof buckets_used);
    free_node = nodes_used = 0;
}

static inline uint32_t bucket_of(double time_s)
{
    return (uint32_t)(uint64_t)(time_s * BUCKETS_PER_S) & (BUCKETS - 1);
}

static inline void wheel_link(uint32_t n, double end_s)
{
    uint32_t bucket = bucket_of(end_s);
    nodes[n].end_s = end_s;
    nodes[n].next = bucket_heads[bucket];
    bucket_heads[bucket] = (uint8_t)n;
    buckets_used[bucket >> 6] |= 1ull << (bucket & 63);
}

static inline void wheel_unlink(uint32_t n)
{
    uint32_t bucket = bucket_of(nodes[n].end_s);
    if (bucket_heads[bucket] == n) {
        bucket_heads[bucket] = (uint8_t)nodes[n].next;
    } else {
        uint32_t before = bucket_heads[bucket];
        while (nodes[before].next != n) before = nodes[before].next;
        nodes[before].next = nodes[n].next;
    }
    if (bucket_heads[bucket] == NO_NODE) buckets_used[bucket >> 6] &= ~(1ull << (bucket & 63));
}

/* The node that ends first, `now_s` or later. Needs nodes_used > 0. */
static inline uint32_t wheel_first(double now_s)
{
    uint32_t bucket = bucket_of(now_s), word = bucket >> 6;
    uint64_t bits = buckets_used[word] & (~0ull << (bucket & 63));
    while (!bits) bits = buckets_used[word = (word + 1) & (BUCKETS / 64 - 1)];
    uint32_t first = bucket_heads[word << 6 | (uint32_t)__builtin_ctzll(bits)];
    for (uint32_t n = nodes[first].next; n != NO_NODE; n = nodes[n].next)
        if (nodes[n].end_s < nodes[first].end_s) first = n;
    return first;
}

static inline void wheel_release(uint32_t n)
{
    nodes[n].next = free_node;
    free_node = n;
    nodes_used--;
}

/* ---- the fault: the first zone falls silent, and later leaves the rotation ---- */

static void lose_zone(void)
{
    for (int i = 0; i < PER_ZONE; i++) {
        alive[i] = false;
        queues[i].head = queues[i].tail = 0;
    }
    for (uint32_t bucket = 0; bucket < BUCKETS; bucket++)
        for (uint32_t n = bucket_heads[bucket], next; n != NO_NODE; n = next) {
            next = nodes[n].next;
            if (nodes[n].instance < PER_ZONE) {
                wheel_unlink(n);
                wheel_release(n);
            }
        }
}

static void leave_rotation(void)
{
    rotation_size = INSTANCES - PER_ZONE;
    rotation_next = 0;
    for (int i = 0; i < rotation_size; i++) rotation[i] = PER_ZONE + i;
}

static void reset(uint64_t seed)
{
    seed_draws(seed);
    wheel_clear();
    window_head = window_tail = backoff_count = 0;
    rotation_size = INSTANCES;
    rotation_next = 0;
    for (int i = 0; i < INSTANCES; i++) {
        rotation[i] = i;
        alive[i] = true;
        slots_busy[i] = 0;
        queues[i].head = queues[i].tail = 0;
    }
}

/* ---- the event loop ---- */

static inline double earliest(double a, double b) { return a < b ? a : b; }

static Totals simulate(bool zone_lost, double duration_s, uint64_t seed)
{
    enum { ZONE_LOSS, DETECTION, END } stage = zone_lost ? ZONE_LOSS : END;
    const double gap_s = WORK_S / (LOAD * INSTANCES * SLOTS);
    Totals totals = { 0 };
    reset(seed);
    double arrival_s = gap_s * arrival_gap(0), completion_s = NEVER, timeout_s = NEVER, backoff_s = NEVER;
    double stage_s = zone_lost ? duration_s / 3 : duration_s, rare_s = stage_s;
    uint32_t completing = NO_NODE;
    for (;;) {
        double now_s, started_s;
        uint32_t try_key;
        if (completion_s < arrival_s && completion_s <= rare_s) {
            now_s = completion_s;
            Node *node = &nodes[completing];
            uint32_t serial = node->job.serial, instance = node->instance;
            wheel_unlink(completing);
            totals.completions++;
            if ((int32_t)(serial - window_head) >= 0) { /* the client has not timed out */
                Attempt *attempt = attempt_at(serial);
                attempt->settled = true;
                totals.succeeded++;
                totals.latency_sum_s += now_s - attempt->started_s;
                if (serial == window_head) {
                    timeout_s = next_timeout();
                    rare_s = earliest(earliest(stage_s, timeout_s), backoff_s);
                }
            } else {
                totals.orphans++;
            }
            Queue *queue = &queues[instance];
            if (queue->tail > queue->head) {
                node->job = queue_pop(queue);
                wheel_link(completing, now_s + work_s(node->job.try_key >> 2, node->job.try_key & 3));
            } else {
                slots_busy[instance]--;
                wheel_release(completing);
            }
            completion_s = NEVER;
            if (nodes_used) {
                completing = wheel_first(now_s);
                completion_s = nodes[completing].end_s;
            }
            continue;
        }
        if (arrival_s <= rare_s) {
            now_s = started_s = arrival_s;
            try_key = (uint32_t)totals.requests++ << 2;
            arrival_s = now_s + gap_s * arrival_gap(totals.requests);
        } else if (rare_s == stage_s) {
            now_s = stage_s;
            if (stage == END) break;
            if (stage == ZONE_LOSS) {
                lose_zone();
                completion_s = NEVER;
                if (nodes_used) {
                    completing = wheel_first(now_s);
                    completion_s = nodes[completing].end_s;
                }
                stage_s = earliest(now_s + DETECTION_S, duration_s);
                stage = stage_s < duration_s ? DETECTION : END;
            } else {
                leave_rotation();
                stage_s = duration_s;
                stage = END;
            }
            rare_s = earliest(earliest(stage_s, timeout_s), backoff_s);
            continue;
        } else if (rare_s == timeout_s) {
            now_s = timeout_s;
            Attempt *attempt = attempt_at(window_head);
            unsigned made = attempt->try_key & 3;
            totals.timeouts++;
            if (made < ATTEMPTS - 1) {
                double wait_s = uniform(attempt->try_key >> 2, made, JITTER) * BACKOFF_S * (1 << made);
                backoff_push((Backoff){ now_s + wait_s, attempt->started_s, attempt->try_key + 1 });
                backoff_s = next_backoff();
            } else {
                totals.failed++;
            }
            attempt->settled = true;
            timeout_s = next_timeout();
            rare_s = earliest(earliest(stage_s, timeout_s), backoff_s);
            continue;
        } else {
            Backoff ended = backoff_pop();
            now_s = ended.end_s;
            started_s = ended.started_s;
            try_key = ended.try_key;
            backoff_s = next_backoff();
            rare_s = earliest(earliest(stage_s, timeout_s), backoff_s);
        }
        /* Send the attempt. */
        totals.attempts++;
        uint32_t serial = window_tail++;
        if (UNLIKELY(window_tail - window_head > WINDOW)) abort();
        *attempt_at(serial) = (Attempt){ now_s, started_s, try_key, false };
        if (serial == window_head) {
            timeout_s = now_s + TIMEOUT_S;
            rare_s = earliest(earliest(stage_s, timeout_s), backoff_s);
        }
        int instance = next_in_rotation();
        if (!alive[instance]) continue;
        Job job = { try_key, serial };
        if (LIKELY(slots_busy[instance] < SLOTS)) {
            slots_busy[instance]++;
            double end_s = now_s + work_s(try_key >> 2, try_key & 3);
            uint32_t n = free_node;
            free_node = nodes[n].next;
            nodes_used++;
            nodes[n].job = job;
            nodes[n].instance = (uint32_t)instance;
            wheel_link(n, end_s);
            if (end_s < completion_s) {
                completion_s = end_s;
                completing = n;
            }
        } else {
            queue_push(&queues[instance], job);
        }
    }
    return totals;
}

static double monotonic_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Standard error of the mean of `count` values, from their sum and the sum of their squares. */
static double standard_error(double sum, double squares, int count)
{
    double mean = sum / count;
    return count > 1 ? sqrt(fmax(0, squares / count - mean * mean) / (count - 1)) : 0;
}

int main(int argc, char **argv)
{
    /* A day is the limit: request numbers must fit the 30 bits that Job leaves them. */
    if (argc != 5 || (argv[1][0] != 'a' && argv[1][0] != 'b') || !(atof(argv[2]) > 0 && atof(argv[2]) <= 86400)
        || atoi(argv[4]) < 1) {
        fprintf(stderr, "usage: w1_event a|b DURATION_S SEED REPLICATIONS    (at most 86400 s)\n");
        return 2;
    }
    const double duration_s = atof(argv[2]);
    const uint64_t seed = strtoull(argv[3], NULL, 10);
    const int replications = atoi(argv[4]);
    Totals all = { 0 };
    double goodput = 0, goodput2 = 0, latency = 0, latency2 = 0;
    const double begin_s = monotonic_s();
    for (int k = 0; k < replications; k++) {
        Totals one = simulate(argv[1][0] == 'b', duration_s, seed + (uint64_t)k);
        all.requests += one.requests;
        all.attempts += one.attempts;
        all.succeeded += one.succeeded;
        all.failed += one.failed;
        all.timeouts += one.timeouts;
        all.completions += one.completions;
        all.orphans += one.orphans;
        double g = (double)one.succeeded / duration_s;
        double l = one.succeeded ? one.latency_sum_s / (double)one.succeeded : 0;
        goodput += g;
        goodput2 += g * g;
        latency += l;
        latency2 += l * l;
    }
    const double wall_s = monotonic_s() - begin_s;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"wall_s\": %.6f, \"requests\": %llu, \"attempts\": %llu, \"succeeded\": %llu, \"failed\": %llu, "
           "\"timeouts\": %llu, \"completions\": %llu, \"orphans\": %llu, \"goodput_per_s\": %.3f, "
           "\"goodput_per_s_se\": %.3f, \"latency_s_mean\": %.8f, \"latency_s_mean_se\": %.8f, "
           "\"memory_mb\": %.1f}\n",
           wall_s, (unsigned long long)all.requests, (unsigned long long)all.attempts,
           (unsigned long long)all.succeeded, (unsigned long long)all.failed, (unsigned long long)all.timeouts,
           (unsigned long long)all.completions, (unsigned long long)all.orphans, goodput / replications,
           standard_error(goodput, goodput2, replications), latency / replications,
           standard_error(latency, latency2, replications), (double)usage.ru_maxrss / 1024);
    return 0;
}
