// The broker's sockets: requests come in, replies and publications go out. The only file of the broker that
// knows zmq.
//
// One thread. Garbage costs its sender an answer or its connection and nobody else anything: frames are
// bounded, sends never wait, and an ipc socket is guarded by a lock file beside it, since a second bind would
// steal it.
#ifndef SYNCBUS_BROKER_NET_H
#define SYNCBUS_BROKER_NET_H

#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NET_FDS_MAX = 8 };

struct net;

struct net_options {
    const char *requests; // endpoint: ipc:// or tcp:// on loopback
    const char *events;   // endpoint
    uint64_t frame_max;   // bytes of a request's frame; a longer one costs its sender the connection
    size_t peers_max;     // connections that are remembered
};

// One request as it came; `data` is valid until the next call.
struct net_frame {
    uint64_t peer;    // who asked: for net_reply
    const void *data; // the request's bytes
    size_t size;      // of `data`
    bool malformed;   // there were more or other frames than one request has
};

// Makes the folders of ipc endpoints (0750), locks and binds both. ERR_BUSY when another broker has one;
// ERR_REFUSED when everybody may write to the folder; ERR_IO.
SB_MUST_CHECK
enum err net_open(const struct net_options *options, struct net **ret, struct fault *fault);

// Waits up to `linger_ms` for what was sent to leave, then closes. Sets the pointer to NULL; NULL is fine.
void net_close(struct net **self_p, int linger_ms);

// Waits until a request has come or one of `count` descriptors (at most NET_FDS_MAX) can be read, or
// `timeout_ms` is over (-1: without limit). `requests` false: requests are not waited for. ERR_IO.
SB_MUST_CHECK
enum err net_wait(struct net *self, const int *fds, size_t count, bool requests, int timeout_ms,
                  struct fault *fault);

// The next request; ERR_NOT_FOUND when none is there. ERR_IO when the socket cannot go on.
SB_MUST_CHECK
enum err net_receive(struct net *self, struct net_frame *ret, struct fault *fault);

// Sends a reply and never waits. ERR_UNREACHABLE: the peer is gone, or reads so slowly that its queue is
// full.
SB_MUST_CHECK
enum err net_reply(struct net *self, uint64_t peer, const void *data, size_t size);

// Sends a publication to whoever wants its topic; who is too slow misses it.
void net_publish(struct net *self, const char *topic, const void *data, size_t size);

// Whether somebody subscribed to the topic's publications as JSON: under WIRE_JSON_TOPIC and the topic, or
// a beginning of that which has the prefix whole. As of the last net_wait.
bool net_wants_json(const struct net *self, const char *topic);

#endif
