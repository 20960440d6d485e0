/* libsyncbus: join the bus from C.
 *
 * One client is one session with the broker. It connects out, registers, keeps itself alive, reconnects,
 * repairs missed publications, and renews every lease it holds. The program calls syncbus_next (or
 * syncbus_wait) often: everything happens there, and what the program must know comes back as notices, one at
 * a time.
 *
 * Threads: a client belongs to one thread. Ownership: text and bytes in a notice are valid until the next
 * call on the client. Times: durations in ms; `_ms` deadlines on CLOCK_BOOTTIME; slots in Unix ms, UTC.
 * Functions returning int give 0 or a negative errno value unless said otherwise.
 *
 * A lease that syncbus_left_ms reports as 0 is over: whatever it protects must stop at once. The client
 * counts from the first sending of the request, less a margin, so its view ends before the broker's. */
#ifndef SYNCBUS_H
#define SYNCBUS_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SYNCBUS_EXPORT __attribute__((visibility("default")))
#else
#define SYNCBUS_EXPORT
#endif

typedef struct syncbus_client syncbus_client_t;

/* Codes of a reply, as in syncbus.proto. */
enum syncbus_code {
    SYNCBUS_INVALID = 1,
    SYNCBUS_NOT_FOUND = 2,
    SYNCBUS_FORBIDDEN = 3,
    SYNCBUS_BUSY = 4,
    SYNCBUS_TIMEOUT = 5,
    SYNCBUS_PAUSE_TIMEOUT = 6,
    SYNCBUS_LEASE_LOST = 7,
    SYNCBUS_CONFLICT = 8,
    SYNCBUS_ON_HOLD = 9,
    SYNCBUS_NOT_LEADER = 10,
    SYNCBUS_NO_SERVICE = 11,
    SYNCBUS_NO_SESSION = 13,
    SYNCBUS_INTERNAL = 14,
    SYNCBUS_OK = 15
};

enum syncbus_mode { SYNCBUS_SHARED = 1, SYNCBUS_EXCLUSIVE = 2 };

/* How to join. Everything is copied. Names and reasons, here and below, are UTF-8 and have no control
 * characters. */
struct syncbus_options {
    const char *requests; /* endpoint of the broker's ROUTER */
    const char
        *events; /* endpoint of its publications; NULL: none are received, and state comes by snapshots */
    const char *name;          /* for people: "sync-prices" */
    const char *version;       /* of the program; may be NULL */
    uint64_t instance;         /* lasting identity; 0: a random one for this client's life */
    const char *const *jobs;   /* jobs that it can run; ends with NULL; may be NULL */
    const char *const *serves; /* calls that it answers, by service name; ends with NULL; may be NULL */
    const char *const *topics; /* further topics to receive as SYNCBUS_PUBLICATION, by prefix, but no json.*;
                                  ends with NULL */
    bool anonymous;            /* no session: only one-shot asks (queries, triggers, calls) */
};

/* What one wish for a lease says. Everything is copied. */
struct syncbus_wish {
    const char *resource;
    enum syncbus_mode mode;
    const char *reason; /* for people; may be NULL */
    uint32_t wait_ms;   /* give up after, in all; 0: never */
    uint32_t settle_ms; /* how long its work may go on in the ERP after it was cut */
    const char *job;    /* with SYNCBUS_SHARED: the job, run and attempt whose turn this is */
    uint64_t run;
    uint32_t attempt;
};

/* One of those that must end before a waiter can go on. */
struct syncbus_blocker {
    const char *job; /* "" for a priority operation */
    const char *holder;
    uint64_t run;
    int64_t held_ms;
    uint64_t done, total; /* progress; total 0: not known */
    int64_t eta_ms;       /* until it is expected to end; -1: not known */
};

enum syncbus_notice_kind {
    SYNCBUS_CONNECTED = 1, /* a session stands: at first and after each reconnect */
    SYNCBUS_DISCONNECTED,  /* the broker does not answer; the client goes on trying */
    SYNCBUS_TICK,          /* one of `jobs` is due; may come again for the same run and attempt */
    SYNCBUS_GRANTED,       /* the wish `claim` has its lease */
    SYNCBUS_WAITING,       /* the wish waits: position, eta, blockers; comes again when it is told anew */
    SYNCBUS_REFUSED,       /* the wish failed: code, text; blockers with SYNCBUS_PAUSE_TIMEOUT */
    SYNCBUS_YIELD, /* a priority operation waits: give the lease back as soon as the policy allows; once a
                      pause */
    SYNCBUS_LOST,  /* the lease is over (refused, or not renewed in time): stop at once */
    SYNCBUS_CALL,  /* a call to answer with syncbus_answer */
    SYNCBUS_REPLY, /* the answer to `ask`; code, text, body (the Reply message, encoded; empty on a time-out)
                    */
    SYNCBUS_PUBLICATION, /* a publication of `topics`: topic, body (the Event message, encoded) */
    SYNCBUS_GAP          /* publications of `topic` were missed; `missed` says how many if known */
};

/* What happened; which fields are set depends on the kind, the others are 0 or "". */
struct syncbus_notice {
    enum syncbus_notice_kind kind;
    uint64_t claim;         /* GRANTED, WAITING, REFUSED, YIELD, LOST */
    uint64_t token;         /* GRANTED, YIELD, LOST */
    uint64_t pause;         /* YIELD */
    enum syncbus_code code; /* REFUSED, REPLY */
    const char *text;       /* REFUSED, REPLY, LOST, DISCONNECTED: one line for people */
    uint32_t position;      /* WAITING, from 1 */
    int64_t eta_ms;         /* WAITING; -1: not known */
    uint32_t waited_ms;     /* GRANTED */
    const struct syncbus_blocker *blockers;
    size_t blocker_count;
    const char *job; /* TICK */
    uint64_t run;
    uint32_t attempt;
    int64_t slot_ms; /* 0: a run without a slot (trigger) */
    uint64_t ask;    /* REPLY */
    uint64_t call;   /* CALL */
    const char *method;
    const char *from;
    uint32_t timeout_ms;
    const char *topic; /* PUBLICATION, GAP */
    uint64_t missed;
    const void *body; /* CALL, REPLY, PUBLICATION */
    size_t body_size;
};

