// Which topics are wanted as JSON: exactly those that somebody subscribes to, in memory of one size.
#include "broker/subscriptions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct subscriptions));
    return *state == NULL;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

// Takes what the socket gives when a topic finds its first subscriber or loses its last one.
static void take(struct subscriptions *self, char kind, const char *topic)
{
    char bytes[256];
    const size_t size = strlen(topic);
    assert_true(size < sizeof bytes);
    bytes[0] = kind;
    memcpy(bytes + 1, topic, size);
    subscriptions_take(self, bytes, size + 1);
}

static void begin(struct subscriptions *self, const char *topic)
{
    take(self, 1, topic);
}

static void end(struct subscriptions *self, const char *topic)
{
    take(self, 0, topic);
}

static void nobody_wants_json_at_first(void **state)
{
    assert_false(subscriptions_want(*state, "beat"));
    assert_false(subscriptions_want(*state, ""));
}

static void a_topic_is_wanted_by_its_whole_and_by_each_beginning_of_it(void **state)
{
    static const char *const beginnings[] = {"json.", "json.tick", "json.tick.", "json.tick.prices"};
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        begin(*state, beginnings[i]);
        assert_true(subscriptions_want(*state, "tick.prices"));
        end(*state, beginnings[i]);
        assert_false(subscriptions_want(*state, "tick.prices"));
    }
}

static void other_topics_than_the_subscribed_one_are_not_wanted(void **state)
{
    begin(*state, "json.tick.prices");
    assert_false(subscriptions_want(*state, "tick.price"));
    assert_false(subscriptions_want(*state, "tick.orders"));
    assert_false(subscriptions_want(*state, "run.prices"));
    assert_true(subscriptions_want(*state, "tick.prices2"));
}

static void a_prefix_shorter_than_that_of_json_is_none(void **state)
{
    static const char *const shorter[] = {"", "j", "json", "tick.", "Json.", "jsonx", "tick.json."};
    for (size_t i = 0; i < sizeof shorter / sizeof *shorter; i++)
        begin(*state, shorter[i]);
    subscriptions_take(*state, "", 0);
    assert_false(subscriptions_want(*state, "tick.prices"));
}

static void the_end_of_one_subscription_leaves_the_others(void **state)
{
    begin(*state, "json.tick.");
    begin(*state, "json.run.");
    begin(*state, "json.change.");
    end(*state, "json.tick.");
    assert_false(subscriptions_want(*state, "tick.prices"));
    assert_true(subscriptions_want(*state, "run.prices"));
    assert_true(subscriptions_want(*state, "change.prices"));
}

static void the_same_one_twice_is_one(void **state)
{
    begin(*state, "json.beat");
    begin(*state, "json.beat");
    end(*state, "json.beat");
    assert_false(subscriptions_want(*state, "beat"));
}

static void bytes_that_are_no_subscription_mean_nothing(void **state)
{
    take(*state, 2, "json.beat");
    take(*state, 'j', "json.beat");
    assert_false(subscriptions_want(*state, "beat"));
    begin(*state, "json.beat");
    take(*state, 2, "json.beat");
    assert_true(subscriptions_want(*state, "beat"));
}

static void one_that_is_longer_than_any_topic_takes_no_place(void **state)
{
    char longest[sizeof "json." + TOPIC_SIZE_MAX], longer[sizeof longest + 1];
    memset(longest, 'x', sizeof longest - 1);
    memcpy(longest, "json.", strlen("json."));
    longest[sizeof longest - 1] = '\0';
    (void)snprintf(longer, sizeof longer, "%sx", longest);
    begin(*state, longer);
    assert_int_equal(((const struct subscriptions *)*state)->count, 0);
    assert_false(subscriptions_want(*state, longest + strlen("json.")));
    begin(*state, longest);
    assert_true(subscriptions_want(*state, longest + strlen("json.")));
    end(*state, longer);
    assert_true(subscriptions_want(*state, longest + strlen("json.")));
}

static void numbered(struct subscriptions *self, char kind, int number)
{
    char topic[64];
    (void)snprintf(topic, sizeof topic, "json.tick.job-%d", number);
    take(self, kind, topic);
}

static void more_than_the_table_holds_are_only_counted_and_all_is_wanted_meanwhile(void **state)
{
    enum { MANY = SUBSCRIPTIONS_MAX + 1000 };
    for (int i = 0; i < SUBSCRIPTIONS_MAX; i++)
        numbered(*state, 1, i);
    assert_true(subscriptions_want(*state, "tick.job-0"));
    assert_false(subscriptions_want(*state, "tick.other"));
    for (int i = SUBSCRIPTIONS_MAX; i < MANY; i++)
        numbered(*state, 1, i);
    assert_true(subscriptions_want(*state, "tick.other"));
    for (int i = MANY - 1; i >= SUBSCRIPTIONS_MAX; i--) {
        assert_true(subscriptions_want(*state, "tick.other"));
        numbered(*state, 0, i);
    }
    assert_false(subscriptions_want(*state, "tick.other"));
    assert_true(subscriptions_want(*state, "tick.job-0"));
}

static void what_nobody_had_subscribed_to_can_be_taken_back(void **state)
{
    end(*state, "json.beat");
    assert_false(subscriptions_want(*state, "beat"));
    begin(*state, "json.beat");
    end(*state, "json.tick.");
    assert_true(subscriptions_want(*state, "beat"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nobody_wants_json_at_first),
        TEST(a_topic_is_wanted_by_its_whole_and_by_each_beginning_of_it),
        TEST(other_topics_than_the_subscribed_one_are_not_wanted),
        TEST(a_prefix_shorter_than_that_of_json_is_none),
        TEST(the_end_of_one_subscription_leaves_the_others),
        TEST(the_same_one_twice_is_one),
        TEST(bytes_that_are_no_subscription_mean_nothing),
        TEST(one_that_is_longer_than_any_topic_takes_no_place),
        TEST(more_than_the_table_holds_are_only_counted_and_all_is_wanted_meanwhile),
        TEST(what_nobody_had_subscribed_to_can_be_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
