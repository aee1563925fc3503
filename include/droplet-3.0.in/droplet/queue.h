/*
 * Lists, as queue(3) describes them for the BSDs: those of <sys/queue.h>, and what glibc leaves out of it. Generated
 * from include/droplet-3.0.in; do not edit.
 */
#ifndef _SCAL_STD_QUEUE_H_
#define _SCAL_STD_QUEUE_H_ 1

#include <stddef.h>
#include <sys/queue.h>

/* The next entry is known before the body runs, so that the body may remove the present one and free it. */
#ifndef SLIST_FOREACH_SAFE
#define SLIST_FOREACH_SAFE(var, head, field, tvar) \
    for ((var) = SLIST_FIRST(head); \
         (var) != NULL ? ((tvar) = SLIST_NEXT((var), field), 1) : 0; (var) = (tvar))
#endif
#ifndef STAILQ_FOREACH_SAFE
#define STAILQ_FOREACH_SAFE(var, head, field, tvar) \
    for ((var) = STAILQ_FIRST(head); \
         (var) != NULL ? ((tvar) = STAILQ_NEXT((var), field), 1) : 0; (var) = (tvar))
#endif
#ifndef LIST_FOREACH_SAFE
#define LIST_FOREACH_SAFE(var, head, field, tvar) \
    for ((var) = LIST_FIRST(head); \
         (var) != NULL ? ((tvar) = LIST_NEXT((var), field), 1) : 0; (var) = (tvar))
#endif
#ifndef TAILQ_FOREACH_SAFE
#define TAILQ_FOREACH_SAFE(var, head, field, tvar) \
    for ((var) = TAILQ_FIRST(head); \
         (var) != NULL ? ((tvar) = TAILQ_NEXT((var), field), 1) : 0; (var) = (tvar))
#endif
#ifndef TAILQ_FOREACH_REVERSE_SAFE
#define TAILQ_FOREACH_REVERSE_SAFE(var, head, headname, field, tvar) \
    for ((var) = TAILQ_LAST((head), headname); \
         (var) != NULL ? ((tvar) = TAILQ_PREV((var), headname, field), 1) : 0; (var) = (tvar))
#endif

/* The body also knows the pointer that leads to the entry: by it the entry can be taken out. */
#ifndef SLIST_FOREACH_PREVPTR
#define SLIST_FOREACH_PREVPTR(var, varp, head, field) \
    for ((varp) = &SLIST_FIRST(head); ((var) = *(varp)) != NULL; (varp) = &SLIST_NEXT((var), field))
#endif

/* Removes the entry behind the given one. */
#ifndef SLIST_REMOVE_AFTER
#define SLIST_REMOVE_AFTER(elm, field) \
    do { \
        SLIST_NEXT((elm), field) = SLIST_NEXT(SLIST_NEXT((elm), field), field); \
    } while (0)
#endif
#ifndef STAILQ_REMOVE_AFTER
#define STAILQ_REMOVE_AFTER(head, elm, field) \
    do { \
        STAILQ_NEXT((elm), field) = STAILQ_NEXT(STAILQ_NEXT((elm), field), field); \
        if (STAILQ_NEXT((elm), field) == NULL) \
            (head)->stqh_last = &STAILQ_NEXT((elm), field); \
    } while (0)
#endif

/* The last entry, or NULL. */
#ifndef STAILQ_LAST
#define STAILQ_LAST(head, type, field) \
    (STAILQ_EMPTY(head) \
         ? NULL \
         : (struct type *)(void *)((char *)(head)->stqh_last - offsetof(struct type, field)))
#endif

/* Each list gets the entries of the other. */
#ifndef SLIST_SWAP
#define SLIST_SWAP(head1, head2, type) \
    do { \
        struct type *swap_first_ = SLIST_FIRST(head1); \
        SLIST_FIRST(head1) = SLIST_FIRST(head2); \
        SLIST_FIRST(head2) = swap_first_; \
    } while (0)
#endif
#ifndef STAILQ_SWAP
#define STAILQ_SWAP(head1, head2, type) \
    do { \
        struct type *swap_first_ = STAILQ_FIRST(head1); \
        struct type **swap_last_ = STAILQ_EMPTY(head1) ? &STAILQ_FIRST(head2) : (head1)->stqh_last; \
        (head1)->stqh_last = STAILQ_EMPTY(head2) ? &STAILQ_FIRST(head1) : (head2)->stqh_last; \
        STAILQ_FIRST(head1) = STAILQ_FIRST(head2); \
        STAILQ_FIRST(head2) = swap_first_; \
        (head2)->stqh_last = swap_last_; \
    } while (0)
#endif
#ifndef LIST_SWAP
#define LIST_SWAP(head1, head2, type, field) \
    do { \
        struct type *swap_first_ = LIST_FIRST(head1); \
        LIST_FIRST(head1) = LIST_FIRST(head2); \
        LIST_FIRST(head2) = swap_first_; \
        if (LIST_FIRST(head1) != NULL) \
            LIST_FIRST(head1)->field.le_prev = &LIST_FIRST(head1); \
        if (LIST_FIRST(head2) != NULL) \
            LIST_FIRST(head2)->field.le_prev = &LIST_FIRST(head2); \
    } while (0)
#endif
#ifndef TAILQ_SWAP
#define TAILQ_SWAP(head1, head2, type, field) \
    do { \
        struct type *swap_first_ = TAILQ_FIRST(head1); \
        struct type **swap_last_ = TAILQ_EMPTY(head1) ? &TAILQ_FIRST(head2) : (head1)->tqh_last; \
        (head1)->tqh_last = TAILQ_EMPTY(head2) ? &TAILQ_FIRST(head1) : (head2)->tqh_last; \
        TAILQ_FIRST(head1) = TAILQ_FIRST(head2); \
        TAILQ_FIRST(head2) = swap_first_; \
        (head2)->tqh_last = swap_last_; \
        if (!TAILQ_EMPTY(head1)) \
            TAILQ_FIRST(head1)->field.tqe_prev = &TAILQ_FIRST(head1); \
        if (!TAILQ_EMPTY(head2)) \
            TAILQ_FIRST(head2)->field.tqe_prev = &TAILQ_FIRST(head2); \
    } while (0)
#endif

#endif
