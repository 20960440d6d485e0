// What the parts of the session share among themselves; nobody else includes it.
#ifndef SYNCBUS_SESSION_PARTS_H
#define SYNCBUS_SESSION_PARTS_H

#include "proto/base/random.h"
#include "proto/session.h"
#include "proto/wire.h"

enum {
    SESSION_WISHES_MAX = 256,  // wishes and leases at once
    SESSION_ASKS_MAX = 1024,   // unanswered asks at once
    SESSION_RUNS_MAX = 256,    // runs under way
    SESSION_TOPICS_MAX = 4096, // topics whose numbers are followed
    SESSION_RENEWS_MAX = 4,    // unanswered renewals that are remembered of a lease
    SESSION_BEAT_MS = 1000,    // the beat until the broker has told it
};

enum session_state { SESSION_AWAY, SESSION_GREETING, SESSION_JOINED };

// A notice with what it points to.
struct session_news {
    struct session_news *next;        // later one
    struct syncbus_notice notice;     // what the program gets
    Sb__Reply *reply;                 // owned, or NULL
    struct syncbus_blocker *blockers; // owned, or NULL
    char *text;                       // owned, or NULL
    void *body;                       // owned, or NULL
};

// A frame to send.
struct session_frame {
    struct session_frame *next; // later one
    size_t size;                // of `data`
    uint8_t data[];             // the encoded Request
};

// One request that waits for its answer.
struct session_ask {
    struct session_ask *next; // asked later: numbers ascend
    uint64_t id;              // the request's, the same at each repeat
    Sb__Request *request;     // owned
    struct session_news
        *news;         // owned: of its end, taken beforehand, so that it is told even when memory has ended
    int64_t end_ms;    // when the program is told that no answer came; INT64_MAX: never
    int64_t repeat_ms; // when it is sent (again)
    int64_t repeat_every_ms; // how long an answer may take
};

enum session_wish_state {
    SESSION_WISH_FREE,    // the place is not in use
    SESSION_WISH_WAITING, // asks for its lease
    SESSION_WISH_HELD,    // has it
    SESSION_WISH_ENDING,  // gives up or gives back, until the broker has heard of it
};

// A renewal under way.
struct session_renew {
    uint64_t id;     // of its request; 0: none
    int64_t sent_ms; // the lease's new life counts from here
};

// A wish for a lease, and the lease that it got.
struct session_wish {
    enum session_wish_state state;
    uint64_t claim;         // by which the program knows it
    uint64_t wire_claim;    // by which the broker knows it: another one after a grant that came too late
    char *resource;         // owned
    char *job;              // owned, "" for a priority operation
    char *reason;           // owned
    enum syncbus_mode mode; // shared or exclusive
    uint64_t run;           // whose turn it is
    uint32_t attempt;       // of the run
    uint32_t wait_ms;       // 0: for ever
    uint32_t settle_ms;     // as wished
    int64_t end_ms;         // WAITING: when the wish is over; HELD: when the lease is; ENDING: when to forget
    uint64_t ticket;        // place in the queue, 0 until told
    bool told;              // WAITING: the first answer came, so polls may be held
    uint64_t asked_id;      // WAITING: the Acquire under way; ENDING: the Release or Withdraw
    int64_t first_ms;       // WAITING: first sending since the last answer; 0: none
    int64_t next_ms;        // when the next Acquire, Renew, Release or Withdraw goes out
    uint64_t token;         // HELD, ENDING: of the lease; ENDING with 0: a withdrawal
    uint32_t ttl_ms;        // HELD: the lease's life
    struct session_renew renews[SESSION_RENEWS_MAX]; // HELD: under way
    uint64_t pause;            // HELD: the last pause for which the program was asked to yield
    bool yielded;              // ENDING: as told by the program
    uint64_t done;             // progress
    uint64_t total;            // 0: not known
    struct session_news *last; // owned: of its end, as in session_ask; NULL once it was told
};

// A run under way here.
struct session_run {
    char *job;        // owned
    uint64_t run;     // its number
    uint32_t attempt; // of it
};

// How far a topic was followed.
struct session_topic {
    char *name;     // owned
    uint64_t seq;   // of its last event that came, or that a beat or a state told of
    uint64_t heard; // of its last event that came
};

