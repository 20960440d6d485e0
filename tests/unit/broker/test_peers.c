#include "broker/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct peers *made(size_t capacity)
{
    struct peers *peers = NULL;
    assert_int_equal(peers_new(capacity, &peers), ERR_OK);
    return peers;
}

static uint64_t meet(struct peers *peers, const char *identity)
{
    return peers_meet(peers, identity, strlen(identity))->number;
}

static void an_identity_keeps_its_number(void **state)
{
    (void)state;
    struct peers *peers = made(4);
    uint64_t anna = meet(peers, "anna"), bert = meet(peers, "bert");
    assert_int_not_equal(anna, bert);
    assert_int_equal(meet(peers, "anna"), anna);
    assert_memory_equal(peers_find(peers, bert)->identity, "bert", 4);
    peers_destroy(&peers);
    assert_null(peers);
}

static void the_least_recently_seen_is_forgotten_first(void **state)
{
    (void)state;
    struct peers *peers = made(2);
    uint64_t anna = meet(peers, "anna"), bert = meet(peers, "bert");
    assert_int_equal(meet(peers, "anna"), anna);
    uint64_t carl = meet(peers, "carl");
    assert_null(peers_find(peers, bert));
    assert_non_null(peers_find(peers, anna));
    assert_non_null(peers_find(peers, carl));
    peers_destroy(&peers);
}

static void a_forgotten_number_never_names_another(void **state)
{
    (void)state;
    struct peers *peers = made(1);
    uint64_t anna = meet(peers, "anna");
    peers_forget(peers, anna);
    assert_null(peers_find(peers, anna));
    uint64_t bert = meet(peers, "bert");
    assert_int_not_equal(anna, bert);
    assert_null(peers_find(peers, anna));
    assert_int_not_equal(meet(peers, "anna"), anna);
    assert_null(peers_find(peers, bert));
    assert_null(peers_find(peers, 0));
    peers_forget(peers, bert);
    peers_destroy(&peers);
}

static void many_come_and_go_in_the_room_of_few(void **state)
{
    (void)state;
    enum { MANY = 5000, FEW = 37 };
    static uint64_t numbers[MANY];
    struct peers *peers = made(FEW);
    char identity[300];
    for (int i = 0; i < MANY; i++) {
        int size = snprintf(identity, sizeof identity, "%0*d", i % 250 + 5, i);
        numbers[i] = peers_meet(peers, identity, (size_t)size)->number;
        if (i % 3 == 0)
            peers_forget(peers, numbers[i]);
    }
    for (int i = 0; i < MANY; i++)
        if (i % 3 == 0 || i < MANY - 2 * FEW)
            assert_null(peers_find(peers, numbers[i]));
    assert_non_null(peers_find(peers, numbers[MANY - 1]));
    peers_destroy(&peers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_identity_keeps_its_number),
        cmocka_unit_test(the_least_recently_seen_is_forgotten_first),
        cmocka_unit_test(a_forgotten_number_never_names_another),
        cmocka_unit_test(many_come_and_go_in_the_room_of_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
