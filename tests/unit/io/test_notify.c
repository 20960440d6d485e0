#include "proto/io/notify.h"

#include "tests/unit/io/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

// A service manager: a folder with the socket that it reads.
struct manager {
    char folder[64];
    int socket; // datagrams come here
};

static int make_manager(void **state)
{
    struct manager *manager = calloc(1, sizeof *manager);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_non_null(manager);
    (void)snprintf(manager->folder, sizeof manager->folder, "/tmp/syncbus-notify-XXXXXX");
    assert_int_equal(folder_make(manager->folder), 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", manager->folder);
    manager->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(manager->socket, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
    assert_int_equal(unsetenv("WATCHDOG_PID"), 0);
    assert_int_equal(setenv("WATCHDOG_USEC", "2000000", 1), 0);
    *state = manager;
    return 0;
}

static int remove_manager(void **state)
{
    struct manager *manager = *state;
    assert_int_equal(close(manager->socket), 0);
    assert_int_equal(folder_remove(manager->folder), 0);
    free(manager);
    return 0;
}

// The next message must be this one; NULL: there must be none.
static void expect(void **state, const char *message)
{
    const struct manager *manager = *state;
    char got[NOTIFY_STATUS_MAX * 2] = "";
    const ssize_t size = recv(manager->socket, got, sizeof got - 1, 0);
    if (message == NULL)
        assert_int_equal(size, -1);
    else
        assert_string_equal(got, message);
}

static void ready_is_said_once(void **state)
{
    struct notify notify;
    notify_open(&notify);
    expect(state, NULL);
    notify_ready(&notify);
    notify_ready(&notify);
    expect(state, "READY=1");
    expect(state, NULL);
}

static void stopping_is_said_once(void **state)
{
    struct notify notify;
    notify_open(&notify);
    notify_stopping(&notify);
    notify_stopping(&notify);
    expect(state, "STOPPING=1");
    expect(state, NULL);
}

static void a_status_is_said_again_only_when_it_has_changed(void **state)
{
    struct notify notify;
    notify_open(&notify);
    notify_status(&notify, "serving %d jobs", 6);
    notify_status(&notify, "serving %d jobs", 6);
    notify_status(&notify, "serving %d jobs", 7);
    expect(state, "STATUS=serving 6 jobs");
    expect(state, "STATUS=serving 7 jobs");
    expect(state, NULL);
}

static void no_word_of_a_status_can_be_a_message_of_its_own(void **state)
{
    struct notify notify;
    notify_open(&notify);
    notify_status(&notify, "the ERP said %s", "a\nMAINPID=1\r");
    expect(state, "STATUS=the ERP said a?MAINPID=1?");
    expect(state, NULL);
}

static void no_word_of_a_status_steers_what_shows_it(void **state)
{
    struct notify notify;
    notify_open(&notify);
    notify_status(&notify, "the ERP said %s", "a\177b\302\2332J\342\200\256c"); // DEL, CSI, right to left
    expect(state, "STATUS=the ERP said a?b??2J???c");
}

static void a_status_that_is_too_long_is_cut(void **state)
{
    struct notify notify;
    char line[NOTIFY_STATUS_MAX * 2];
    notify_open(&notify);
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    notify_status(&notify, "%s", line);
    (void)memcpy(line, "STATUS=", strlen("STATUS="));
    line[strlen("STATUS=") + NOTIFY_STATUS_MAX - 1] = '\0';
    expect(state, line);
}

static void a_status_is_utf8_even_if_its_words_are_not(void **state)
{
    struct notify notify;
    notify_open(&notify);
    notify_status(&notify, "citt\xc3\xa0, citt\xe0, citt\xc3");
    expect(state, "STATUS=citt\xc3\xa0, citt?, citt?");
    expect(state, NULL);
}

static void a_sign_of_life_is_due_twice_in_the_time_that_was_asked_for(void **state)
{
    struct notify notify;
    notify_open(&notify);
    notify_turned(&notify, 5000);
    expect(state, "WATCHDOG=1");
    assert_int_equal(notify_deadline(&notify), 6000);
    notify_turned(&notify, 5001);
    notify_turned(&notify, 5999);
    expect(state, NULL);
    notify_turned(&notify, 6000);
    expect(state, "WATCHDOG=1");
    expect(state, NULL);
    assert_int_equal(notify_deadline(&notify), 7000);
    notify_turned(&notify, 9500); // a turn that took long makes up for nothing
    expect(state, "WATCHDOG=1");
    expect(state, NULL);
    assert_int_equal(notify_deadline(&notify), 10500);
}

static void no_sign_is_given_where_none_was_asked_for(void **state)
{
    static const char *const values[] = {NULL, "0", "often", "99999999999999999999999"};
    struct notify notify;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        assert_int_equal(values[i] ? setenv("WATCHDOG_USEC", values[i], 1) : unsetenv("WATCHDOG_USEC"), 0);
        notify_open(&notify);
        notify_turned(&notify, 5000);
        expect(state, NULL);
        assert_true(notify_deadline(&notify) == INT64_MAX);
    }
}

static void no_sign_is_given_for_another_process(void **state)
{
    struct notify notify;
    assert_int_equal(setenv("WATCHDOG_PID", "1", 1), 0);
    notify_open(&notify);
    notify_turned(&notify, 5000);
    expect(state, NULL);
}

static void without_a_manager_nothing_is_sent_and_nothing_is_due(void **state)
{
    struct notify notify;
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);
    notify_open(&notify);
    notify_ready(&notify);
    notify_status(&notify, "serving");
    notify_turned(&notify, 5000);
    notify_stopping(&notify);
    expect(state, NULL);
    assert_true(notify_deadline(&notify) == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ready_is_said_once, make_manager, remove_manager),
        cmocka_unit_test_setup_teardown(stopping_is_said_once, make_manager, remove_manager),
        cmocka_unit_test_setup_teardown(a_status_is_said_again_only_when_it_has_changed, make_manager,
                                        remove_manager),
        cmocka_unit_test_setup_teardown(no_word_of_a_status_can_be_a_message_of_its_own, make_manager,
                                        remove_manager),
        cmocka_unit_test_setup_teardown(no_word_of_a_status_steers_what_shows_it, make_manager,
                                        remove_manager),
        cmocka_unit_test_setup_teardown(a_status_that_is_too_long_is_cut, make_manager, remove_manager),
        cmocka_unit_test_setup_teardown(a_status_is_utf8_even_if_its_words_are_not, make_manager,
                                        remove_manager),
        cmocka_unit_test_setup_teardown(a_sign_of_life_is_due_twice_in_the_time_that_was_asked_for,
                                        make_manager, remove_manager),
        cmocka_unit_test_setup_teardown(no_sign_is_given_where_none_was_asked_for, make_manager,
                                        remove_manager),
        cmocka_unit_test_setup_teardown(no_sign_is_given_for_another_process, make_manager, remove_manager),
        cmocka_unit_test_setup_teardown(without_a_manager_nothing_is_sent_and_nothing_is_due, make_manager,
                                        remove_manager),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
