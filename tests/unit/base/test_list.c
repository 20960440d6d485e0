#include "proto/base/list.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

struct item {
    int number;
    struct link link;
};

// The numbers of all items, as digits.
static int digits(const struct link *head)
{
    int all = 0;
    for (const struct link *link = list_first(head); link != NULL; link = list_next(head, link))
        all = all * 10 + LIST_ITEM(link, const struct item, link)->number;
    return all;
}

static void items_stand_where_they_were_put_last(void **state)
{
    (void)state;
    struct link head;
    struct item items[] = {{.number = 1}, {.number = 2}, {.number = 3}};
    list_init(&head);
    assert_null(list_first(&head));
    list_append(&head, &items[0].link);
    list_append(&head, &items[1].link);
    list_prepend(&head, &items[2].link);
    assert_int_equal(digits(&head), 312);
    list_append(&head, &items[2].link);
    assert_int_equal(digits(&head), 123);
    list_prepend(&head, &items[1].link);
    assert_int_equal(digits(&head), 213);
    list_prepend(&head, &items[1].link);
    assert_int_equal(digits(&head), 213);
}

static void one_that_left_is_in_no_list(void **state)
{
    (void)state;
    struct link head;
    struct item items[] = {{.number = 1}, {.number = 2}};
    list_init(&head);
    list_remove(&items[0].link);
    list_append(&head, &items[0].link);
    list_append(&head, &items[1].link);
    assert_true(list_is_linked(&items[0].link));
    list_remove(&items[0].link);
    assert_false(list_is_linked(&items[0].link));
    assert_int_equal(digits(&head), 2);
    list_remove(&items[1].link);
    assert_null(list_first(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_stand_where_they_were_put_last),
        cmocka_unit_test(one_that_left_is_in_no_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
