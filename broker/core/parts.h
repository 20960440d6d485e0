// What the parts of the core ask of each other. Each part's own file says how.
#ifndef SYNCBUS_BROKER_CORE_PARTS_H
#define SYNCBUS_BROKER_CORE_PARTS_H

#include "broker/core/state.h"

// ---------------------------------------------------------------- core.c: the step

// What a part did: not all of what was due for want of room, so that the next step goes on at once.
void step_did(struct core *self, bool all);

// ---------------------------------------------------------------- update.c: what a step gives

// Zeroed memory until the next step.
void *arena_take(struct core *self, size_t size);
char *arena_text(struct core *self, const char *text);
char *arena_print(struct core *self, const char *format, ...) SB_PRINTF(2, 3);
ProtobufCBinaryData histogram_bytes(struct core *self, const struct histogram *histogram);

// Copies a text and cuts it, on a whole character, at size - 1 bytes.
void text_copy(char *ret, size_t size, const char *text);

// Whether one more job's worth of publications and records fits.
bool update_has_room(const struct core *self);

// Adds a reply with this id and code; gives the message for its body. `text` may be NULL.
Sb__Reply *reply_add(struct core *self, uint64_t peer, uint64_t request, Sb__Code code, const char *text);
// Makes the last reply wait for this step's records.
void reply_durable(struct core *self);

// A topic that nothing was published on yet; the words are its owner's and must stay.
void topic_init(struct topic *topic, const char *kind, const char *name);
const char *topic_text(struct core *self, const struct topic *topic);
// Adds a publication and counts it; gives the event for its body. All topics of a kind are durable alike.
Sb__Event *publish(struct core *self, struct topic *topic, bool durable);

// Adds a record; `value` NULL deletes.
void record_add(struct core *self, enum core_table table, const void *key, size_t key_size,
                const ProtobufCMessage *value);
size_t key_number(uint8_t key[CORE_KEY_MAX], uint64_t number);
size_t key_slot(uint8_t key[CORE_KEY_MAX], const char *name, int64_t slot_ms);

// ---------------------------------------------------------------- numbers.c: tokens, runs, tickets, META

// The next number, or 0 while none is stored durably.
uint64_t number_next(struct numbers *numbers);
bool number_is_left(const struct numbers *numbers);
// Reserves the next blocks if one runs low, and takes over what has become durable.
void numbers_keep(struct core *self);
void meta_store(struct core *self, bool clean);
int64_t resource_life_ms(const struct core *self, const struct resource *resource);

// ---------------------------------------------------------------- jobs.c: the table and its times

// By name, also one that is being removed; or only one that is configured. NULL: there is none.
struct job *job_find(const struct core *self, const char *name);
struct job *job_find_configured(const struct core *self, const char *name);
uint32_t job_index(const struct core *self, const struct job *job);
struct figures *job_figures(const struct core *self, const struct job *job);
struct job *job_add(struct core *self, const struct core_job_config *config);
void job_configure(struct job *job, const struct core_job_config *config);
// Takes a job out of the config: what is at work goes on to its end.
void job_retire(struct core *self, struct job *job);
// Something of the job changed: its times are looked at anew before the step ends.
void job_touch(struct core *self, struct job *job);
void jobs_look(struct core *self);
int64_t job_wall_deadline(const struct core *self, const struct job *job);
int64_t job_boot_deadline(const struct core *self, const struct job *job);
// Unix ms from which its data are older than they should be.
int64_t job_stale_ms(const struct job *job);
// Takes what time brought to jobs; true if nothing is left over for want of room.
bool jobs_advance(struct core *self);
int64_t jobs_deadline(const struct core *self);

// ---------------------------------------------------------------- schedule.c: slots

int64_t slot_after(const struct core_job_config *config, int64_t time_ms);
// A job that had this last slot leaves the config for good; true if it is the latest of all that did, to be
// stored.
bool slots_leave(struct core *self, int64_t last_slot_ms);
// Places a job on its grid, after its last slot or from now on; or on a grid that was changed.
void schedule_place(struct core *self, struct job *job);
void schedule_replace(struct core *self, struct job *job);
// The journal knows where the job stands on its grid, or need not: it leaves the config.
void schedule_settle(struct core *self, struct job *job);
// What the jobs' start makes due; true if nothing is left over for want of room.
bool schedule_begin(struct core *self);
void schedule_advance(struct core *self, struct job *job);
int64_t schedule_slot_deadline(const struct core *self, const struct job *job);
int64_t schedule_boot_deadline(const struct core *self, const struct job *job);
void ledger_write(struct core *self, const char *job, int64_t slot_ms, uint64_t slots, Sb__Stage outcome,
                  uint64_t run, int64_t late_ms, const char *why);
