// Where a whole world lies: one piece of memory at one address, so that it can be put aside and brought back
// by copying. What the clients' sessions allocate lies in it, too: their calls of malloc come here while
// memory_begin holds.
#ifndef SYNCBUS_TESTS_WORLDS_MEMORY_H
#define SYNCBUS_TESTS_WORLDS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

struct core;
struct snapshot;

// Takes the memory once, with room for a core of so many bytes, aligned for any type.
void memory_init(size_t core_size);

// The place of the core; and all of it that a core reads before it writes it, made 0.
void *memory_core(void);
void memory_clear_core(void);

// Which parts of the core are kept, once it was made for the first time: its tables, as far as a small world
// fills them, and nothing that lives for one step alone.
void memory_learn_core(const struct core *core);

// A piece of the world's memory, all 0; and its return. NULL is fine.
void *memory_take(size_t size);
void memory_give(void *piece);

// From here on, and up to here, what is allocated is of the world.
void memory_begin(void);
void memory_end(void);

// Puts the whole world aside, or brings it back. `ret` is made at its first use and may be used again;
// `with_core` says whether the core is alive.
void memory_save(struct snapshot **ret, bool with_core);
void memory_restore(const struct snapshot *snapshot);
void memory_forget(struct snapshot **snapshot_p);

#endif
