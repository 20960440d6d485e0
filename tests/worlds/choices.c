#include "tests/worlds/choices.h"

#include "tests/worlds/broker.h"
#include "tests/worlds/clients.h"
#include "tests/worlds/net.h"

#include <assert.h>

struct list {
    struct choice *choices;
    size_t count;
};

static void offer(struct list *list, bool possible, enum choice_kind kind, size_t client)
{
    if (possible)
        list->choices[list->count++] = (struct choice){.kind = (uint8_t)kind, .client = (uint8_t)client};
}

static void list_messages(struct list *list, size_t index)
{
    const struct client *client = &world->clients[index];
    const bool request = client->sent != NULL && world->core != NULL && !client->is_cut;
    const bool reply = client->coming != NULL && !client->is_cut;
    const bool faults = world->faults > 0;
    offer(list, request, CHOICE_REQUEST, index);
    offer(list, reply, CHOICE_REPLY, index);
    offer(list, request && faults, CHOICE_REQUEST_AGAIN, index);
    offer(list, reply && faults, CHOICE_REPLY_AGAIN, index);
    offer(list, client->sent != NULL && faults, CHOICE_REQUEST_LOST, index);
    offer(list, client->coming != NULL && faults, CHOICE_REPLY_LOST, index);
    offer(list, client->session != NULL && !client->is_cut && faults, CHOICE_CUT, index);
    offer(list, client->is_cut, CHOICE_HEAL, index);
}

static void list_work(struct list *list, size_t index)
{
    const struct client *client = &world->clients[index];
    const bool lives = client->session != NULL;
    const bool is_ready = client->is_order || client->run != 0;
    offer(list, lives && is_ready && client->work == WORK_NONE, CHOICE_WISH, index);
    offer(list, lives && client->is_order && client->work == WORK_WISHED, CHOICE_WITHDRAW, index);
    offer(list, lives && client->work == WORK_HELD, CHOICE_END, index);
    offer(list, lives && client->work == WORK_HELD && client->must_yield, CHOICE_YIELD, index);
    offer(list, lives && world->client_crashes > 0, CHOICE_CLIENT_CRASHES, index);
    offer(list, !lives, CHOICE_CLIENT_STARTS, index);
}

size_t choices_list(struct choice ret[CHOICES_MAX])
{
    struct list list = {.choices = ret};
    for (size_t i = 0; i < world->client_count; i++) {
        list_messages(&list, i);
        list_work(&list, i);
    }
    const bool crashes = world->core != NULL && world->broker_crashes > 0;
    offer(&list, crashes, CHOICE_BROKER_CRASHES, 0);
    offer(&list, crashes && broker_may_lose(), CHOICE_BROKER_CRASHES_EARLY, 0);
    offer(&list, crashes, CHOICE_BROKER_STOPS, 0);
    offer(&list, world->core == NULL, CHOICE_BROKER_STARTS, 0);
    offer(&list, world_deadline() != INT64_MAX, CHOICE_TIME, 0);
    return list.count;
}

// ---------------------------------------------------------------- messages

static void take_message(enum choice_kind kind, size_t index)
{
    struct client *client = &world->clients[index];
    const bool is_request = kind == CHOICE_REQUEST || kind == CHOICE_REQUEST_AGAIN;
    const bool again = kind == CHOICE_REQUEST_AGAIN || kind == CHOICE_REPLY_AGAIN;
    const struct message *message = is_request ? client->sent : client->coming;
    world_tell(is_request ? "%s: its %s comes to the broker%s" : "%s gets what it was answered: %s%s",
               world_name(index), message->gist.word, again ? ", and will come again" : "");
    world->faults -= again ? 1 : 0;
    if (is_request)
        net_arrive_request(index, again);
    else
        net_arrive_reply(index, again);
}

static void lose_message(enum choice_kind kind, size_t index)
{
    struct client *client = &world->clients[index];
    struct message **way = kind == CHOICE_REQUEST_LOST ? &client->sent : &client->coming;
    world_tell("%s: the %s %s it is lost", world_name(index), (*way)->gist.word,
               kind == CHOICE_REQUEST_LOST ? "from" : "to");
    world->faults--;
    net_lose(way);
}

static void cut(size_t index, bool cut)
{
    world_tell(cut ? "%s is cut off from the broker" : "%s and the broker reach each other again",
               world_name(index));
    world->faults -= cut ? 1 : 0;
    world->clients[index].is_cut = cut;
}

// ---------------------------------------------------------------- lives

static void crash_client(size_t index)
{
    world_tell("%s is killed", world_name(index));
    world->client_crashes--;
    clients_crash(index);
}

static void crash_broker(bool early)
{
    world_tell(early ? "the broker is killed before its last update is on disk" : "the broker is killed");
    world->broker_crashes--;
    broker_crash(early);
}

static void work(enum choice_kind kind, size_t index)
{
    static const char *const says[] = {[CHOICE_WISH] = "wishes for its lease",
                                       [CHOICE_WITHDRAW] = "gives up waiting",
                                       [CHOICE_END] = "is done and gives its lease back",
                                       [CHOICE_YIELD] = "steps aside"};
    world_tell("%s %s", world_name(index), says[kind]);
    if (kind == CHOICE_WISH)
        clients_wish(index);
    else if (kind == CHOICE_WITHDRAW)
        clients_withdraw(index);
    else
        clients_end(index, kind == CHOICE_YIELD);
}

void choices_take(struct choice choice)
{
    const enum choice_kind kind = choice.kind;
    switch (kind) {
    case CHOICE_REQUEST:
    case CHOICE_REPLY:
    case CHOICE_REQUEST_AGAIN:
    case CHOICE_REPLY_AGAIN: take_message(kind, choice.client); break;
    case CHOICE_REQUEST_LOST:
    case CHOICE_REPLY_LOST: lose_message(kind, choice.client); break;
    case CHOICE_CUT: cut(choice.client, true); break;
    case CHOICE_HEAL: cut(choice.client, false); break;
    case CHOICE_WISH:
    case CHOICE_WITHDRAW:
    case CHOICE_END:
    case CHOICE_YIELD: work(kind, choice.client); break;
    case CHOICE_CLIENT_CRASHES: crash_client(choice.client); break;
    case CHOICE_CLIENT_STARTS:
        world_tell("%s is started again", world_name(choice.client));
        clients_start(choice.client);
        break;
    case CHOICE_BROKER_CRASHES: crash_broker(false); break;
    case CHOICE_BROKER_CRASHES_EARLY: crash_broker(true); break;
    case CHOICE_BROKER_STOPS:
        world_tell("the broker ends cleanly");
        world->broker_crashes--;
        broker_stop();
        break;
    case CHOICE_BROKER_STARTS:
        world_tell("the broker is started again");
        broker_start();
        break;
    case CHOICE_TIME: world_pass(); break;
    }
    judge_look();
    judge_forget();
}