// A job's place in the schedule with its counts; and what it measured, which is larger and changes less
// often.
void job_store(struct core *self, struct job *job);
void figures_store(struct core *self, const struct job *job);

// ---------------------------------------------------------------- run.c, trigger.c: a run's life

// True when the job has a run that has not ended, whatever its stage; or one that a service works on.
bool run_is_open(const struct job *job);
bool run_is_at_work(const struct job *job);
// How a run ends that nobody goes on with.
Sb__Stage run_outcome_so_far(const struct run *run);
// Makes a run due now; a number is left for it.
void run_begin(struct core *self, struct job *job, int64_t slot_ms, Sb__Cause cause, const char *detail);
void run_publish_tick(struct core *self, struct job *job);
void run_stage(struct core *self, struct job *job, Sb__Stage stage);

// Nobody asks for the turn of its open run any more: its service may have dropped it, and its tick is
// repeated with each beat until somebody asks again.
void run_tell_again(struct core *self, struct job *job);
// Ends the open run with an outcome that is final.
void run_end(struct core *self, struct job *job, Sb__Stage outcome, const Sb__Result *result,
             const char *why);
// Whether it has no slot of its own and nobody has taken it.
bool run_waits_for_slot(const struct job *job);
// Ends it if it had its time and nobody took it; true if it did.
bool run_end_untaken(struct core *self, struct job *job);
// An attempt failed or was lost: the next one after retry_after, or the end.
void run_attempt_failed(struct core *self, struct job *job, Sb__Stage outcome, const Sb__Result *result,
                        const char *why);
void run_store(struct core *self, struct job *job, const struct run *run);
// Takes what time brings: retries, runs whose service is gone, runs that were asked for.
void run_advance(struct core *self, struct job *job);
int64_t run_boot_deadline(const struct core *self, const struct job *job);
void run_report(struct core *self, uint64_t peer, const struct session *session, const Sb__Request *request);
void run_trigger(struct core *self, uint64_t peer, struct session *session, const Sb__Request *request);
// The further run becomes the open one, and due; one more slot waits for its turn as the further run, if none
// does yet; what was asked for is dropped.
void further_begin(struct core *self, struct job *job);
bool further_take_slot(struct core *self, struct job *job, int64_t slot_ms);
void further_drop(struct core *self, struct job *job, const char *why);

// ---------------------------------------------------------------- lease.c, renew.c: permissions

struct resource *resource_find(const struct core *self, const char *name);
void lease_acquire(struct core *self, uint64_t peer, const struct session *session,
                   const Sb__Request *request);
void lease_renew(struct core *self, uint64_t peer, const struct session *session, const Sb__Request *request);
void lease_release(struct core *self, uint64_t peer, const struct session *session,
                   const Sb__Request *request);
void lease_withdraw(struct core *self, uint64_t peer, const struct session *session,
                    const Sb__Request *request);
void lease_revoke(struct core *self, uint64_t peer, const Sb__Request *request);
void lease_refuse_other(struct core *self, uint64_t peer, const Sb__Request *request);
struct lease *lease_find(const struct core *self, uint64_t token);
struct lease *lease_by_claim(const struct core *self, uint64_t claim);
void lease_grant(struct core *self, size_t waiter);
// Takes the lease out of the table and tells of it.
void lease_end(struct core *self, size_t index, Sb__LeaseChange change);
// BOOTTIME until which renewals are accepted; and from which nobody need mind the lease any more.
int64_t lease_renewable_boot(const struct lease *lease);
int64_t lease_free_boot(const struct lease *lease);
// A full ttl from now on, for the process of this session.
void lease_extend(struct core *self, struct lease *lease, const struct session *session);
// It is not renewed any more, and a restart does not change that.
void lease_refuse(struct core *self, struct lease *lease, bool revoked);
// Whether it is not renewed any more: revoked, or held for too long.
bool lease_refuses(struct core *self, struct lease *lease);
void lease_store(struct core *self, struct lease *lease);
bool leases_advance(struct core *self);
int64_t leases_deadline(const struct core *self);
// The leases of the instance's earlier process end, but for those that the Hello reserves.
// Whether that instance holds any.
bool leases_of_instance(const struct core *self, uint64_t instance);
void leases_of_process_end(struct core *self, const Sb__Hello *hello);

// ---------------------------------------------------------------- queue.c: who waits

