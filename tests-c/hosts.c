/* The host list: which hosts are in it, in which order, and which are blacklisted. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/clock.h"
#include "support/hosts.h"
#include "support/logs.h"

/* ---- who is in the list ------------------------------------------------------------ */

static void host_is_added_once(void) {
    dpl_addrlist_t *list = list_of("127.0.0.1:81;127.0.0.2:81");

    CHECK_STATUS(dpl_addrlist_blacklist(list, "127.0.0.1", "81", 100), DPL_SUCCESS, "one is out");
    CHECK_INT(available(list), 1, "the other is left");
    CHECK_STATUS(dpl_addrlist_add(list, "127.0.0.1", "81"), DPL_SUCCESS, "it is added again");
    CHECK_INT(dpl_addrlist_count(list), 2, "which does not double it");
    CHECK_INT(available(list), 2, "but brings it back");
    /* "127.1" is another way to write the same address. */
    CHECK_STATUS(dpl_addrlist_add(list, "127.1", "81"), DPL_SUCCESS, "by another name");
    CHECK_INT(dpl_addrlist_count(list), 2, "it is still the same host");
    CHECK(named(list, "127.1", "81") == named(list, "127.0.0.1", "81"), "and found by both");
    dpl_addrlist_free(list);
}

static void places_are_random(void) {
    bool other_first = false;

    for (int i = 0; i < 64 && !other_first; i++) {
        dpl_addrlist_t *list = list_of("127.0.0.1;127.0.0.2;127.0.0.3;127.0.0.4");
        dpl_addrlist_t *again = list_of("127.0.0.1;127.0.0.2;127.0.0.3;127.0.0.4");
        char *a = dpl_addrlist_get(list);
        char *b = dpl_addrlist_get(again);

        other_first = strcmp(a, b) != 0;
        free(a);
        free(b);
        dpl_addrlist_free(list);
        dpl_addrlist_free(again);
    }
    CHECK(other_first, "two lists of the same hosts have them in different orders");
}

static void nth_counts_in_list_order(void) {
    dpl_addrlist_t *list = list_of("127.0.0.1;127.0.0.2;127.0.0.3");
    dpl_addr_t *walked, *addr;
    int n = 0;

    LIST_FOREACH (walked, &list->addr_list, list) {
        CHECK(dpl_addrlist_get_nth(list, n, &addr) == DPL_SUCCESS && addr == walked, "number %d",
              n);
        CHECK(dpl_addrlist_get_nth(list, n + 3, &addr) == DPL_SUCCESS && addr == walked,
              "number %d, once around", n + 3);
        n++;
    }
    CHECK_INT(n, 3, "there are three");
    dpl_addrlist_get_nth(list, 0, &walked);
    dpl_addrlist_blacklist(list, walked->host, walked->portstr, 100);
    CHECK_STATUS(dpl_addrlist_get_nth(list, 0, &addr), DPL_SUCCESS, "with the first one out");
    CHECK(addr == LIST_NEXT(walked, list), "the second is number 0");
    CHECK(dpl_addrlist_get_nth(list, 2, &addr) == DPL_SUCCESS && addr == LIST_NEXT(walked, list),
          "and number 2");
    dpl_addrlist_free(list);
}

static void random_host_is_available(void) {
    dpl_addrlist_t *list = list_of("127.0.0.1;127.0.0.2;127.0.0.3");
    dpl_addr_t *out = named(list, "127.0.0.2", "80");
    int seen[256] = {0};

    dpl_addrlist_blacklist(list, "127.0.0.2", "80", -1);
    for (int i = 0; i < 200; i++) {
        dpl_addr_t *addr = NULL;

        REQUIRE(dpl_addrlist_get_rand(list, &addr) == DPL_SUCCESS && addr, "there is one");
        REQUIRE(addr != out, "it is not out");
        seen[(unsigned char)addr->h->h_addr_list[0][3]]++;
    }
    CHECK(seen[1] > 0 && seen[3] > 0 && seen[1] + seen[3] == 200, "each of the others comes up");
    dpl_addrlist_free(list);
}

