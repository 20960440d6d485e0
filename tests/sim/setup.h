// The worlds' configs: written as a file would be, from what chance draws, and read by the real reader.
#ifndef SYNCBUS_TESTS_SIM_SETUP_H
#define SYNCBUS_TESTS_SIM_SETUP_H

#include "proto/io/config.h"

enum { SETUP_JOBS_MAX = 6 };

// Names of the jobs that there may be; "order" is none of them.
extern const char *const setup_jobs[SETUP_JOBS_MAX];

// What chance has drawn for a world, and may change while it goes on.
struct setup {
    char resource_text[512];             // the resource's options
    char job_texts[SETUP_JOBS_MAX][512]; // each job's
    bool with_job[SETUP_JOBS_MAX];       // which of them there are now
    char broker_text[256];               // the broker's
    char orders_text[256];               // of the orders
};

// Draws one.
void setup_draw(struct setup *self);

// Draws some of it anew, as somebody does who mends a config: limits and times of the resource, and jobs that
// come, go or change.
void setup_change(struct setup *self);

// The config of that; never fails. Destroyed by the caller.
struct config *setup_config(const struct setup *self);

#endif
