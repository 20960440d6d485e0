#include "tests/worlds/memory.h"

#include "broker/core/state.h"
#include "tests/worlds/world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEAP_SIZE = 512 * 1024, // of what sessions, the net and the journal take
    CLASS_LEAST = 5,        // the smallest piece is 2^5 bytes
    CLASS_COUNT = 12,
    HEAD = 16,      // bytes before a piece: its class
    RANGES_MAX = 4, // of the core's memory that are kept
    LEASES_KEPT = 16,
    ALERTS_KEPT = 16,
};

// A piece that was given back.
struct vacant {
    struct vacant *next;
};

// What is taken from, all of it kept.
struct heap_head {
    size_t used;                        // bytes of the heap that were ever taken
    struct vacant *vacant[CLASS_COUNT]; // by class
};

struct range {
    char *from;
    size_t size;
};

struct snapshot {
    struct world world;
    struct heap_head head;
    bool with_core;
    char *heap; // owned, HEAP_SIZE bytes
    char *core; // owned
};

static struct {
    struct heap_head head;
    char *heap;
    char *core;
    size_t core_size;
    bool takes; // what is allocated is of the world
    struct range ranges[RANGES_MAX];
    size_t range_count;
} memory;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *piece, size_t size);
void __real_free(void *piece);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *piece, size_t size);
void __wrap_free(void *piece);
char *__wrap_strdup(const char *text);

void memory_init(size_t core_size)
{
    memory.heap = aligned_alloc(64, HEAP_SIZE);
    memory.core_size = (core_size + 63) & ~(size_t)63;
    memory.core = aligned_alloc(64, memory.core_size);
    assert(memory.heap != NULL);
    assert(memory.core != NULL);
    memset(memory.core, 0, memory.core_size);
}

void *memory_core(void)
{
    return memory.core;
}

void memory_clear_core(void)
{
    for (size_t i = 0; i < memory.range_count; i++)
        memset(memory.ranges[i].from, 0, memory.ranges[i].size);
}

static void keep(const void *from, const void *to)
{
    assert(memory.range_count < RANGES_MAX);
    assert((const char *)from >= memory.core);
    assert((const char *)to <= memory.core + memory.core_size);
    memory.ranges[memory.range_count++] =
        (struct range){.from = memory.core + ((const char *)from - memory.core),
                       .size = (size_t)((const char *)to - (const char *)from)};
}

void memory_learn_core(const struct core *core)
{
    if (memory.range_count > 0)
        return;
    keep(core, core->holds); // nobody lays a hold
    keep(core->holds + HOLDS_MAX, core->leases + LEASES_KEPT);
    keep(core->calls, core->alerts + ALERTS_KEPT);
    keep(core->alert_names.keys, core->replies);
}

// ---------------------------------------------------------------- pieces

static size_t class_of(size_t size)
{
    size_t class = 0;
    while (((size_t)1 << (class + CLASS_LEAST)) < size + HEAD)
        class ++;
    assert(class < CLASS_COUNT);
    return class;
}

void *memory_take(size_t size)
{
    const size_t class = class_of(size);
    const size_t whole = (size_t)1 << (class + CLASS_LEAST);
    char *piece = (char *)memory.head.vacant[class];
    if (piece != NULL) {
        memory.head.vacant[class] = memory.head.vacant[class]->next;
    } else {
        assert(memory.head.used + whole <= HEAP_SIZE);
        piece = memory.heap + memory.head.used;
        memory.head.used += whole;
    }
    memset(piece, 0, whole);
    memcpy(piece, &class, sizeof class);
    return piece + HEAD;
}

static bool is_own(const void *piece)
{
    return (const char *)piece >= memory.heap && (const char *)piece < memory.heap + HEAP_SIZE;
}

void memory_give(void *piece)
{
    if (piece == NULL)
        return;
    assert(is_own(piece));
    char *whole = (char *)piece - HEAD;
    size_t class;
    memcpy(&class, whole, sizeof class);
    assert(class < CLASS_COUNT);
    struct vacant *vacant = (struct vacant *)(void *)whole;
    vacant->next = memory.head.vacant[class];
    memory.head.vacant[class] = vacant;
}

void memory_begin(void)
{
    assert(!memory.takes);
    memory.takes = true;
}

void memory_end(void)
{
    assert(memory.takes);
    memory.takes = false;
}

// ---------------------------------------------------------------- in place of the allocator's own

void *__wrap_malloc(size_t size)
{
    return memory.takes ? memory_take(size) : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return memory.takes ? memory_take(count * size) : __real_calloc(count, size);
}

void *__wrap_realloc(void *piece, size_t size)
{
    if (!memory.takes)
        return __real_realloc(piece, size);
    char *larger = memory_take(size);
    if (piece == NULL)
        return larger;
    size_t class;
    memcpy(&class, (char *)piece - HEAD, sizeof class);
    const size_t room = ((size_t)1 << (class + CLASS_LEAST)) - HEAD;
    memcpy(larger, piece, room < size ? room : size);
    memory_give(piece);
    return larger;
}

void __wrap_free(void *piece)
{
    if (is_own(piece))
        memory_give(piece);
    else
        __real_free(piece);
}

char *__wrap_strdup(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = __wrap_malloc(size);
    return copy != NULL ? memcpy(copy, text, size) : NULL;
}

// ---------------------------------------------------------------- put aside

void memory_save(struct snapshot **ret, bool with_core)
{
    if (*ret == NULL) {
        size_t core_size = 0;
        for (size_t i = 0; i < memory.range_count; i++)
            core_size += memory.ranges[i].size;
        *ret = calloc(1, sizeof **ret);
        assert(*ret != NULL);
        (*ret)->heap = malloc(HEAP_SIZE);
        (*ret)->core = malloc(core_size);
        assert((*ret)->heap != NULL);
        assert((*ret)->core != NULL);
    }
    struct snapshot *snapshot = *ret;
    snapshot->world = *world;
    snapshot->head = memory.head;
    snapshot->with_core = with_core;
    memcpy(snapshot->heap, memory.heap, memory.head.used);
    char *to = snapshot->core;
    for (size_t i = 0; with_core && i < memory.range_count; i++) {
        memcpy(to, memory.ranges[i].from, memory.ranges[i].size);
        to += memory.ranges[i].size;
    }
}

void memory_restore(const struct snapshot *snapshot)
{
    *world = snapshot->world;
    memory.head = snapshot->head;
    memory.takes = false;
    memcpy(memory.heap, snapshot->heap, memory.head.used);
    const char *from = snapshot->core;
    for (size_t i = 0; snapshot->with_core && i < memory.range_count; i++) {
        memcpy(memory.ranges[i].from, from, memory.ranges[i].size);
        from += memory.ranges[i].size;
    }
}

void memory_forget(struct snapshot **snapshot_p)
{
    if (*snapshot_p == NULL)
        return;
    free((*snapshot_p)->heap);
    free((*snapshot_p)->core);
    free(*snapshot_p);
    *snapshot_p = NULL;
}
