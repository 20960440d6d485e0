// Calls between clients and the services that answer them, and what services publish through the broker.
#include "broker/core/parts.h"

#include <string.h>

const char *order_topic(Sb__OrderStatus status)
{
    static const char *const names[] = {"",         "accepted",  "sending", "placed",
                                        "rejected", "cancelled", "unknown", "needs_person"};
    assert(status < sizeof names / sizeof names[0]);
    return names[status];
}

void route_call(struct core *self, uint64_t peer, const Sb__Request *request)
{
    const Sb__Call *call = request->call;
    const struct session *server = session_serving(self, call->service);
    if (server == NULL) {
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_NO_SERVICE,
                        arena_print(self, "nobody answers for \"%s\" at present", call->service));
        return;
    }
    if (self->call_count == self->config.calls_max) {
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_BUSY,
                        "too many calls are under way; ask again later");
        return;
    }
    uint32_t timeout = call->timeout_ms == 0 ? CALL_TIMEOUT_MS : call->timeout_ms;
    if (timeout > CALL_TIMEOUT_MAX_MS)
        timeout = CALL_TIMEOUT_MAX_MS;
    struct call *pending = &self->calls[self->call_count++];
    *pending = (struct call){.number = ++self->call_count_ever,
                             .peer = peer,
                             .request = request->id,
                             .session = server->number,
                             .until_boot = self->boot_ms + timeout};
    text_copy(pending->service, sizeof pending->service, call->service);
    const struct session *caller = session_find(self, request->session);
    Sb__Deliver *deliver = arena_take(self, sizeof *deliver);
    sb__deliver__init(deliver);
    deliver->call = pending->number;
    deliver->method = arena_text(self, call->method);
    deliver->body.len = call->body.len;
    if (call->body.len > 0)
        deliver->body.data = memcpy(arena_take(self, call->body.len), call->body.data, call->body.len);
    deliver->timeout_ms = timeout;
    deliver->from = arena_text(self, caller != NULL ? caller->name : "");
    Sb__Reply *reply = reply_add(self, server->peer, 0, SB__CODE__CODE_OK, NULL);
    reply->body_case = SB__REPLY__BODY_DELIVER;
    reply->deliver = deliver;
}

void route_session_gone(struct core *self, uint64_t session)
{
    for (size_t i = 0; i < self->call_count; i++) {
        struct call *call = &self->calls[i];
        if (call->session == session) {
            call->orphaned = true;
            call->until_boot = self->boot_ms; // as soon as there is room: it may be very many
        }
    }
}

void route_session_moved(struct core *self, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < self->call_count; i++) {
        if (self->calls[i].session == from && !self->calls[i].orphaned)
            self->calls[i].session = to;
    }
}

// What was answered to an earlier sending of this request; false if it is new.
static bool repeat_reply(struct core *self, uint64_t peer, const struct session *session,
                         const Sb__Request *request)
{
    for (size_t i = 0; i < SESSION_REPLIES; i++) {
        if (session->kept[i].request == request->id && request->id != 0) {
            (void)reply_add(self, peer, request->id, session->kept[i].code, NULL);
            return true;
        }
    }
    return false;
}

// Answers a change, and keeps the answer for repeats (I8).
static void reply_kept(struct core *self, uint64_t peer, struct session *session, const Sb__Request *request,
                       Sb__Code code, const char *text)
{
    session->kept[session->kept_next++ % SESSION_REPLIES] =
        (struct kept_reply){.request = request->id, .code = code};
    (void)reply_add(self, peer, request->id, code, text);
}

void route_answer(struct core *self, uint64_t peer, struct session *session, const Sb__Request *request)
{
    const Sb__Answer *answer = request->answer;
    if (repeat_reply(self, peer, session, request))
        return;
    reply_kept(self, peer, session, request, SB__CODE__CODE_OK, NULL); // a late one is not worth a complaint
    for (size_t i = 0; i < self->call_count; i++) {
        const struct call call = self->calls[i];
        if (call.number != answer->call || call.orphaned)
            continue;
        const struct session *server = session_find(self, call.session);
        assert(server != NULL); // else it would be orphaned
        if (server->instance != session->instance)
            continue;
        self->calls[i] = self->calls[--self->call_count];
        const Sb__Code code =
            answer->code == SB__CODE__CODE_UNSPECIFIED ? SB__CODE__CODE_INTERNAL : answer->code;
        Sb__Reply *reply = reply_add(self, call.peer, call.request, code, answer->text);
        if (code != SB__CODE__CODE_OK)
            return;
        Sb__Answered *answered = arena_take(self, sizeof *answered);
        sb__answered__init(answered);
        answered->body.len = answer->body.len;
        if (answer->body.len > 0)
            answered->body.data =
                memcpy(arena_take(self, answer->body.len), answer->body.data, answer->body.len);
        reply->body_case = SB__REPLY__BODY_ANSWERED;
        reply->answered = answered;
        return;
    }
}

// A copy of a small message of a client, for a publication.
static ProtobufCMessage *copy_message(struct core *self, const ProtobufCMessage *message)
{
    const size_t size = message->descriptor->sizeof_message;
    ProtobufCMessage *copy = memcpy(arena_take(self, size), message, size);
    copy->n_unknown_fields = 0; // they belong to the request
    copy->unknown_fields = NULL;
    return copy;
}

