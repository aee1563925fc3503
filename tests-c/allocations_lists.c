/* Each allocation of the functions on lists of hosts fails in turn; then all from each on (support/exhaust.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "droplet.h"
#include "support/check.h"
#include "support/exhaust.h"
#include "support/heap.h"

static dpl_addrlist_t *list;

static bool text_is(const char *expected) {
    char *text = dpl_addrlist_get(list);
    bool same = text && strcmp(text, expected) == 0;

    if (text && !same)
        complain("the list is %.99s", text);
    free(text);
    return same;
}

static bool change_a_list(void) {
    dpl_addr_t *addr;
    bool done;

    list = dpl_addrlist_create_from_str("80", "127.0.0.2:81");
    if (!list)
        return failed_for_memory("dpl_addrlist_create_from_str");
    done = succeeded(dpl_addrlist_add(list, "127.0.0.3", "82"), "dpl_addrlist_add") &&
           succeeded(dpl_addrlist_add_from_str(list, "127.0.0.4,[::1]:85"), "dpl_addrlist_add_from_str") &&
           succeeded(dpl_addrlist_blacklist(list, "127.0.0.3", "82", 9), "dpl_addrlist_blacklist") &&
           succeeded(dpl_addrlist_unblacklist(list, "127.0.0.3", "82"), "dpl_addrlist_unblacklist") &&
           succeeded(dpl_addrlist_get_nth(list, 2, &addr), "dpl_addrlist_get_nth");
    if (done && dpl_addrlist_count(list) != 4)
        complain("%u hosts", dpl_addrlist_count(list));
    dpl_addrlist_free(list);
    return done;
}

static void make_list(void) {
    list = dpl_addrlist_create_from_str(NULL, "127.0.0.2:81");
}

static void free_list(void) {
    dpl_addrlist_free(list);
}

/* A list is set whole or not at all. */
static bool set_a_list(void) {
    static const char before[] = "127.0.0.2:81", after[] = "127.0.0.3:81";
    bool done = succeeded(dpl_addrlist_set_from_str(list, after), "dpl_addrlist_set_from_str");
    bool told;

    heap_pause();
    told = text_is(done ? after : before);
    heap_go_on();
    if (!told)
        complain("no text of a list");
    return done && succeeded(dpl_addrlist_set_from_str(list, before), "dpl_addrlist_set_from_str");
}

enum { MANY = 300 };

static char many[MANY * 24];

static void name_many(void) {
    char *end = many;

    for (int i = 0; i < MANY; i++)
        end += sprintf(end, "127.1.%d.%d:80,", i / 250, i % 250 + 1);
}

static bool use_many_hosts(void) {
    char *text;
    bool done;

    list = dpl_addrlist_create_from_str("80", many);
    if (!list)
        return failed_for_memory("dpl_addrlist_create_from_str");
    text = dpl_addrlist_get(list);
    done = text || failed_for_memory("dpl_addrlist_get");
    free(text);
    dpl_addrlist_free(list);
    return done;
}

static const struct exhausted scenarios[] = {
    {.name = "a list", .act = change_a_list},
    {"a list that is set", make_list, set_a_list, NULL, free_list, 0},
    {.name = "a list of many hosts", .prepare = name_many, .act = use_many_hosts, .stride = 397},
};

static void lists_without_memory(void) {
    exhaust_all(scenarios, sizeof scenarios / sizeof *scenarios);
}

int main(void) {
    test_begin("allocations_lists");
    RUN(lists_without_memory);
    return test_end();
}
