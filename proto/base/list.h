// A ring of links that lie inside what they link: nothing is allocated, and each can leave at once.
#ifndef SYNCBUS_BASE_LIST_H
#define SYNCBUS_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

// One place in a ring. The list's own head is one too; all zeros stand for "in no list".
struct link {
    struct link *next; // towards the end; of the head: the first
    struct link *prev; // towards the front; of the head: the last
};

// What a link lies in.
#define LIST_ITEM(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct link *head)
{
    head->next = head->prev = head;
}

static inline bool list_is_linked(const struct link *link)
{
    return link->next != NULL;
}

// The first link, or NULL when the list is empty.
static inline struct link *list_first(const struct link *head)
{
    return head->next != head ? head->next : NULL;
}

// The one behind a link, or NULL at the end.
static inline struct link *list_next(const struct link *head, const struct link *link)
{
    return link->next != head ? link->next : NULL;
}

// Takes a link out of its list; one that is in none is fine.
static inline void list_remove(struct link *link)
{
    if (link->next == NULL)
        return;
    link->next->prev = link->prev;
    link->prev->next = link->next;
    link->next = link->prev = NULL;
}

// Puts a link at the end, or the front, wherever it was before.
static inline void list_append(struct link *head, struct link *link)
{
    list_remove(link);
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static inline void list_prepend(struct link *head, struct link *link)
{
    list_remove(link);
    list_append(head->next, link); // before the first is the end of the ring that begins there
}

#endif