/* The name that was set last is sent as Host. */
static void another_name_takes_the_place_of_the_first(void) {
    dpl_addrlist_t *list = list_of("127.0.0.1:81;127.0.0.2:81");
    dpl_addr_t *other = named(list, "127.0.0.2", "81");

    CHECK_STATUS(dpl_addrlist_set_from_str(list, "localhost:81;127.0.0.2:81"), DPL_SUCCESS,
                 "a host is set by another name");
    CHECK_INT(dpl_addrlist_count(list), 2, "it is still one");
    CHECK_STR(named(list, "127.0.0.1", "81")->host, "localhost", "by its new name");
    CHECK(named(list, "127.0.0.2", "81") == other, "the other has kept its place in memory");
    CHECK_STATUS(dpl_addrlist_set_from_str(list, "LocalHost:081;127.0.0.1:81;127.1:81"),
                 DPL_SUCCESS, "several names for one");
    CHECK_INT(dpl_addrlist_count(list), 1, "are one");
    CHECK_STR(named(list, "127.0.0.1", "81")->host, "localhost", "which is the first");
    dpl_addrlist_free(list);
}

static void hosts_are_replaced(void) {
    dpl_addrlist_t *list = list_of("127.0.0.1;127.0.0.2;127.0.0.3");

    CHECK_STATUS(dpl_addrlist_set_from_str(list, "127.0.0.4:90"), DPL_SUCCESS, "by others");
    CHECK(text_is(list, "127.0.0.4:90"), "only those are left");
    CHECK_STATUS(dpl_addrlist_add_from_str(list, "127.0.0.5"), DPL_SUCCESS, "one is added");
    CHECK(named(list, "127.0.0.5", "80"), "with the list's default port");
    dpl_addrlist_lock(list);
    dpl_addrlist_clear_nolock(list);
    dpl_addrlist_unlock(list);
    CHECK(text_is(list, ""), "cleared, the list is empty");
    CHECK_STATUS(dpl_addrlist_add_from_str(list, "127.0.0.6"), DPL_SUCCESS, "and can be filled");
    CHECK(text_is(list, "127.0.0.6:80"), "again");
    dpl_addrlist_free(list);
}

static void host_is_removed(void) {
    dpl_addrlist_t *list = list_of("127.0.0.1;127.0.0.2");
    dpl_addr_t *removed;

    dpl_addrlist_lock(list);
    removed = dpl_addrlist_get_byname_nolock(list, "127.0.0.1", "80");
    dpl_addrlist_remove_nolock(list, removed);
    /* Ours now, each part a block of its own. */
    free(removed->host);
    free(removed->portstr);
    free(removed->hbuf);
    free(removed->h);
    free(removed);
    CHECK_INT(dpl_addrlist_count_nolock(list), 1, "one is left");
    dpl_addrlist_unlock(list);
    CHECK(text_is(list, "127.0.0.2:80"), "the other");
    dpl_addrlist_free(list);
}

static void many_hosts_fit(void) {
    dpl_addrlist_t *list = dpl_addrlist_create("80");
    char name[32];

    for (int i = 0; i < 800; i++) {
        snprintf(name, sizeof name, "127.1.%d.%d", i / 256, i % 256);
        REQUIRE(dpl_addrlist_add(list, name, "80") == DPL_SUCCESS, "host %d is added", i);
    }
    CHECK_INT(dpl_addrlist_count(list), 800, "800 hosts are in the list");
    CHECK(named(list, "127.1.3.31", "80"), "the last of them too");
    dpl_addrlist_free(list);
}

/* ---- what a program reads there ---------------------------------------------------- */

static void entries_can_be_read(void) {
    time_t before = time(NULL);
    dpl_addrlist_t *list = list_of("127.0.0.1:8080");
    char ident[DPL_ADDR_IDENT_STRLEN];
    dpl_addr_t *addr;
    int n = 0;

    dpl_addrlist_blacklist(list, "127.0.0.1", "8080", 100);
    dpl_addrlist_lock(list);
    LIST_FOREACH (addr, &list->addr_list, list) {
        n++;
        CHECK_STR(addr->host, "127.0.0.1", "host");
        CHECK_STR(addr->portstr, "8080", "portstr");
        CHECK_INT(addr->port, 8080, "port"); /* in the machine's order, as programs print it */
        CHECK_INT(addr->h->h_addrtype, AF_INET, "h_addrtype");
        CHECK_INT(addr->h->h_length, 4, "h_length");
        CHECK(memcmp(addr->h->h_addr_list[0], "\x7f\0\0\1", 4) == 0, "h_addr_list");
        CHECK(addr->h->h_addr_list[1] == NULL, "and its end");
        CHECK(addr->blacklist_expire_timestamp >= before + 100 &&
                  addr->blacklist_expire_timestamp <= time(NULL) + 100,
              "blacklist_expire_timestamp");
        CHECK(dpl_addrlist_get_byip_nolock(list, addr->h, addr->port) == addr, "found by address");
        CHECK(dpl_addrlist_get_byip_nolock(list, addr->h, 1) == NULL, "and port");
        CHECK_STR(dpl_addr_get_ident(addr->h, addr->port, ident, sizeof ident), "127.0.0.1:8080",
                  "its name");
    }
    dpl_addrlist_unlock(list);
    CHECK_INT(n, 1, "there is one entry");
    dpl_addrlist_free(list);
}

