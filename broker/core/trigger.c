// Runs that were asked for: by a person, by a webhook, or by a slot that came while another run was under
// way. They wait in job.further, one for each job: whatever else is asked for meanwhile merges with it.
#include "broker/core/parts.h"

static void reply_triggered(struct core *self, uint64_t peer, uint64_t request, uint64_t run, bool merged)
{
    Sb__Triggered *triggered = arena_take(self, sizeof *triggered);
    sb__triggered__init(triggered);
    triggered->run = run;
    triggered->merged = merged;
    Sb__Reply *reply = reply_add(self, peer, request, SB__CODE__CODE_OK, NULL);
    reply->body_case = SB__REPLY__BODY_TRIGGERED;
    reply->triggered = triggered;
    reply_durable(self); // recorded before it is acknowledged
}

// The run with which one that is asked for now merges: due or queued and nothing fetched yet, or the further
// one.
static struct run *merging_run(struct job *job)
{
    struct run *run = &job->current;
    if (run->number != 0 && run->retry_boot == 0 && run->began_boot == 0)
        return run;
    return job->further.number != 0 ? &job->further : NULL;
}

// Puts a run behind the one under way, or where it waits for more to merge. False while no number is stored.
static bool further_add(struct core *self, struct job *job, Sb__Cause cause, const char *detail)
{
    const uint64_t number = number_next(&self->runs);
    if (number == 0)
        return false;
    job->further = (struct run){.number = number,
                                .cause = cause,
                                .attempt = 1,
                                .due_ms = self->wall_ms,
                                .stage = SB__STAGE__STAGE_DUE};
    text_copy(job->further.detail, sizeof job->further.detail, detail);
    run_store(self, job, &job->further);
    return true;
}

bool further_take_slot(struct core *self, struct job *job, int64_t slot_ms)
{
    if (job->further.slot_ms != 0)
        return false;
    if (job->further.number == 0) {
        const bool added = further_add(self, job, SB__CAUSE__CAUSE_SCHEDULE, "");
        assert(added); // no job is looked at while no number is left
        (void)added;
    }
    job->further.slot_ms = slot_ms;
    job->further.was_queued = true;
    job->further.quiet_boot = 0;
    run_store(self, job, &job->further);
    return true;
}

void further_drop(struct core *self, struct job *job, const char *why)
{
    struct run *run = &job->further;
    if (run->number == 0)
        return;
    run->stage = SB__STAGE__STAGE_MISSED;
    run->ended_ms = self->wall_ms;
    text_copy(run->why, sizeof run->why, why);
    job->missed += run->slot_ms != 0 ? 1 : 0;
    if (run->slot_ms != 0)
        ledger_write(self, job->name, run->slot_ms, 1, SB__STAGE__STAGE_MISSED, run->number, 0, why);
    run_store(self, job, run);
    *run = (struct run){0};
}

// ---------------------------------------------------------------- triggers

// Makes, or finds, the run that was asked for; its number, or 0 while none is stored. A webhook waits until
// no more of the same came for a while; a person does not.
static uint64_t ask_for_run(struct core *self, struct job *job, Sb__Cause cause, const char *detail,
                            bool *ret_merged)
{
    struct run *run = merging_run(job);
    const bool waits = cause == SB__CAUSE__CAUSE_WEBHOOK;
    *ret_merged = run != NULL;
    if (run == NULL && !further_add(self, job, cause, detail))
        return 0;
    if (run == &job->current)
        return run->number;
    run = &job->further;
    if (!waits) {
        run->quiet_boot = 0;
    } else if (!*ret_merged) {
        run->quiet_boot = self->boot_ms + QUIET_MS;
        run->quiet_end = self->boot_ms + QUIET_END_MS;
    } else if (run->quiet_boot != 0) {
        const int64_t longer = self->boot_ms + QUIET_MS;
        run->quiet_boot = longer < run->quiet_end ? longer : run->quiet_end;
    }
    const uint64_t number = run->number;
    if (!run_is_open(job) && run->quiet_boot <= self->boot_ms)
        further_begin(self, job);
    job_touch(self, job);
    return number;
}

// The first reason why this trigger is refused, with its code; NULL if there is none.
static const char *refuse_trigger(struct core *self, const Sb__Trigger *trigger, const struct job *job,
                                  Sb__Code *ret_code)
{
    *ret_code = SB__CODE__CODE_NOT_FOUND;
    if (job == NULL)
        return arena_print(self, "no job is called \"%s\"", trigger->job);
    *ret_code = SB__CODE__CODE_INVALID;
    if (trigger->cause != SB__CAUSE__CAUSE_MANUAL && trigger->cause != SB__CAUSE__CAUSE_UNSPECIFIED &&
        trigger->cause != SB__CAUSE__CAUSE_WEBHOOK)
        return "a trigger is manual or a webhook's";
    const struct hold *hold = hold_of_job(self, job);
    *ret_code = SB__CODE__CODE_ON_HOLD;
    return hold != NULL ? hold_text(self, hold) : NULL;
}

void run_trigger(struct core *self, uint64_t peer, struct session *session, const Sb__Request *request)
{
    const Sb__Trigger *trigger = request->trigger;
    struct job *job = job_find_configured(self, trigger->job);
    Sb__Code code = SB__CODE__CODE_OK;
    for (size_t i = 0; session != NULL && i < SESSION_REPLIES; i++) {
        const struct kept_reply *kept = &session->kept[i];
        if (kept->request == request->id && kept->run != 0) { // I8
            reply_triggered(self, peer, request->id, kept->run, kept->merged);
            return;
        }
    }
    const char *why = refuse_trigger(self, trigger, job, &code);
    if (why != NULL) {
        (void)reply_add(self, peer, request->id, code, why);
        return;
    }
    bool merged = false;
    const Sb__Cause cause =
        trigger->cause == SB__CAUSE__CAUSE_WEBHOOK ? SB__CAUSE__CAUSE_WEBHOOK : SB__CAUSE__CAUSE_MANUAL;
    const uint64_t number = ask_for_run(self, job, cause, trigger->detail, &merged);
    if (number == 0) {
        (void)reply_add(self, peer, request->id, SB__CODE__CODE_BUSY,
                        "no run can be numbered yet; ask again");
        return;
    }
    if (session != NULL)
        session->kept[session->kept_next++ % SESSION_REPLIES] = (struct kept_reply){
            .request = request->id, .code = SB__CODE__CODE_OK, .run = number, .merged = merged};
    reply_triggered(self, peer, request->id, number, merged);
}