/* A new client, connecting in the background. NULL with errno set: EINVAL (options), ENOMEM, EMFILE. */
SYNCBUS_EXPORT syncbus_client_t *syncbus_new(const struct syncbus_options *options);

/* Says goodbye (a session's end ends no lease: release first), closes, frees, and sets the pointer to NULL.
 */
SYNCBUS_EXPORT void syncbus_destroy(syncbus_client_t **self_p);

/* The next notice, without blocking: 1 if there is one, 0 if not. Does all due I/O. */
SYNCBUS_EXPORT int syncbus_next(syncbus_client_t *self, struct syncbus_notice *ret);

/* The same, but waits up to `timeout_ms` (-1: for ever) for one. 0 on time-out, -EINTR when a signal came. */
SYNCBUS_EXPORT int syncbus_wait(syncbus_client_t *self, int64_t timeout_ms, struct syncbus_notice *ret);

/* For an event loop of one's own: descriptors to poll for POLLIN (returns how many, at most `max`), and the
 * time by which syncbus_next must be called even if none is ready (0: now). After any wake-up, whatever the
 * descriptors say, call syncbus_next until it gives 0; only then poll again. */
SYNCBUS_EXPORT size_t syncbus_fds(syncbus_client_t *self, struct pollfd *ret, size_t max);
SYNCBUS_EXPORT int64_t syncbus_deadline_ms(const syncbus_client_t *self);

/* Asks for a lease; the answer comes as GRANTED or REFUSED, with WAITING before. Returns the wish's claim
 * (never 0), or 0 with errno EINVAL or ENOBUFS. Renewed by itself until syncbus_release or LOST. */
SYNCBUS_EXPORT uint64_t syncbus_acquire(syncbus_client_t *self, const struct syncbus_wish *wish);

/* Gives up a wish that waits, or gives back what it got meanwhile. No further notice of this claim comes. */
SYNCBUS_EXPORT void syncbus_withdraw(syncbus_client_t *self, uint64_t claim);

/* Gives a lease back; `yielded` when the run will ask again. The claim is over; one that is not known is
 * ignored. */
SYNCBUS_EXPORT void syncbus_release(syncbus_client_t *self, uint64_t claim, bool yielded);

/* What the next renewals tell of the work's progress (bytes, rows, pages); total 0 if not known. */
SYNCBUS_EXPORT void syncbus_progress(syncbus_client_t *self, uint64_t claim, uint64_t done, uint64_t total);

/* ms of the lease's life that are left by this client's own clock; 0 when it is over or not held. */
SYNCBUS_EXPORT int64_t syncbus_left_ms(const syncbus_client_t *self, uint64_t claim);

/* ms of its whole life from a renewal on, as the broker told last, for a reload may change it; 0 when it is
 * not held. */
SYNCBUS_EXPORT int64_t syncbus_ttl_ms(const syncbus_client_t *self, uint64_t claim);

/* The session's number and the broker's epoch; 0 while there is none. */
SYNCBUS_EXPORT uint64_t syncbus_session(const syncbus_client_t *self);
SYNCBUS_EXPORT uint64_t syncbus_epoch(const syncbus_client_t *self);

/* Sends any request of syncbus.proto (encoded; id and session are set here) and gives the answer as REPLY
 * under the number returned (0: errno EINVAL, ENOBUFS). It is sent again after a reconnect until answered or
 * `timeout_ms` is over (0: never over; then REPLY comes with SYNCBUS_TIMEOUT). */
SYNCBUS_EXPORT uint64_t syncbus_ask(syncbus_client_t *self, const void *request, size_t size,
                                    uint32_t timeout_ms);

/* Calls a method of a service; the answer comes as REPLY whose body is the encoded Reply with `answered`. */
SYNCBUS_EXPORT uint64_t syncbus_call(syncbus_client_t *self, const char *service, const char *method,
                                     const void *body, size_t size, uint32_t timeout_ms);

/* Answers a CALL. */
SYNCBUS_EXPORT int syncbus_answer(syncbus_client_t *self, uint64_t call, enum syncbus_code code,
                                  const char *text, const void *body, size_t size);

/* Runs of `jobs` that this program has under way, told to the broker in each Hello: one that is missing there
 * counts as lost. Add when a run is taken, remove when its result was acknowledged. */
SYNCBUS_EXPORT int syncbus_run_begin(syncbus_client_t *self, const char *job, uint64_t run, uint32_t attempt);
SYNCBUS_EXPORT void syncbus_run_end(syncbus_client_t *self, uint64_t run);

/* One lease, the simple way: waits until granted, refused or `timeout_ms` is over (0: never). SYNCBUS_OK with
 * the claim and the token, else the code with a line in syncbus_last_text. Notices of other kinds that come
 * meanwhile are dropped. */
SYNCBUS_EXPORT enum syncbus_code syncbus_lease(syncbus_client_t *self, const char *resource,
                                               const char *reason, uint32_t timeout_ms, uint64_t *ret_claim,
                                               uint64_t *ret_token);
SYNCBUS_EXPORT const char *syncbus_last_text(const syncbus_client_t *self);

#ifdef __cplusplus
}
#endif

#endif
