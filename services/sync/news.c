#include "services/sync/news.h"

#include "proto/io/clock.h"
#include "proto/io/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

// How long what the broker could not take waits before it is sent again.
enum { REPEAT_MS = 1000 };

// One kind of news: what was sent last, and when to look for more.
struct line {
    uint64_t ask;   // under way; 0: none
    int64_t due_ms; // when to look; INT64_MAX: not before the store has something new
};

struct news {
    const char *entity;      // name
    struct delta *store;     // what it tells of
    struct service *service; // by whom
    bool connected;          // a session stood once: before that nothing is sent
    struct line report;      // results
    uint64_t run;            // the run whose result is under way
    uint32_t attempt;        // its attempt
    struct line change;      // changes
    uint64_t first;          // the feed's number from which the publication under way goes; 0: the head
    bool head_due;           // the feed's head is to be published
    struct fault broken;     // the store failed in a reply
};

// Sends one of a line; what cannot be sent now is sent again, and said, as nobody else would hear of it.
static void ask(struct news *self, struct line *line, Sb__Request *request)
{
    line->ask = service_ask(self->service, request, 0);
    if (line->ask != 0)
        return;
    line->due_ms = clock_boot_ms() + REPEAT_MS;
    log_write(LOG_LEVEL_ERROR, "not sent", "job=%s what=%s", self->entity,
              request->body_case == SB__REQUEST__BODY_REPORT ? "report" : "publication");
}

// Names each run that waits for its acknowledgement, or the broker would count it as lost.
static enum err name_waiting_run(struct news *self, struct fault *fault)
{
    Sb__Report *report = NULL;
    enum err err = delta_next_report(self->store, &report, fault);
    if (err == ERR_NOT_FOUND)
        return ERR_OK;
    if (err != ERR_OK)
        return err;
    (void)syncbus_run_begin(service_client(self->service), self->entity, report->run, report->attempt);
    sb__report__free_unpacked(report, NULL);
    return ERR_OK;
}

enum err news_new(const char *entity, struct delta *store, struct service *service, struct news **ret,
                  struct fault *fault)
{
    struct news *self = calloc(1, sizeof *self);
    if (self == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "out of memory");
    *self = (struct news){.entity = entity,
                          .store = store,
                          .service = service,
                          .report = {.due_ms = INT64_MAX},
                          .change = {.due_ms = INT64_MAX}};
    enum err err = name_waiting_run(self, fault);
    if (err != ERR_OK) {
        free(self);
        return err;
    }
    *ret = self;
    return ERR_OK;
}

void news_destroy(struct news **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

void news_connected(struct news *self)
{
    self->connected = true;
    self->head_due = true;
    news_look(self);
}

void news_look(struct news *self)
{
    self->report.due_ms = 0;
    self->change.due_ms = 0;
}

void news_released(struct news *self)
{
    self->head_due = true;
    news_look(self);
}

// ---------------------------------------------------------------- out

static enum err send_report(struct news *self, struct fault *fault)
{
    Sb__Report *report = NULL;
    enum err err = delta_next_report(self->store, &report, fault);
    if (err == ERR_NOT_FOUND)
        return ERR_OK;
    if (err != ERR_OK)
        return err;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_REPORT;
    request.report = report;
    self->run = report->run;
    self->attempt = report->attempt;
    ask(self, &self->report, &request);
    sb__report__free_unpacked(report, NULL);
    return ERR_OK;
}

static void publish(struct news *self, Sb__Change *change)
{
    Sb__Publish publish = SB__PUBLISH__INIT;
    publish.body_case = SB__PUBLISH__BODY_CHANGE;
    publish.change = change;
    Sb__Request request = SB__REQUEST__INIT;
    request.body_case = SB__REQUEST__BODY_PUBLISH;
    request.publish = &publish;
    self->first = change->first;
    ask(self, &self->change, &request);
}

static enum err send_change(struct news *self, struct fault *fault)
{
    Sb__Change *change = NULL;
    enum err err = delta_next_change(self->store, &change, fault);
    if (err != ERR_OK)
        return err == ERR_NOT_FOUND ? ERR_OK : err;
    publish(self, change);
    sb__change__free_unpacked(change, NULL);
    return ERR_OK;
}

static enum err send_head(struct news *self, struct fault *fault)
{
    Sb__Change head = SB__CHANGE__INIT;
    Sb__Withheld withheld = SB__WITHHELD__INIT;
    enum err err = delta_head(self->store, &head, fault);
    if (err == ERR_OK)
        err = delta_withheld(self->store, &withheld, fault);
    if (err == ERR_OK) {
        head.withheld = &withheld;
        publish(self, &head);
        self->head_due = self->change.ask == 0;
    }
    return err;
}

static bool waits(const struct line *line)
{
    return line->ask != 0 || line->due_ms != INT64_MAX;
}

enum err news_time(struct news *self, int64_t now_ms, struct fault *fault)
{
    if (self->broken.err != ERR_OK) {
        if (fault != NULL)
            *fault = self->broken;
        return self->broken.err;
    }
    if (now_ms < news_deadline(self))
        return ERR_OK;
    enum err err = ERR_OK;
    if (self->report.ask == 0 && now_ms >= self->report.due_ms) {
        self->report.due_ms = INT64_MAX;
        err = send_report(self, fault);
    }
    if (err == ERR_OK && self->change.ask == 0 && now_ms >= self->change.due_ms) {
        self->change.due_ms = INT64_MAX;
        err = send_change(self, fault);
    }
    // The head comes last: a result that was older would otherwise undo what it says of withheld deletions.
    if (err == ERR_OK && self->head_due && !waits(&self->report) && !waits(&self->change))
        err = send_head(self, fault);
    return err;
}

int64_t news_deadline(const struct news *self)
{
    if (!self->connected)
        return INT64_MAX;
    int64_t report = self->report.ask == 0 ? self->report.due_ms : INT64_MAX;
    int64_t change = self->change.ask == 0 ? self->change.due_ms : INT64_MAX;
    return report < change ? report : change;
}

// ---------------------------------------------------------------- in

// True when sending the same again can only give the same answer.
static bool is_final(enum syncbus_code code)
{
    return code == SYNCBUS_OK || code == SYNCBUS_CONFLICT || code == SYNCBUS_NOT_FOUND ||
           code == SYNCBUS_INVALID || code == SYNCBUS_FORBIDDEN;
}

static void end_line(struct news *self, struct line *line, const char *what,
                     const struct syncbus_notice *notice)
{
    line->ask = 0;
    line->due_ms = is_final(notice->code) ? 0 : clock_boot_ms() + REPEAT_MS;
    if (notice->code != SYNCBUS_OK)
        log_write(LOG_LEVEL_WARNING, what, "job=%s code=%d text=%s", self->entity, (int)notice->code,
                  notice->text);
}

void news_reply(struct news *self, const struct syncbus_notice *notice)
{
    if (notice->ask == 0)
        return;
    if (notice->ask == self->report.ask) {
        end_line(self, &self->report, "report refused", notice);
        if (!is_final(notice->code))
            return;
        if (delta_acknowledge(self->store, self->run, self->attempt, &self->broken) != ERR_OK)
            return;
        syncbus_run_end(service_client(self->service), self->run);
    } else if (notice->ask == self->change.ask) {
        end_line(self, &self->change, "publication refused", notice);
        if (self->first == 0)
            self->head_due = self->head_due || !is_final(notice->code);
        else if (is_final(notice->code))
            (void)!delta_published(self->store, self->first, &self->broken);
    }
}