// An order that needs a person, and an ERP that takes none.
static void alert_order(struct core *self, const Sb__OrderState *order)
{
    const bool needs_person = order->status == SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON;
    alert_set(self, ALERT_ORDER, order->key, needs_person ? order->why : NULL);
    if (order->stopped)
        alert_raise(self, ALERT_ORDERS_STOPPED, "order", order->why);
    else if (order->status == SB__ORDER_STATUS__ORDER_STATUS_PLACED ||
             order->status == SB__ORDER_STATUS__ORDER_STATUS_REJECTED)
        alert_clear(self, ALERT_ORDERS_STOPPED, "order");
}

// What the order service says of the orders in a range of keys: those that need a person, and that no other
// one does. False if not all had room: it says so again.
static bool alert_persons(struct core *self, const Sb__NeedsPerson *page)
{
    for (size_t i = 0; i < page->n_orders; i++) {
        if (!update_has_room(self))
            return false;
        alert_set(self, ALERT_ORDER, page->orders[i]->key, page->orders[i]->why);
    }
    return alerts_of_orders_clear(self, page);
}

// Deletions that the delete guard withholds wait for a person; who releases them settles it.
static void alert_withheld(struct core *self, const struct job *job, const Sb__Withheld *withheld)
{
    if (withheld != NULL)
        alert_set(self, ALERT_WITHHELD, job->name,
                  withheld->guarded ? withheld_text(self, withheld->count) : NULL);
}

void route_publish(struct core *self, uint64_t peer, struct session *session, const Sb__Request *request)
{
    const Sb__Publish *message = request->publish;
    if (repeat_reply(self, peer, session, request))
        return;
    if (message->body_case == SB__PUBLISH__BODY_CHANGE) {
        struct job *job = job_find(self, message->change->entity);
        if (job == NULL || !session_has_job(self, session, job) || !session_owns_job(self, session, job)) {
            reply_kept(self, peer, session, request, SB__CODE__CODE_FORBIDDEN, "the entity is another's");
            return;
        }
        Sb__Event *event = publish(self, &job->change, false);
        event->body_case = SB__EVENT__BODY_CHANGE;
        event->change = (Sb__Change *)copy_message(self, &message->change->base);
        event->change->entity = job->name;
        event->change->withheld = NULL; // told by its alert
        alert_withheld(self, job, message->change->withheld);
    } else if (message->body_case == SB__PUBLISH__BODY_ORDER) {
        const Sb__OrderStatus status = message->order->status;
        if (session_serving(self, "order") != session || status < SB__ORDER_STATUS__ORDER_STATUS_ACCEPTED ||
            status > SB__ORDER_STATUS__ORDER_STATUS_NEEDS_PERSON) {
            reply_kept(self, peer, session, request, SB__CODE__CODE_FORBIDDEN, "orders are another's");
            return;
        }
        alert_order(self, message->order);
        Sb__Event *event = publish(self, &self->order_topics[status], false);
        event->body_case = SB__EVENT__BODY_ORDER;
        event->order = (Sb__OrderState *)copy_message(self, &message->order->base);
        event->order->key = arena_text(self, message->order->key);
        event->order->erp_id = arena_text(self, message->order->erp_id);
        event->order->why = arena_text(self, message->order->why);
        event->order->by = arena_text(self, message->order->by);
        event->order->n_blockers = event->order->n_history = 0;
    } else if (message->body_case == SB__PUBLISH__BODY_NEEDS_PERSON) {
        if (session_serving(self, "order") != session) {
            reply_kept(self, peer, session, request, SB__CODE__CODE_FORBIDDEN, "orders are another's");
            return;
        }
        if (!alert_persons(self, message->needs_person)) {
            (void)reply_add(self, peer, request->id, SB__CODE__CODE_BUSY, "not all had room; say it again");
            return;
        }
    } else {
        reply_kept(self, peer, session, request, SB__CODE__CODE_INVALID, "nothing to publish");
        return;
    }
    reply_kept(self, peer, session, request, SB__CODE__CODE_OK, NULL);
}

bool route_advance(struct core *self)
{
    for (size_t i = 0; i < self->call_count;) {
        const struct call call = self->calls[i];
        if (!update_has_room(self))
            return false;
        if (self->boot_ms < call.until_boot) {
            i++;
            continue;
        }
        self->calls[i] = self->calls[--self->call_count];
        if (call.orphaned)
            (void)reply_add(self, call.peer, call.request, SB__CODE__CODE_NO_SERVICE,
                            arena_print(self, "\"%s\" went away before it answered", call.service));
        else
            (void)reply_add(self, call.peer, call.request, SB__CODE__CODE_TIMEOUT,
                            arena_print(self, "%s did not answer in time", call.service));
    }
    return true;
}

int64_t route_deadline(const struct core *self)
{
    int64_t deadline = INT64_MAX;
    for (size_t i = 0; i < self->call_count; i++) {
        if (self->calls[i].until_boot < deadline)
            deadline = self->calls[i].until_boot;
    }
    return deadline;
}
