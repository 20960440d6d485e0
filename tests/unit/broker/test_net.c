#include "broker/net.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zmq.h>

enum { WAIT_MS = 10000 };

// A net on ipc in a folder of its own, and a context for clients.
struct place {
    char folder[64];
    char requests[128];
    char events[128];
    struct net *net;
    void *context;
};

static struct net_options options_of(const struct place *place)
{
    return (struct net_options){
        .requests = place->requests, .events = place->events, .frame_max = 4096, .peers_max = 64};
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    struct fault fault = {0};
    (void)snprintf(place->folder, sizeof place->folder, "/tmp/syncbus-net-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(place->requests, sizeof place->requests, "ipc://%s/run/requests", place->folder);
    (void)snprintf(place->events, sizeof place->events, "ipc://%s/run/events", place->folder);
    struct net_options options = options_of(place);
    if (net_open(&options, &place->net, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    place->context = zmq_ctx_new();
    *state = place;
    return 0;
}

static void remove_in(const struct place *place, const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", place->folder, name);
    (void)remove(path);
}

static int tear_down(void **state)
{
    struct place *place = *state;
    (void)zmq_ctx_term(place->context);
    net_close(&place->net, 0);
    static const char *const names[] = {"run/requests",    "run/events", "run/requests.lock",
                                        "run/events.lock", "run",        ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        remove_in(place, names[i]);
    free(place);
    return 0;
}

static void *client(const struct place *place, int type)
{
    const int linger = 0, patience = WAIT_MS;
    void *socket = zmq_socket(place->context, type);
    (void)zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    (void)zmq_setsockopt(socket, ZMQ_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(zmq_connect(socket, type == ZMQ_SUB ? place->events : place->requests), 0);
    return socket;
}

// Waits for one request.
static struct net_frame received(const struct place *place)
{
    struct net_frame frame = {0};
    enum err err = net_receive(place->net, &frame, NULL);
    for (int i = 0; i < 10 && err == ERR_NOT_FOUND; i++) {
        assert_int_equal(net_wait(place->net, NULL, 0, true, WAIT_MS, NULL), ERR_OK);
        err = net_receive(place->net, &frame, NULL);
    }
    assert_int_equal(err, ERR_OK);
    return frame;
}

static void a_req_and_a_dealer_are_served_alike(void **state)
{
    struct place *place = *state;
    char answer[16];
    static const int types[] = {ZMQ_REQ, ZMQ_DEALER};
    for (size_t i = 0; i < 2; i++) {
        void *socket = client(place, types[i]);
        assert_int_equal(zmq_send(socket, "ask", 3, 0), 3);
        struct net_frame frame = received(place);
        assert_false(frame.malformed);
        assert_int_equal(frame.size, 3);
        assert_memory_equal(frame.data, "ask", 3);
        assert_int_equal(net_reply(place->net, frame.peer, "told", 4), ERR_OK);
        assert_int_equal(zmq_recv(socket, answer, sizeof answer, 0), 4);
        assert_memory_equal(answer, "told", 4);
        (void)zmq_close(socket);
    }
}

static void a_dealer_may_send_the_delimiter_and_gets_it_back(void **state)
{
    struct place *place = *state;
    char answer[16];
    void *socket = client(place, ZMQ_DEALER);
    (void)zmq_send(socket, "", 0, ZMQ_SNDMORE);
    (void)zmq_send(socket, "ask", 3, 0);
    struct net_frame frame = received(place);
    assert_false(frame.malformed);
    assert_int_equal(net_reply(place->net, frame.peer, "told", 4), ERR_OK);
    assert_int_equal(zmq_recv(socket, answer, sizeof answer, 0), 0);
    assert_int_equal(zmq_recv(socket, answer, sizeof answer, 0), 4);
    (void)zmq_close(socket);
}

static void other_frames_than_a_requests_are_marked_and_disturb_nothing(void **state)
{
    struct place *place = *state;
    void *socket = client(place, ZMQ_DEALER);
    (void)zmq_send(socket, "wrong", 5, ZMQ_SNDMORE);
    (void)zmq_send(socket, "ask", 3, 0);
    for (int i = 0; i < 9; i++)
        (void)zmq_send(socket, "", 0, i < 8 ? ZMQ_SNDMORE : 0);
    (void)zmq_send(socket, "ask", 3, 0);
    assert_true(received(place).malformed);
    assert_true(received(place).malformed);
    struct net_frame frame = received(place);
    assert_false(frame.malformed);
    assert_int_equal(frame.size, 3);
    struct net_frame none;
    assert_int_equal(net_receive(place->net, &none, NULL), ERR_NOT_FOUND);
    (void)zmq_close(socket);
}

static void a_reply_to_a_peer_that_is_gone_says_so_and_never_waits(void **state)
{
    struct place *place = *state;
    void *socket = client(place, ZMQ_DEALER);
    (void)zmq_send(socket, "ask", 3, 0);
    uint64_t peer = received(place).peer;
    (void)zmq_close(socket);
    enum err err = ERR_OK;
    for (int i = 0; i < 1000 && err == ERR_OK; i++) {
        assert_int_equal(net_wait(place->net, NULL, 0, true, 10, NULL), ERR_OK);
        err = net_reply(place->net, peer, "told", 4);
    }
    assert_int_equal(err, ERR_UNREACHABLE);
    assert_int_equal(net_reply(place->net, peer, "told", 4), ERR_UNREACHABLE);
    assert_int_equal(net_reply(place->net, 12345, "told", 4), ERR_UNREACHABLE);
}

static void a_peer_that_never_reads_is_given_up(void **state)
{
    struct place *place = *state;
    static const char large[4000];
    void *socket = client(place, ZMQ_DEALER);
    (void)zmq_send(socket, "ask", 3, 0);
    uint64_t peer = received(place).peer;
    enum err err = ERR_OK;
    int sent = 0;
    for (; sent < 100000 && err == ERR_OK; sent++)
        err = net_reply(place->net, peer, large, sizeof large);
    assert_int_equal(err, ERR_UNREACHABLE);
    (void)zmq_close(socket);
}

static void a_longer_frame_costs_only_its_sender_the_connection(void **state)
{
    struct place *place = *state;
    static const char large[5000];
    void *bad = client(place, ZMQ_DEALER), *good = client(place, ZMQ_DEALER);
    (void)zmq_send(bad, large, sizeof large, 0);
    (void)zmq_send(good, "ask", 3, 0);
    assert_int_equal(received(place).size, 3);
    struct net_frame frame;
    assert_int_equal(net_wait(place->net, NULL, 0, true, 50, NULL), ERR_OK);
    assert_int_equal(net_receive(place->net, &frame, NULL), ERR_NOT_FOUND);
    (void)zmq_close(bad);
    (void)zmq_close(good);
}

static void a_publication_reaches_who_wants_its_topic(void **state)
{
    struct place *place = *state;
    char topic[16] = "", body[16] = "";
    void *socket = client(place, ZMQ_SUB);
    (void)zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "beat", 4);
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    int ready = 0;
    for (int i = 0; i < 1000 && ready == 0; i++) { // a subscription takes its time to arrive
        net_publish(place->net, "other", "no", 2);
        net_publish(place->net, "beat", "yes", 3);
        ready = zmq_poll(&item, 1, 10);
    }
    assert_int_equal(zmq_recv(socket, topic, sizeof topic, 0), 4);
    assert_string_equal(topic, "beat");
    assert_int_equal(zmq_recv(socket, body, sizeof body, 0), 3);
    (void)zmq_close(socket);
}

// Waits until a topic is wanted as JSON, or is no more.
static void await_json(const struct place *place, const char *topic, bool wanted)
{
    for (int i = 0; i < 1000 && net_wants_json(place->net, topic) != wanted; i++)
        assert_int_equal(net_wait(place->net, NULL, 0, false, 10, NULL), ERR_OK);
    assert_int_equal(net_wants_json(place->net, topic), wanted);
}

static void json_is_wanted_from_the_first_subscription_to_the_last_ones_end(void **state)
{
    struct place *place = *state;
    void *first = client(place, ZMQ_SUB), *second = client(place, ZMQ_SUB);
    assert_false(net_wants_json(place->net, "beat"));
    (void)zmq_setsockopt(first, ZMQ_SUBSCRIBE, "json.beat", 9);
    await_json(place, "beat", true);
    // What comes from one socket comes in order: the second one's has come with its last.
    (void)zmq_setsockopt(second, ZMQ_SUBSCRIBE, "json.beat", 9);
    (void)zmq_setsockopt(second, ZMQ_SUBSCRIBE, "json.tick.", 10);
    await_json(place, "tick.prices", true);
    (void)zmq_setsockopt(first, ZMQ_UNSUBSCRIBE, "json.beat", 9);
    (void)zmq_setsockopt(first, ZMQ_SUBSCRIBE, "json.run.", 9);
    await_json(place, "run.prices", true);
    assert_true(net_wants_json(place->net, "beat"));
    // A connection that ends takes its subscriptions along.
    (void)zmq_close(second);
    await_json(place, "beat", false);
    assert_false(net_wants_json(place->net, "tick.prices"));
    assert_true(net_wants_json(place->net, "run.prices"));
    (void)zmq_close(first);
    await_json(place, "run.prices", false);
}

static void who_wants_everything_wants_no_json(void **state)
{
    struct place *place = *state;
    void *socket = client(place, ZMQ_SUB);
    (void)zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
    (void)zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "json", 4);
    (void)zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "json.tick.", 10);
    await_json(place, "tick.prices", true);
    assert_false(net_wants_json(place->net, "beat"));
    (void)zmq_close(socket);
}

static void a_subscription_longer_than_any_topic_costs_only_its_sender_the_connection(void **state)
{
    struct place *place = *state;
    static char large[2000];
    void *bad = client(place, ZMQ_SUB), *good = client(place, ZMQ_SUB);
    memset(large, 'x', sizeof large);
    memcpy(large, "json.", 5);
    (void)zmq_setsockopt(bad, ZMQ_SUBSCRIBE, "json.run.", 9);
    await_json(place, "run.prices", true);
    (void)zmq_setsockopt(good, ZMQ_SUBSCRIBE, "json.tick.", 10);
    await_json(place, "tick.prices", true);
    // Its others come again with each new connection, before the one that ends it.
    void *monitor = zmq_socket(place->context, ZMQ_PAIR);
    const int patience = WAIT_MS;
    char event[64];
    (void)zmq_setsockopt(monitor, ZMQ_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(zmq_socket_monitor(bad, "inproc://bad", ZMQ_EVENT_DISCONNECTED), 0);
    assert_int_equal(zmq_connect(monitor, "inproc://bad"), 0);
    (void)zmq_setsockopt(bad, ZMQ_SUBSCRIBE, large, sizeof large);
    assert_int_equal(net_wait(place->net, NULL, 0, false, 10, NULL), ERR_OK);
    assert_true(zmq_recv(monitor, event, sizeof event, 0) > 0);
    (void)zmq_socket_monitor(bad, NULL, 0);
    (void)zmq_close(monitor);
    (void)zmq_close(bad);
    await_json(place, "run.prices", false);
    assert_true(net_wants_json(place->net, "tick.prices"));
    (void)zmq_close(good);
}

static void many_subscriptions_are_taken_and_forgotten_with_their_connection(void **state)
{
    struct place *place = *state;
    char topic[64];
    void *crowd = client(place, ZMQ_SUB), *good = client(place, ZMQ_SUB);
    const int unlimited = 0;
    (void)zmq_setsockopt(crowd, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
    (void)zmq_disconnect(crowd, place->events);
    assert_int_equal(zmq_connect(crowd, place->events), 0);
    (void)zmq_setsockopt(good, ZMQ_SUBSCRIBE, "json.run.", 9);
    await_json(place, "run.prices", true);
    for (int i = 0; i < 20000; i++) {
        int size = snprintf(topic, sizeof topic, "json.tick.job-%d", i);
        (void)zmq_setsockopt(crowd, ZMQ_SUBSCRIBE, topic, (size_t)size);
    }
    await_json(place, "other", true); // beyond the table nobody is told apart
    (void)zmq_close(crowd);
    await_json(place, "other", false);
    await_json(place, "tick.job-0", false);
    assert_true(net_wants_json(place->net, "run.prices"));
    (void)zmq_close(good);
}

static void a_second_broker_cannot_take_the_sockets(void **state)
{
    struct place *place = *state;
    struct net_options options = options_of(place);
    struct net *second = NULL;
    struct fault fault = {0};
    assert_int_equal(net_open(&options, &second, &fault), ERR_BUSY);
    assert_non_null(strstr(fault.text, "another broker"));
    assert_null(second);
    net_close(&place->net, 0);
    assert_int_equal(net_open(&options, &place->net, &fault), ERR_OK);
}

static void a_socket_left_behind_is_replaced(void **state)
{
    struct place *place = *state;
    struct net_options options = options_of(place);
    struct stat status;
    const char *path = place->requests + strlen("ipc://");
    net_close(&place->net, 0);
    (void)remove(path);
    int left = open(path, O_CREAT | O_RDWR, 0600);
    assert_true(left >= 0);
    (void)close(left);
    assert_int_equal(net_open(&options, &place->net, NULL), ERR_OK);
    assert_int_equal(stat(path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 0777, 0660);
}

static void a_folder_that_everybody_may_write_to_is_refused(void **state)
{
    struct place *place = *state;
    struct net_options options = options_of(place);
    struct fault fault = {0};
    char run[80];
    (void)snprintf(run, sizeof run, "%s/run", place->folder);
    net_close(&place->net, 0);
    assert_int_equal(chmod(run, 0777), 0);
    assert_int_equal(net_open(&options, &place->net, &fault), ERR_REFUSED);
    assert_non_null(strstr(fault.text, "everybody may write"));
    assert_int_equal(chmod(run, 0750), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_req_and_a_dealer_are_served_alike),
        TEST(a_dealer_may_send_the_delimiter_and_gets_it_back),
        TEST(other_frames_than_a_requests_are_marked_and_disturb_nothing),
        TEST(a_reply_to_a_peer_that_is_gone_says_so_and_never_waits),
        TEST(a_peer_that_never_reads_is_given_up),
        TEST(a_longer_frame_costs_only_its_sender_the_connection),
        TEST(a_publication_reaches_who_wants_its_topic),
        TEST(json_is_wanted_from_the_first_subscription_to_the_last_ones_end),
        TEST(who_wants_everything_wants_no_json),
        TEST(a_subscription_longer_than_any_topic_costs_only_its_sender_the_connection),
        TEST(many_subscriptions_are_taken_and_forgotten_with_their_connection),
        TEST(a_second_broker_cannot_take_the_sockets),
        TEST(a_socket_left_behind_is_replaced),
        TEST(a_folder_that_everybody_may_write_to_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