struct session {
    char *name;                   // owned, for people
    char *version;                // owned
    char **jobs;                  // owned, ended by NULL
    char **serves;                // owned, ended by NULL
    char **wanted;                // owned: topics that the program wants as publications
    char **topics;                // owned: all prefixes to subscribe to; NULL: no publications
    bool anonymous;               // no session, one-shots only
    uint64_t instance;            // lasting identity
    uint64_t process;             // this life
    uint64_t host;                // where
    struct random random;         // for claims, numbers and jitter
    int64_t now_ms;               // of the last input
    enum session_state state;     // of the registration
    uint64_t epoch;               // greatest seen in a Welcome, or in anything when anonymous; 0: none
    uint64_t number;              // of the session; 0: none
    uint64_t next_id;             // of the next request
    uint64_t hello_id;            // of the last Hello: later requests have greater numbers
    int64_t next_ms;              // AWAY: when to say Hello; GREETING: when to give it up; JOINED: next ping
    int64_t ping_ms;              // between pings
    unsigned pings;               // unanswered in a row
    uint32_t beat_ms;             // between beats
    bool connect;                 // the sockets must be opened anew
    bool was_joined;              // the program was told so and has not heard otherwise
    bool was_away;                // the program was told so and has not heard otherwise
    uint64_t event_epoch;         // greatest seen in a publication or a state: the topics' counts are of it
    bool from_start;              // this client was there when that epoch began: all its events are for it
    int64_t beat_end_ms;          // when so many beats are missing that state is asked for
    struct session_topic *seqs;   // owned, topics followed
    size_t seq_count;             // of them
    size_t seq_capacity;          // places taken
    struct session_wish *wishes;  // owned, grows up to its limit
    size_t wish_count;            // places in use or free among them
    struct session_run *runs;     // owned
    size_t run_count;             // of them
    struct session_ask *asks;     // owned list, oldest first
    size_t ask_count;             // of them
    struct session_frame *frames; // owned list to send, first first
    struct session_frame **frames_tail; // its end
    struct session_news *news;          // owned list of notices, first first
    struct session_news **news_tail;    // its end
    struct session_news *shown;         // owned: the notice that the program looks at
};

// session_queue.c: what goes out.
struct session_news *session_news_new(void);
void session_tell_news(struct session *self, struct session_news *news, enum syncbus_notice_kind kind);
struct session_news *session_tell(struct session *self, enum syncbus_notice_kind kind);
void session_tell_text(struct session_news *news, const char *text);
bool session_tell_body(struct session_news *news, const void *data, size_t size);
void session_tell_blockers(struct session_news *news, size_t count, Sb__Blocker *const *blockers);
void session_send(struct session *self, Sb__Request *request, uint64_t id);
void session_drop_frames(struct session *self);
void session_free_news(struct session_news *news);
void session_drop_news(struct session *self);

// session.c: the registration.
void session_begin(struct session *self, int64_t now_ms);
bool session_fits(const char *text, size_t size_max); // whether the broker takes it as a name or a reason
uint64_t session_next_id(struct session *self);
void session_greet_again(struct session *self);
void session_connect_again(struct session *self, const char *why);

// session_lease.c: wishes and leases.
void session_lease_hello(struct session *self, Sb__Hello *hello, Sb__Renew *renews, Sb__Renew **places);
void session_lease_joined(struct session *self);
bool session_lease_reply(struct session *self, Sb__Reply **reply_p);
void session_lease_paused(struct session *self, const char *resource, uint64_t pause);
void session_lease_ends(struct session *self);
void session_lease_time(struct session *self);
int64_t session_lease_deadline(const struct session *self);
void session_lease_free(struct session *self);

// session_ask.c: asks.
void session_ask_joined(struct session *self);
bool session_ask_reply(struct session *self, const Sb__Reply *reply, const void *data, size_t size);
void session_ask_time(struct session *self);
int64_t session_ask_deadline(const struct session *self);
void session_ask_free(struct session *self);

// session_state.c: publications, beats and snapshots.
bool session_state_epoch(struct session *self, uint64_t epoch);
void session_state_joined(struct session *self, const Sb__State *state);
void session_state_apply(struct session *self, const Sb__State *state);
void session_state_want(struct session *self);
void session_state_time(struct session *self);
int64_t session_state_deadline(const struct session *self);
void session_state_free(struct session *self);

#endif
