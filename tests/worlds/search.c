#include "tests/worlds/search.h"

#include "tests/worlds/canon.h"
#include "tests/worlds/choices.h"
#include "tests/worlds/memory.h"

#include <assert.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { NONE = 0, SEEN_FIRST = 1 << 20 };

// A distinct world, by how it came about. The first one is 1.
struct node {
    uint32_t parent;      // the world before
    uint32_t child;       // one that it led to; NONE: none
    uint32_t sibling;     // another one that its parent led to
    uint32_t live;        // children that still lead to worlds not looked at
    struct choice choice; // that led to it
};

static struct {
    struct node *nodes;
    size_t node_count, node_room;
    uint64_t *seen; // numbers of worlds, by themselves; 0: a free place
    size_t seen_count, seen_room;
    struct snapshot *snapshots[SEARCH_DEPTH_MAX + 1]; // along the way to the world that is looked at
    uint64_t steps;                                   // taken in all
    uint32_t node;                                    // that is looked at
    struct choice choice;                             // and what is tried in it
    sigjmp_buf stopped;                               // where a failed assertion leads to
} search;

// ---------------------------------------------------------------- worlds that were seen

static bool seen_put(uint64_t *seen, size_t room, uint64_t number)
{
    size_t place = (size_t)number & (room - 1);
    while (seen[place] != 0) {
        if (seen[place] == number)
            return false;
        place = (place + 1) & (room - 1);
    }
    seen[place] = number;
    return true;
}

// True if it is new.
static bool see(uint64_t number)
{
    number = number != 0 ? number : 1;
    if (2 * search.seen_count >= search.seen_room) {
        const size_t room = search.seen_room == 0 ? SEEN_FIRST : 2 * search.seen_room;
        uint64_t *seen = calloc(room, sizeof *seen);
        assert(seen != NULL);
        for (size_t i = 0; i < search.seen_room; i++) {
            if (search.seen[i] != 0)
                (void)seen_put(seen, room, search.seen[i]);
        }
        free(search.seen);
        search.seen = seen;
        search.seen_room = room;
    }
    const bool fresh = seen_put(search.seen, search.seen_room, number);
    search.seen_count += fresh ? 1 : 0;
    return fresh;
}

static uint32_t node_add(uint32_t parent, struct choice choice)
{
    if (search.node_count + 1 >= search.node_room) {
        search.node_room = search.node_room == 0 ? 1024 : 2 * search.node_room;
        search.nodes = realloc(search.nodes, search.node_room * sizeof *search.nodes);
        assert(search.nodes != NULL);
    }
    const uint32_t node = (uint32_t)++search.node_count;
    search.nodes[node] = (struct node){.parent = parent, .choice = choice};
    if (parent != NONE) {
        search.nodes[node].sibling = search.nodes[parent].child;
        search.nodes[parent].child = node;
        search.nodes[parent].live++;
    }
    return node;
}

// Nothing new follows from it: nobody comes by here again.
static void node_end(uint32_t node)
{
    while (node != NONE && search.nodes[node].live == 0) {
        node = search.nodes[node].parent;
        if (node != NONE)
            search.nodes[node].live--;
    }
}

// ---------------------------------------------------------------- stories

static void on_abort(int signal_number)
{
    (void)signal_number;
    siglongjmp(search.stopped, 1);
}

// Tells what led to the world that is looked at, and what then broke.
static void tell_story(const char *what)
{
    struct choice choices[SEARCH_DEPTH_MAX + 1];
    size_t count = 0;
    choices[count++] = search.choice;
    for (uint32_t node = search.node; search.nodes[node].parent != NONE; node = search.nodes[node].parent)
        choices[count++] = search.nodes[node].choice;
    (void)printf("%s\nafter %zu steps:\n", what, count);
    memory_restore(search.snapshots[0]);
    world->telling = true;
    (void)fflush(stdout);
    while (count > 0) {
        if (sigsetjmp(search.stopped, 1) != 0) {
            world_tell("the core finds its state broken");
            break;
        }
        choices_take(choices[--count]);
    }
    (void)printf("%s\n", what);
}

// ---------------------------------------------------------------- the search

// Tries all that can happen in the world that snapshot `level` has; false: something broke.
static bool expand(uint32_t node, uint32_t level)
{
    struct choice choices[CHOICES_MAX];
    const size_t count = choices_list(choices);
    search.node = node;
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            memory_restore(search.snapshots[level]);
        search.choice = choices[i];
        search.steps++;
        choices_take(choices[i]);
        if (judge_verdict() != NULL) {
            tell_story(judge_verdict());
            return false;
        }
        if (see(canon_world()))
            (void)node_add(node, choices[i]);
    }
    node_end(node);
    return true;
}

// Goes to all worlds of one depth that are not looked at yet.
static bool look(uint32_t depth)
{
    uint32_t next[SEARCH_DEPTH_MAX + 1]; // child to go to, by level
    uint32_t level = 0;
    next[0] = search.nodes[1].child;
    if (depth == 0)
        return expand(1, 0);
    for (;;) {
        const uint32_t node = next[level];
        if (node == NONE) {
            if (level == 0)
                return true;
            level--;
            continue;
        }
        next[level] = search.nodes[node].sibling;
        if (level + 1 < depth && search.nodes[node].live == 0)
            continue;
        memory_restore(search.snapshots[level]);
        search.steps++;
        choices_take(search.nodes[node].choice);
        level++;
        memory_save(&search.snapshots[level], world->core != NULL);
        next[level] = search.nodes[node].child;
        if (level < depth)
            continue;
        if (!expand(node, level))
            return false;
        level--;
    }
}

static bool search_all(uint32_t depth)
{
    memory_save(&search.snapshots[0], true);
    (void)see(canon_world());
    (void)node_add(NONE, (struct choice){0});
    (void)printf("depth  0: %9d distinct states\n", 1);
    for (uint32_t i = 0; i < depth; i++) {
        const size_t before = search.seen_count;
        if (sigsetjmp(search.stopped, 1) != 0) {
            tell_story("the core's own check failed (see above)");
            return false;
        }
        if (!look(i))
            return false;
        (void)printf("depth %2" PRIu32 ": %9zu distinct states, %9zu in all, %5.1f s\n", i + 1,
                     search.seen_count - before, search.seen_count, (double)clock() / CLOCKS_PER_SEC);
        (void)fflush(stdout);
    }
    (void)printf("%zu distinct states to a depth of %" PRIu32 ", %" PRIu64 " steps: every invariant held\n",
                 search.seen_count, depth, search.steps);
    return true;
}

bool search_run(const struct world_options *options, uint32_t depth)
{
    const struct sigaction action = {.sa_handler = on_abort, .sa_flags = SA_NODEFER};
    assert(depth <= SEARCH_DEPTH_MAX);
    world_init(options);
    (void)sigaction(SIGABRT, &action, NULL);
    const bool held = search_all(depth);
    for (uint32_t i = 0; i <= SEARCH_DEPTH_MAX; i++)
        memory_forget(&search.snapshots[i]);
    free(search.nodes);
    free(search.seen);
    return held;
}