static void text_of_a_list_can_be_read_again(void) {
    dpl_addrlist_t *list = list_of("[::1]:81;127.0.0.1:82");
    char *text = dpl_addrlist_get(list);
    dpl_addrlist_t *again;

    REQUIRE(text, "there is a text");
    CHECK(strstr(text, "[::1]:81"), "in which IPv6 stands in brackets");
    again = list_of(text);
    CHECK(named(again, "::1", "81") && named(again, "127.0.0.1", "82"), "both hosts are in it");
    free(text);
    dpl_addrlist_free(list);
    dpl_addrlist_free(again);
}

static void name_of_an_address_fits_its_buffer(void) {
    dpl_addrlist_t *list = list_of("[::1]:80;127.0.0.1:65535");
    char ident[DPL_ADDR_IDENT_STRLEN] = "";
    dpl_addr_t *addr = named(list, "::1", "80");

    REQUIRE(addr, "the IPv6 host is there");
    CHECK_STR(dpl_addr_get_ident(addr->h, 80, ident, sizeof ident), "[::1]:80", "IPv6");
    addr = named(list, "127.0.0.1", "65535");
    memset(ident, '#', sizeof ident);
    dpl_addr_get_ident(addr->h, addr->port, ident, 8);
    CHECK(ident[8] == '#', "no byte is written beyond a short buffer");
    dpl_addrlist_free(list);
}

/* ---- who is out -------------------------------------------------------------------- */

static void blacklisting_ends(void) {
    dpl_addrlist_t *list = list_of("127.0.0.1;127.0.0.2");
    dpl_addr_t *addr = named(list, "127.0.0.1", "80");

    CHECK_STATUS(dpl_addrlist_blacklist(list, "127.0.0.1", "80", -1), DPL_SUCCESS, "for good");
    CHECK_INT(addr->blacklist_expire_timestamp, -1, "which is -1");
    CHECK_INT(available(list), 1, "one is available");
    CHECK_STATUS(dpl_addrlist_unblacklist(list, "127.0.0.1", "80"), DPL_SUCCESS, "lifted");
    CHECK_INT(addr->blacklist_expire_timestamp, 0, "which is 0");
    CHECK_INT(available(list), 2, "both are available");
    CHECK_STATUS(dpl_addrlist_unblacklist(list, "127.0.0.1", "80"), DPL_SUCCESS, "lifted again");
    CHECK_STATUS(dpl_addrlist_blacklist(list, "127.0.0.9", "80", 1), DPL_ENOENT, "a stranger");
    CHECK_STATUS(dpl_addrlist_blacklist(list, "127.0.0.1", "81", 1), DPL_ENOENT, "another port");
    CHECK_STATUS(dpl_addrlist_unblacklist(list, "127.0.0.9", "80"), DPL_ENOENT, "to be lifted");
    CHECK_STATUS(dpl_addrlist_blacklist(list, "127.0.0.2", "80", 1), DPL_SUCCESS, "for a second");
    sleep_ms(2100);
    dpl_addrlist_lock(list);
    CHECK_STATUS(dpl_addrlist_refresh_blacklist_nolock(list), DPL_SUCCESS, "looked at later");
    CHECK_INT(dpl_addrlist_count_avail_nolock(list), 2, "it is back");
    dpl_addrlist_unlock(list);
    CHECK_INT(named(list, "127.0.0.2", "80")->blacklist_expire_timestamp, 0, "which is 0");
    dpl_addrlist_free(list);
}

