// Tells the broker of what the store holds: results until they are acknowledged, changes once they are
// committed, and the feed's head after each new session. All of it comes from the store, so that a crash
// between a commit and its news only delays them.
#ifndef SYNCBUS_SERVICES_SYNC_NEWS_H
#define SYNCBUS_SERVICES_SYNC_NEWS_H

#include "services/service.h"
#include "services/sync/delta.h"

struct news;

// News of `entity`; everything is kept by the caller. Runs whose results wait in the store are named to the
// broker from the first Hello on. ERR_NO_MEMORY, or the store's errors.
SB_MUST_CHECK
enum err news_new(const char *entity, struct delta *store, struct service *service, struct news **ret,
                  struct fault *fault);

// Frees it and sets the pointer to NULL; NULL is fine.
void news_destroy(struct news **self_p);

// A session stands: the head is due, and what waits.
void news_connected(struct news *self);

// The store has something new.
void news_look(struct news *self);

// Deletions were released: what is still withheld is due, with the feed's head.
void news_released(struct news *self);

// A REPLY: to one of ours, or somebody else's.
void news_reply(struct news *self, const struct syncbus_notice *notice);

// Sends what is due. An error of the store: the process must stop.
SB_MUST_CHECK
enum err news_time(struct news *self, int64_t now_ms, struct fault *fault);

// BOOTTIME ms of the next news_time; INT64_MAX: none.
int64_t news_deadline(const struct news *self);

#endif
