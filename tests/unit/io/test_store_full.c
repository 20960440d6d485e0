// What the disk can do to a store. The system calls that this file defines stand before those of the C
// library, for LMDB too.
#include "proto/io/store.h"

#include "tests/unit/io/folder.h"

#include <errno.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

static const char *const names[] = {"numbers"};
static const struct store_options options = {
    .tables = names, .table_count = 1, .map_size = 32 << 20, .map_size_max = 64 << 20};

static bool sync_fails;  // the next fdatasync gives EIO
static long system_kind; // of statfs, in place of the true one; 0: the true one

int fdatasync(int file)
{
    if (sync_fails) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, file);
}

int statfs(const char *path, struct statfs *ret)
{
    const int failed = (int)syscall(SYS_statfs, path, ret);
    if (failed == 0 && system_kind != 0)
        ret->f_type = system_kind;
    return failed;
}

static int make_folder(void **state)
{
    static char folder[64];
    (void)snprintf(folder, sizeof folder, "/tmp/syncbus-full-XXXXXX");
    assert_int_equal(folder_make(folder), 0);
    *state = folder;
    sync_fails = false;
    system_kind = 0;
    return 0;
}

static int remove_folder(void **state)
{
    (void)umount2(*state, MNT_DETACH); // of a test that failed
    return folder_remove(*state);
}

static struct store *opened(const char *path)
{
    struct store *store = NULL;
    struct fault fault = {0};
    if (store_open(path, &options, &store, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    return store;
}

// Puts as many numbers as asked for, a page each.
static enum err fill(struct store_txn *txn, void *arg, struct fault *fault)
{
    (void)fault;
    enum err err = ERR_OK;
    for (size_t i = 0; i < *(const size_t *)arg && err == ERR_OK; i++) {
        static const uint8_t page[3000];
        uint8_t key[8];
        err = store_put(txn, 0, store_number(i, key), (struct bytes){.data = page, .size = sizeof page});
    }
    return err;
}

static uint64_t counted(struct store *store)
{
    struct store_txn *txn = NULL;
    uint64_t count = 0;
    assert_int_equal(store_read(store, &txn, NULL), ERR_OK);
    assert_int_equal(store_count(txn, 0, &count), ERR_OK);
    store_end(&txn);
    return count;
}

// A store with ten numbers, on a disk that has not room for two thousand.
static void stays_whole_on_a_full_disk(const char *path)
{
    size_t few = 10;
    size_t many = 2000;
    struct fault fault = {0};
    struct store *store = opened(path);
    assert_int_equal(store_write(store, fill, &few, &fault), ERR_OK);
    assert_int_equal(store_write(store, fill, &many, &fault), ERR_NO_SPACE);
    assert_non_null(strstr(fault.text, "make room"));
    assert_int_equal(counted(store), few);
    few = 12;
    assert_int_equal(store_write(store, fill, &few, &fault), ERR_OK);
    store_close(&store);
    store = opened(path);
    assert_int_equal(counted(store), few);
    store_close(&store);
}

static void a_full_disk_changes_nothing_and_is_said(void **state)
{
    const char *folder = *state;
    if (mount("tmpfs", folder, "tmpfs", 0, "size=4m") != 0)
        skip(); // only root may mount; the limit of a file's size is tried in any case
    char path[80];
    (void)snprintf(path, sizeof path, "%s/store", folder);
    stays_whole_on_a_full_disk(path);
    assert_int_equal(umount(folder), 0);
}

static void a_limit_of_file_sizes_changes_nothing_and_is_said(void **state)
{
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit limit = {.rlim_cur = 4 << 20, .rlim_max = before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    stays_whole_on_a_full_disk(*state);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
}

static void a_failed_sync_says_that_the_disk_is_not_known(void **state)
{
    size_t few = 10;
    struct fault fault = {0};
    struct store *store = opened(*state);
    sync_fails = true;
    assert_int_equal(store_write(store, fill, &few, &fault), ERR_IO);
    assert_non_null(strstr(fault.text, "what is on disk is not known"));
    store_close(&store);
    sync_fails = false;
    store = opened(*state);
    assert_int_equal(counted(store), 0);
    store_close(&store);
}

static void a_network_file_system_is_refused_with_the_reason(void **state)
{
    static const long kinds[] = {NFS_SUPER_MAGIC, 0x517B, (long)0xFF534D42};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct store *store = NULL;
        struct fault fault = {0};
        system_kind = kinds[i];
        assert_int_equal(store_open(*state, &options, &store, &fault), ERR_REFUSED);
        assert_null(store);
        assert_non_null(strstr(fault.text, "network file system"));
    }
}

static void a_file_that_is_no_store_is_called_damaged(void **state)
{
    char name[80];
    (void)snprintf(name, sizeof name, "%s/data.mdb", (const char *)*state);
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    for (size_t i = 0; i < 4096; i++)
        assert_true(fputs("no", file) >= 0);
    assert_int_equal(fclose(file), 0);
    struct store *store = NULL;
    struct fault fault = {0};
    assert_int_equal(store_open(*state, &options, &store, &fault), ERR_CORRUPT);
    assert_null(store);
    assert_non_null(strstr(fault.text, "restore a backup"));
}

int main(void)
{
#define FULL_TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        FULL_TEST(a_full_disk_changes_nothing_and_is_said),
        FULL_TEST(a_limit_of_file_sizes_changes_nothing_and_is_said),
        FULL_TEST(a_failed_sync_says_that_the_disk_is_not_known),
        FULL_TEST(a_network_file_system_is_refused_with_the_reason),
        FULL_TEST(a_file_that_is_no_store_is_called_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