struct waiter *waiter_by_claim(const struct core *self, uint64_t claim);
void waiter_remove(struct core *self, size_t index);
// Drops the waiters of the open run, telling them why; and those of an instance's earlier process.
void waiters_of_run_end(struct core *self, const struct job *job, const char *why);
void waiters_of_process_end(struct core *self, uint64_t instance, uint64_t process);
// Every exclusive waiter of the resource is refused with this code, now or when it asks again.
void exclusive_waiters_end(struct core *self, uint32_t resource, Sb__Code verdict, const char *text);
void waiter_answer_verdict(struct core *self, uint64_t peer, uint64_t request, const struct waiter *waiter);
void waiter_answer_waiting(struct core *self, struct waiter *waiter);
// How long it may be silent before its place is lost.
int64_t waiter_silence_ms(const struct waiter *waiter);
bool waiters_advance(struct core *self);
int64_t waiters_deadline(const struct core *self);
// The first in line of a mode, or SIZE_MAX; for SHARED only those that may be granted now.
size_t queue_first(const struct core *self, uint32_t resource, Sb__Mode mode);
bool queue_goes_before(const struct core *self, const struct waiter *other, const struct waiter *waiter);
uint32_t queue_position(const struct core *self, const struct waiter *waiter);
size_t queue_count(const struct core *self, uint32_t resource, Sb__Mode mode);

// ---------------------------------------------------------------- pause.c, pauses.c: phases and their
// figures

// Grants, starts and ends pauses: whatever the resource's state now allows.
void resource_advance(struct core *self, uint32_t resource);
void publish_phase(struct core *self, struct resource *resource, bool resume);
// A pause of an earlier epoch whose exclusive lease is still there.
void pause_goes_on(struct core *self, struct resource *resource);
void pauses_advance(struct core *self);
int64_t pauses_deadline(const struct core *self);
// BOOTTIME at which a draining pause fails; INT64_MAX if no sync is in its way.
int64_t pause_limit(const struct core *self, const struct resource *resource);
size_t leases_of(const struct core *self, uint32_t resource, Sb__Mode mode);
// Whether the holder of a shared lease is asked to give it back now.
bool lease_should_yield(const struct core *self, const struct lease *lease);
// A pause was granted to a waiter, or failed: counted, and kept for the history, which is written with the
// next beat.
const struct pause *pause_count(struct core *self, struct resource *resource, const struct waiter *waiter,
                                Sb__LeaseChange change);
Sb__LeaseState *pause_view(struct core *self, const struct pause *pause);
void pauses_store(struct core *self);
void view_pauses(struct core *self, uint64_t peer, const Sb__Request *request);
void pauses_fill(struct core *self, Sb__Reply *reply, const char *resource,
                 const ProtobufCMessage *const *values, size_t count);

// ---------------------------------------------------------------- hold.c: maintenance stops

void hold_lay(struct core *self, uint64_t peer, const Sb__Request *request);
void hold_take_off(struct core *self, uint64_t peer, const Sb__Request *request);
// One that lies on the job or on its resource; NULL: there is none. And one that lies on the resource, or on
// its orders too: there is one.
const struct hold *hold_of_job(const struct core *self, const struct job *job);
const struct hold *hold_of_resource(const struct core *self, const struct resource *resource,
                                    bool for_orders);
const char *hold_text(struct core *self, const struct hold *hold);
// Ends those of a job that leaves the config; false if not all had room, or none is left.
bool holds_of_job_end(struct core *self, uint32_t job);
void holds_of_job_move(struct core *self, const struct job *job);
void hold_recover(struct core *self, const Sb__Hold *message);
bool holds_advance(struct core *self);
int64_t holds_deadline(const struct core *self);
Sb__Hold *view_hold(struct core *self, const struct hold *hold);

// ---------------------------------------------------------------- alert.c: what is wrong

// Tells that something is wrong, once until it is cleared; or that it is not any more, if it was.
void alert_raise(struct core *self, enum alert_kind kind, const char *subject, const char *text);
void alert_clear(struct core *self, enum alert_kind kind, const char *subject);
// As alert_raise; it is over by itself at this Unix ms (0: it is not), counted from the last time it came.
void alert_raise_until(struct core *self, enum alert_kind kind, const char *subject, const char *text,
                       int64_t until_ms);
