#include "tests/sim/setup.h"

#include "proto/base/buffer.h"
#include "tests/sim/sim.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

const char *const setup_jobs[SETUP_JOBS_MAX] = {"orders",   "customers", "prices",
                                                "invoices", "ddt",       "products"};

static const char *one_of(const char *const *words, size_t count)
{
    return words[random_below(&sim->random, count)];
}

static void draw_resource(struct setup *self)
{
    static const char *const policies[] = {"refuse", "revoke"};
    const int64_t ttl_ms = sim_between(2, 30) * 1000;
    (void)snprintf(self->resource_text, sizeof self->resource_text,
                   "    capacity: %" PRId64 "\n"
                   "    lease_ttl: %" PRId64 "ms\n"
                   "    grant_delay: %" PRId64 "ms\n"
                   "    max_exclusive: %" PRId64 "s\n"
                   "    max_exclusive_streak: %" PRId64 "s\n"
                   "    aging: %" PRId64 "s\n"
                   "    on_pause_timeout: %s\n",
                   sim_between(1, 3), ttl_ms, sim_between(ttl_ms / 10, ttl_ms / 2), sim_between(120, 900),
                   sim_between(30, 900), sim_between(60, 900), one_of(policies, 2));
}

static void draw_job(struct setup *self, size_t job)
{
    static const char *const yields[] = {"finish", "page", "abort"};
    static const char *const overlaps[] = {"skip", "queue"};
    static const char *const catch_ups[] = {"once", "none"};
    const int64_t every_s = sim_between(1, 30) * 60;
    (void)snprintf(self->job_texts[job], sizeof self->job_texts[job],
                   "    every: %" PRId64 "s\n"
                   "    offset: %" PRId64 "s\n"
                   "    priority: %" PRId64 "\n"
                   "    fresh_within: %" PRId64 "s\n"
                   "    yield: %s\n"
                   "    pause_timeout: %" PRId64 "s\n"
                   "    max_yields: %" PRId64 "\n"
                   "    stall: %" PRId64 "s\n"
                   "    settle: %" PRId64 "ms\n"
                   "    retry_after: %" PRId64 "s\n"
                   "    overlap: %s\n"
                   "    catch_up: %s\n"
                   "    source: { url: \"http://127.0.0.1:1/%s\"%s }\n"
                   "    key: [id]\n"
                   "    data: /%s\n",
                   every_s, sim_between(0, every_s / 60 - 1) * 60, sim_between(1, 5), every_s * 3 / 2,
                   one_of(yields, 3), sim_between(5, 60), sim_between(0, 3), sim_between(20, 60),
                   sim_between(0, 1000), sim_between(5, 60), one_of(overlaps, 2), one_of(catch_ups, 2),
                   setup_jobs[job], sim_chance(500000) ? ", page: { parameter: page, size: 100 }" : "",
                   setup_jobs[job]);
}

// Most worlds say little: in some, all is told every few seconds.
static void draw_broker(struct setup *self)
{
    const int64_t beat_s = sim_chance(60000) ? sim_between(1, 4) : sim_between(8, 30);
    // Tables so small that they are full at times, and no larger than is needed: a core begins often.
    (void)snprintf(self->broker_text, sizeof self->broker_text,
                   "  requests: ipc:///r\n  events: ipc:///e\n  data: /b\n"
                   "  beat: %" PRId64 "s\n  session_ttl: %" PRId64 "s\n"
                   "  max_jobs: 16\n  max_sessions: 64\n  max_waiters: %" PRId64 "\n  max_calls: %" PRId64
                   "\n",
                   beat_s, sim_between(beat_s > 3 ? 4 * beat_s : 15, 6 * beat_s + 40), sim_between(8, 64),
                   sim_between(4, 64));
}

void setup_draw(struct setup *self)
{
    draw_broker(self);
    draw_resource(self);
    for (size_t i = 0; i < SETUP_JOBS_MAX; i++) {
        draw_job(self, i);
        self->with_job[i] = i == 0 || sim_chance(600000);
    }
    (void)snprintf(self->orders_text, sizeof self->orders_text,
                   "  url: http://127.0.0.1:1/orders\n  timeout: %" PRId64 "s\n  honours_keys: %s\n"
                   "  visibility_lag: %" PRId64 "s\n  data: /order\n",
                   sim_between(2, 60), sim_chance(600000) ? "true" : "false", sim_between(0, 30));
}

void setup_change(struct setup *self)
{
    if (sim_chance(700000))
        draw_resource(self);
    for (size_t i = 0; i < SETUP_JOBS_MAX; i++) {
        if (sim_chance(200000))
            draw_job(self, i);
        if (i > 0 && sim_chance(200000))
            self->with_job[i] = !self->with_job[i];
    }
}

struct config *setup_config(const struct setup *self)
{
    struct config *config = NULL;
    struct fault fault = {.err = ERR_OK};
    struct buffer text;
    buffer_init(&text, 64 * 1024);
    enum err err = buffer_print(&text, "broker:\n%sresources:\n  erp:\n%sorders:\n%sjobs:\n",
                                self->broker_text, self->resource_text, self->orders_text);
    for (size_t i = 0; err == ERR_OK && i < SETUP_JOBS_MAX; i++) {
        if (self->with_job[i])
            err = buffer_print(&text, "  %s:\n%s", setup_jobs[i], self->job_texts[i]);
    }
    assert(err == ERR_OK);
    err = config_parse(text.data, text.size, "world.yaml", 1, NULL, NULL, &config, &fault);
    if (err != ERR_OK) {
        fprintf(stderr, "%s\n%.*s", fault.text, (int)text.size, text.data);
        assert(err == ERR_OK);
    }
    buffer_free(&text);
    return config;
}
