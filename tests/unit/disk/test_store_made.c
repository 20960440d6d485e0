// A store that is being made when the power is cut, or when the disk fails at any call, is made anew at the
// next start, and what was acknowledged then is there. The cuts are chosen by SYNCBUS_SEED, if it is set.
#include "proto/io/store.h"

#include "tests/unit/disk/disk.h"
#include "tests/unit/io/folder.h"

#include <setjmp.h>
#include <stdarg.h>

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { CUTS = 8, COMMITS = 4 };

static const char *const names[] = {"numbers", "texts"};
static const struct store_options options = {
    .tables = names, .table_count = 2, .map_size = 1 << 20, .map_size_max = 1 << 20};

static int make_folder(void **state)
{
    static char folder[64];
    (void)snprintf(folder, sizeof folder, "/tmp/syncbus-made-XXXXXX");
    *state = folder;
    return folder_make(folder);
}

static int remove_folder(void **state)
{
    disk_forget();
    return folder_remove(*state);
}

static void watch(const char *folder)
{
    char path[80];
    (void)snprintf(path, sizeof path, "%s/data.mdb", folder);
    disk_watch(path);
}

static uint64_t chosen_seed(void)
{
    const char *text = getenv("SYNCBUS_SEED");
    const uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : 0;
    const uint64_t chosen = seed != 0 ? seed : (uint64_t)time(NULL);
    print_message("seed %" PRIu64 " (SYNCBUS_SEED repeats it)\n", chosen);
    return chosen;
}

static enum err add_one(struct store_txn *txn, void *arg, struct fault *fault)
{
    uint8_t key[8];
    uint64_t count = 0;
    (void)arg;
    (void)fault;
    const enum err err = store_count(txn, 0, &count);
    return err != ERR_OK ? err : store_put(txn, 0, store_number(count, key), (struct bytes){"x", 1});
}

// Opens the store in a folder and counts what is in it; adds so many more.
static enum err use(const char *folder, size_t more, uint64_t *ret_count, struct fault *fault)
{
    struct store *store = NULL;
    struct store_txn *txn = NULL;
    enum err err = store_open(folder, &options, &store, fault);
    if (err == ERR_OK)
        err = store_read(store, &txn, fault);
    if (err == ERR_OK)
        err = store_count(txn, 0, ret_count);
    store_end(&txn);
    for (size_t i = 0; i < more && err == ERR_OK; i++)
        err = store_write(store, add_one, NULL, fault);
    store_close(&store);
    return err;
}

static uint64_t counted(const char *folder)
{
    uint64_t count = 0;
    struct fault fault = {0};
    if (use(folder, 0, &count, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    return count;
}

// Cuts the power so many calls in; what was left is opened twice, as what mends it must itself be whole.
static void cut(size_t calls, uint64_t seed, uint64_t least, uint64_t most)
{
    char folder[] = "/tmp/syncbus-made-XXXXXX";
    char path[64];
    assert_int_equal(folder_make(folder), 0);
    (void)snprintf(path, sizeof path, "%s/data.mdb", folder);
    disk_cut(calls, seed, path);
    const uint64_t count = counted(folder);
    if (count < least || count > most)
        fail_msg("a cut in call %zu, seed %" PRIu64 ", left %" PRIu64 " entries", calls, seed, count);
    assert_int_equal(counted(folder), count);
    assert_int_equal(folder_remove(folder), 0);
}

static void a_power_cut_while_a_store_is_made_leaves_one_that_opens(void **state)
{
    size_t acknowledged[COMMITS + 1]; // calls until each entry was
    uint64_t seed = chosen_seed();
    watch(*state);
    for (uint64_t i = 0; i <= COMMITS; i++) {
        struct fault fault = {0};
        uint64_t count = 0;
        assert_int_equal(use(*state, i == 0 ? 0 : 1, &count, &fault), ERR_OK);
        acknowledged[i] = disk_calls();
    }
    assert_true(acknowledged[0] > 4);
    for (size_t calls = 1; calls <= acknowledged[COMMITS]; calls++) {
        uint64_t least = 0;
        while (least < COMMITS && acknowledged[least + 1] < calls)
            least++;
        const uint64_t most = calls > acknowledged[least] ? least + 1 : least;
        cut(calls, DISK_LOST, least, most);
        cut(calls, DISK_LANDED, least, most);
        for (size_t i = 0; i < CUTS; i++)
            cut(calls, ++seed, least, most);
    }
}

static void a_disk_that_fails_while_a_store_is_made_is_told_and_the_next_start_makes_it(void **state)
{
    const char *folder = *state;
    const uint64_t seed = chosen_seed();
    size_t n = 0;
    for (bool failed = true; failed;) {
        struct fault fault = {0};
        uint64_t count = 0;
        watch(folder);
        disk_fail(++n);
        const enum err err = use(folder, 0, &count, &fault);
        failed = disk_has_failed();
        assert_int_equal(err, failed ? ERR_IO : ERR_OK);
        if (failed)
            assert_non_null(strstr(fault.text, folder));
        const size_t calls = disk_calls();
        for (size_t i = 0; i < CUTS; i++)
            cut(calls, i < 2 ? i : seed + i, 0, 0);
        disk_forget();
        assert_int_equal(counted(folder), 0);
        assert_int_equal(folder_remove(folder), 0);
        assert_int_equal(mkdir(folder, 0700), 0);
    }
    print_message("each of %zu calls failed\n", n - 1);
    assert_true(n > 5);
}

#define MADE_TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MADE_TEST(a_power_cut_while_a_store_is_made_leaves_one_that_opens),
        MADE_TEST(a_disk_that_fails_while_a_store_is_made_is_told_and_the_next_start_makes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
