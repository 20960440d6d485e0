#include "proto/io/directory.h"

#include "tests/unit/io/folder.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

// A test's own folder, and a data directory two levels below it.
struct place {
    char folder[64];
    char data[128];
};

static int make_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    (void)snprintf(place->folder, sizeof place->folder, "/tmp/syncbus-directory-XXXXXX");
    assert_int_equal(folder_make(place->folder), 0);
    (void)snprintf(place->data, sizeof place->data, "%s/var/prices", place->folder);
    *state = place;
    return 0;
}

static int remove_place(void **state)
{
    struct place *place = *state;
    assert_int_equal(folder_remove(place->folder), 0);
    free(place);
    return 0;
}

static struct directory locked(const char *path)
{
    struct directory directory = {.lock = -1};
    struct fault fault = {0};
    if (directory_lock(path, &directory, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    return directory;
}

static void a_directory_keeps_its_identity(void **state)
{
    const struct place *place = *state;
    struct directory first = locked(place->data);
    assert_true(first.instance != 0);
    directory_unlock(&first);
    assert_int_equal(first.lock, -1);
    struct directory second = locked(place->data);
    assert_true(second.instance == first.instance);
    directory_unlock(&second);
}

static void two_directories_have_two_identities(void **state)
{
    const struct place *place = *state;
    char other[sizeof place->data + 8];
    (void)snprintf(other, sizeof other, "%s-2", place->data);
    struct directory first = locked(place->data);
    struct directory second = locked(other);
    assert_true(first.instance != second.instance);
    directory_unlock(&first);
    directory_unlock(&second);
}

static void one_directory_means_one_living_process(void **state)
{
    const struct place *place = *state;
    struct directory first = locked(place->data);
    struct directory second = {.lock = -1};
    struct fault fault = {0};
    char process[32];
    (void)snprintf(process, sizeof process, "by process %ld;", (long)getpid());
    assert_int_equal(directory_lock(place->data, &second, &fault), ERR_BUSY);
    assert_non_null(strstr(fault.text, process));
    assert_int_equal(second.lock, -1);
    directory_unlock(&first);
    second = locked(place->data);
    directory_unlock(&second);
}

static void the_lock_ends_with_its_process_even_if_that_was_killed(void **state)
{
    const struct place *place = *state;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct directory directory = {.lock = -1};
        const bool ok = directory_lock(place->data, &directory, NULL) == ERR_OK;
        if (write(ready[1], ok ? "y" : "n", 1) == 1)
            (void)pause();
        _exit(1);
    }
    char said = '\0';
    assert_int_equal(read(ready[0], &said, 1), 1);
    assert_int_equal(said, 'y');
    struct directory directory = {.lock = -1};
    assert_int_equal(directory_lock(place->data, &directory, NULL), ERR_BUSY);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    directory = locked(place->data);
    directory_unlock(&directory);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

// Waits without a limit: what is waited for has been made certain.
static bool is_over(const struct directory_wait *wait, int timeout_ms)
{
    struct pollfd fd = {.fd = directory_wait_fd(wait), .events = POLLIN};
    return poll(&fd, 1, timeout_ms) == 1;
}

static struct directory_wait *begin_wait(const char *path)
{
    struct directory_wait *wait = NULL;
    struct fault fault = {0};
    if (directory_wait_new(path, &wait, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    return wait;
}

static void a_wait_is_over_when_the_lock_is_given_back_and_gives_the_same_instance(void **state)
{
    const struct place *place = *state;
    struct directory first = locked(place->data);
    struct directory second = {.lock = -1};
    struct directory_wait *wait = begin_wait(place->data);
    assert_false(is_over(wait, 0));
    directory_unlock(&first);
    assert_true(is_over(wait, -1));
    assert_int_equal(directory_wait_take(&wait, &second, NULL), ERR_OK);
    assert_null(wait);
    assert_true(second.instance == first.instance);
    assert_int_equal(directory_lock(place->data, &first, NULL), ERR_BUSY);
    assert_true((fcntl(second.lock, F_GETFD) & FD_CLOEXEC) != 0);
    directory_unlock(&second);
}

static void a_wait_for_a_free_directory_is_over_at_once(void **state)
{
    const struct place *place = *state;
    struct directory directory = {.lock = -1};
    struct directory_wait *wait = begin_wait(place->data);
    assert_true(is_over(wait, -1));
    assert_int_equal(directory_wait_take(&wait, &directory, NULL), ERR_OK);
    assert_true(directory.instance != 0);
    directory_unlock(&directory);
}

static void a_wait_that_is_given_up_holds_nothing(void **state)
{
    const struct place *place = *state;
    struct directory first = locked(place->data);
    struct directory_wait *wait = begin_wait(place->data);
    directory_wait_destroy(&wait);
    assert_null(wait);
    directory_wait_destroy(&wait);
    directory_unlock(&first);
    wait = begin_wait(place->data);
    assert_true(is_over(wait, -1));
    directory_wait_destroy(&wait); // what it got goes back
    first = locked(place->data);
    directory_unlock(&first);
}

static void a_wait_for_a_directory_that_was_replaced_meanwhile_locks_nothing(void **state)
{
    const struct place *place = *state;
    char aside[sizeof place->data + 8];
    (void)snprintf(aside, sizeof aside, "%s-old", place->data);
    struct directory first = locked(place->data);
    struct directory_wait *wait = begin_wait(place->data);
    assert_int_equal(rename(place->data, aside), 0);
    struct directory restored = locked(place->data);
    directory_unlock(&first);
    assert_true(is_over(wait, -1));
    struct fault fault = {0};
    struct directory second = {.lock = -1};
    assert_int_equal(directory_wait_take(&wait, &second, &fault), ERR_STALE);
    assert_non_null(strstr(fault.text, place->data));
    assert_null(wait);
    assert_int_equal(second.lock, -1);
    directory_unlock(&restored);
}

static void a_path_that_cannot_be_waited_for_is_told(void **state)
{
    const struct place *place = *state;
    char name[sizeof place->folder + 16];
    (void)snprintf(name, sizeof name, "%s/file", place->folder);
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    struct directory_wait *wait = NULL;
    struct fault fault = {0};
    assert_int_equal(directory_wait_new(name, &wait, &fault), ERR_IO);
    assert_non_null(strstr(fault.text, name));
    assert_null(wait);
}

static void a_child_does_not_inherit_the_lock(void **state)
{
    const struct place *place = *state;
    struct directory directory = locked(place->data);
    assert_true((fcntl(directory.lock, F_GETFD) & FD_CLOEXEC) != 0);
    directory_unlock(&directory);
}

static void a_damaged_identity_is_made_anew(void **state)
{
    const struct place *place = *state;
    struct directory directory = locked(place->data);
    directory_unlock(&directory);
    char name[sizeof place->data + 16];
    (void)snprintf(name, sizeof name, "%s/instance", place->data);
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_true(fputs("not a number!!!!!\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    directory = locked(place->data);
    const uint64_t instance = directory.instance;
    assert_true(instance != 0);
    directory_unlock(&directory);
    directory = locked(place->data);
    assert_true(directory.instance == instance);
    directory_unlock(&directory);
}

static void a_path_that_cannot_be_one_is_told(void **state)
{
    const struct place *place = *state;
    char name[sizeof place->folder + 16];
    (void)snprintf(name, sizeof name, "%s/file", place->folder);
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    struct directory directory = {.lock = -1};
    struct fault fault = {0};
    assert_int_equal(directory_lock(name, &directory, &fault), ERR_IO);
    assert_non_null(strstr(fault.text, name));
    assert_int_equal(directory_lock("", &directory, &fault), ERR_INVALID);
    assert_int_equal(directory.lock, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_directory_keeps_its_identity, make_place, remove_place),
        cmocka_unit_test_setup_teardown(two_directories_have_two_identities, make_place, remove_place),
        cmocka_unit_test_setup_teardown(one_directory_means_one_living_process, make_place, remove_place),
        cmocka_unit_test_setup_teardown(the_lock_ends_with_its_process_even_if_that_was_killed, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(
            a_wait_is_over_when_the_lock_is_given_back_and_gives_the_same_instance, make_place, remove_place),
        cmocka_unit_test_setup_teardown(a_wait_for_a_free_directory_is_over_at_once, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(a_wait_that_is_given_up_holds_nothing, make_place, remove_place),
        cmocka_unit_test_setup_teardown(a_wait_for_a_directory_that_was_replaced_meanwhile_locks_nothing,
                                        make_place, remove_place),
        cmocka_unit_test_setup_teardown(a_path_that_cannot_be_waited_for_is_told, make_place, remove_place),
        cmocka_unit_test_setup_teardown(a_child_does_not_inherit_the_lock, make_place, remove_place),
        cmocka_unit_test_setup_teardown(a_damaged_identity_is_made_anew, make_place, remove_place),
        cmocka_unit_test_setup_teardown(a_path_that_cannot_be_one_is_told, make_place, remove_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