static void blacklisting_may_have_ended_before(void) {
    dpl_addrlist_t *list = list_of("127.0.0.1;127.0.0.2");
    dpl_addr_t *addr = named(list, "127.0.0.1", "80");

    CHECK_STATUS(dpl_addrlist_blacklist(list, "127.0.0.1", "80", -2), DPL_SUCCESS,
                 "until before now");
    dpl_addrlist_lock(list);
    dpl_addrlist_refresh_blacklist_nolock(list);
    dpl_addrlist_unlock(list);
    CHECK_INT(addr->blacklist_expire_timestamp, 0, "it is over");
    CHECK_INT(available(list), 2, "both are available");
    dpl_addrlist_lock(list);
    dpl_addrlist_remove_nolock(list, addr);
    addr->blacklist_expire_timestamp = -2;
    dpl_addrlist_add_nolock(list, addr);
    dpl_addrlist_unlock(list);
    CHECK_INT(available(list), 2, "so they are if C adds one that was out until before now");
    CHECK_INT(addr->blacklist_expire_timestamp, 0, "which is shown");
    dpl_addrlist_free(list);
}

static void a_list_takes_and_gives_only_what_is_there(void) {
    dpl_addrlist_t *list = list_of("127.0.0.1;127.0.0.2");
    dpl_addr_t *addr = named(list, "127.0.0.1", "80");
    char ident[64];

    logs_collect();
    dpl_addrlist_lock(list);
    dpl_addrlist_remove_nolock(list, addr);
    CHECK_INT(dpl_addrlist_count_nolock(list), 1, "it is out of the list");
    dpl_addrlist_remove_nolock(list, addr);
    CHECK_INT(logs_with("this address is not in the list"), 1, "and cannot be taken out again");
    dpl_addrlist_add_nolock(list, NULL);
    CHECK_INT(logs_with("the address is NULL"), 1, "nothing is put in");
    addr->blacklist_expire_timestamp = -1;
    dpl_addrlist_add_nolock(list, addr);
    CHECK_INT(dpl_addrlist_count_nolock(list), 2, "it is back");
    CHECK_INT(dpl_addrlist_count_avail_nolock(list), 1, "and out for good, as the program has set");
    dpl_addrlist_unlock(list);
    CHECK(!dpl_addr_get_ident(addr->h, 80, NULL, 9), "a name needs a buffer");
    CHECK(!dpl_addr_get_ident(NULL, 80, ident, sizeof ident), "and an address");
    dpl_addrlist_free(list);
    dpl_addrlist_free(list);
    CHECK_INT(logs_with("this list was freed before"), 1, "a list is freed once");
}

static void no_list_answers_as_an_empty_one(void) {
    dpl_addr_t *addr;

    CHECK_INT(dpl_addrlist_count(NULL), 0, "count");
    CHECK_INT(dpl_addrlist_count_nolock(NULL), 0, "count_nolock");
    CHECK_INT(dpl_addrlist_count_avail_nolock(NULL), 0, "count_avail_nolock");
    CHECK(text_is(NULL, ""), "get");
    CHECK_STATUS(dpl_addrlist_get_nth(NULL, 0, &addr), DPL_ENOENT, "get_nth");
    CHECK_STATUS(dpl_addrlist_get_rand(NULL, &addr), DPL_ENOENT, "get_rand");
    CHECK(dpl_addrlist_get_byname_nolock(NULL, "127.0.0.1", "80") == NULL, "get_byname");
    CHECK(dpl_addrlist_get_byip_nolock(NULL, NULL, 80) == NULL, "get_byip");
    dpl_addrlist_lock(NULL);
    dpl_addrlist_unlock(NULL);
    dpl_addrlist_clear_nolock(NULL);
    dpl_addrlist_free(NULL);
    CHECK(true, "lock, unlock, clear and free do nothing");
}

int main(void) {
    test_begin("hosts");
    RUN(host_is_added_once);
    RUN(places_are_random);
    RUN(nth_counts_in_list_order);
    RUN(random_host_is_available);
    RUN(another_name_takes_the_place_of_the_first);
    RUN(hosts_are_replaced);
    RUN(host_is_removed);
    RUN(many_hosts_fit);
    RUN(entries_can_be_read);
    RUN(text_of_a_list_can_be_read_again);
    RUN(name_of_an_address_fits_its_buffer);
    RUN(blacklisting_ends);
    RUN(blacklisting_may_have_ended_before);
    RUN(a_list_takes_and_gives_only_what_is_there);
    RUN(no_list_answers_as_an_empty_one);
    return test_end();
}