bool alerts_advance(struct core *self);
// The wall clock was set: when they are over is looked at anew.
void alerts_look_again(struct core *self);
int64_t alerts_deadline(const struct core *self);
// The same by what its source says of how things stand: `text`, or NULL for nothing is wrong. Saying it again
// is not another time.
void alert_set(struct core *self, enum alert_kind kind, const char *subject, const char *text);
// All those of a job, or of a resource, that leaves the config.
void alerts_of_job_clear(struct core *self, struct job *job);
void alerts_of_resource_clear(struct core *self, const struct resource *resource);
// Clears those of orders in the page's range that it does not name; false if not all had room.
bool alerts_of_orders_clear(struct core *self, const Sb__NeedsPerson *page);
void alert_recover(struct core *self, const Sb__StoredAlert *stored);
const char *withheld_text(struct core *self, uint64_t count);
const char *alert_subject(const struct alert *alert);
// The second word of its topic.
const char *alert_word(enum alert_kind kind);
Sb__Alert *view_alert(struct core *self, const struct alert *alert);

// ---------------------------------------------------------------- registry.c, process.c, route.c: sessions

enum process_age {
    PROCESS_NEW,    // never seen, as far as is remembered
    PROCESS_LATEST, // nobody of its instance came after it
    PROCESS_PAST,   // somebody did: it is gone, and what still comes from it was said before that
};

enum process_age process_age(const struct core *self, uint64_t instance, uint64_t process);
void process_note(struct core *self, uint64_t instance, uint64_t process);

struct session *session_find(const struct core *self, uint64_t number);
struct session *session_of_instance(const struct core *self, uint64_t instance);
struct session *session_serving(const struct core *self, const char *service);
bool session_has_job(const struct core *self, const struct session *session, const struct job *job);
// Whether no other store answers for the job meanwhile: an operator can rebind it while its session lives.
bool session_owns_job(const struct core *self, const struct session *session, const struct job *job);
void session_hello(struct core *self, uint64_t peer, const Sb__Request *request);
void session_goodbye(struct core *self, uint64_t peer, struct session *session, const Sb__Request *request);
void session_end(struct core *self, struct session *session);
void sessions_expire(struct core *self);
void sessions_lose_peer(struct core *self, uint64_t peer);
struct owner *owner_find(const struct core *self, const char *name);
struct owner *owner_add(struct core *self, const char *name);
void owner_rebind(struct core *self, uint64_t peer, const Sb__Request *request);

// The second word of the topic that tells of orders with this status.
const char *order_topic(Sb__OrderStatus status);
void route_call(struct core *self, uint64_t peer, const Sb__Request *request);
void route_answer(struct core *self, uint64_t peer, struct session *session, const Sb__Request *request);
void route_publish(struct core *self, uint64_t peer, struct session *session, const Sb__Request *request);
// The calls that a service will not answer any more; those that its next session will.
void route_session_gone(struct core *self, uint64_t session);
void route_session_moved(struct core *self, uint64_t from, uint64_t to);
bool route_advance(struct core *self);
int64_t route_deadline(const struct core *self);

// ---------------------------------------------------------------- view.c: the state as messages

Sb__ResourceState *view_resource(struct core *self, const struct resource *resource);
Sb__RunState *view_run(struct core *self, const struct job *job, const struct run *run);
Sb__Quantiles *view_quantiles(struct core *self, const struct histogram *histogram);
// Those who hold the resource, at most BLOCKERS_TOLD.
void view_blockers(struct core *self, uint32_t resource, Sb__Blocker ***ret, size_t *ret_count);
int64_t view_eta(const struct core *self, const struct waiter *waiter);
bool resource_is_open(const struct core *self, const struct resource *resource);
Sb__State *view_welcome(struct core *self, const struct session *session);
void view_snapshot(struct core *self, uint64_t peer, const Sb__Request *request);

// ---------------------------------------------------------------- history.c: looks into the journal

struct core_read *read_add(struct core *self, uint64_t peer, const Sb__Request *request,
                           enum core_table table, uint32_t limit);
void read_range(struct core_read *read, const char *name, int64_t from, int64_t to);
void read_everything(struct core_read *read);
void view_runs(struct core *self, uint64_t peer, const Sb__Request *request);
void view_ledger(struct core *self, uint64_t peer, const Sb__Request *request);

// ---------------------------------------------------------------- beat.c

void beat_advance(struct core *self);

// ---------------------------------------------------------------- recover.c, reload.c: start, stop, change

void recover_start(struct core *self, const struct core_event *event);
void recover_stop(struct core *self);
struct resource *resource_add(struct core *self, const struct core_resource_config *config);
void reload_ask(struct core *self, uint64_t peer, const Sb__Request *request);
void reload_take(struct core *self, const struct core_event *event);
// Asks again for a config that came while slots of the one before were not taken yet.
void reload_advance(struct core *self);
// Longer ttls of a reload take effect; the longest life of a lease by the present config is kept in mind.
void terms_take_effect(struct core *self);
void life_keep(struct core *self);

#endif
