/* Dictionaries, values, vectors and string buffers, as programs use and walk them. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/logs.h"

static dpl_dict_t *dict_of(int n_buckets, const char *const entries[]) {
    dpl_dict_t *dict = dpl_dict_new(n_buckets);

    for (; *entries; entries += 2)
        REQUIRE(dpl_dict_add(dict, entries[0], entries[1], 0) == DPL_SUCCESS, "%s is added",
                entries[0]);
    return dict;
}

static dpl_status_t append(dpl_dict_var_t *var, void *text) {
    char *end = strchr(text, '\0');

    sprintf(end, "%s=%s ", var->key, dpl_sbuf_get_str(var->val->string));
    return DPL_SUCCESS;
}

/* All entries, in the order of dpl_dict_iterate(). */
static const char *text_of(const dpl_dict_t *dict) {
    static char text[1000];

    *text = '\0';
    CHECK_STATUS(dpl_dict_iterate(dict, append, text), DPL_SUCCESS, "all entries are seen");
    return text;
}

static void entries_are_found_and_replaced(void) {
    dpl_dict_t *dict = dict_of(13, (const char *[]){"One", "1", "two", "2", "One", "3", NULL});
    dpl_dict_var_t *var = NULL;

    CHECK_INT(dpl_dict_count(dict), 2, "a key is there once");
    CHECK_STR(dpl_dict_get_value(dict, "One"), "3", "the value set last counts");
    CHECK(!dpl_dict_get_value(dict, "one"), "keys are matched to the letter");
    CHECK_STATUS(dpl_dict_add(dict, "Two", "4", 1), DPL_SUCCESS, "in small letters");
    CHECK_STATUS(dpl_dict_get_lowered(dict, "TWO", &var), DPL_SUCCESS, "in any letters");
    CHECK_STR(var ? var->key : NULL, "two", "it is the same entry");
    CHECK_STR(dpl_dict_get_value(dict, "two"), "4", "with the new value");
    CHECK_STATUS(dpl_dict_get_lowered(dict, "three", &var), DPL_ENOENT, "no such entry");
    dpl_dict_remove(dict, dpl_dict_get(dict, "One"));
    CHECK_STR(text_of(dict), "two=4 ", "an entry is removed");
    dpl_dict_free(dict);
}

/* Programs go through the buckets themselves. */
static void program_walks_the_buckets(void) {
    dpl_dict_t *dict = dict_of(1, (const char *[]){"a", "1", "b", "2", "c", "3", NULL});
    char forth[4] = "", back[4] = "";
    dpl_dict_var_t *var, *oldest = NULL;

    CHECK_INT(dict->n_buckets, 1, "n_buckets");
    for (var = dict->buckets[0]; var; oldest = var, var = var->prev)
        strcat(forth, var->key);
    for (var = oldest; var; var = var->next)
        strcat(back, var->key);
    CHECK_STR(forth, "cba", "prev leads to older entries");
    CHECK_STR(back, "abc", "next leads to newer ones");
    dpl_dict_free(dict);
}

static dpl_status_t stop_at_b(dpl_dict_var_t *var, void *seen) {
    ++*(int *)seen;
    return strcmp(var->key, "b") ? DPL_SUCCESS : DPL_ELIMIT;
}

static dpl_status_t remove_it(dpl_dict_var_t *var, void *dict) {
    dpl_dict_remove(dict, var);
    return DPL_SUCCESS;
}

static void walks_end_early_and_survive_removals(void) {
    dpl_dict_t *dict = dict_of(1, (const char *[]){"a", "1", "b", "2", "c", "3", NULL});
    int seen = 0;

    CHECK_STATUS(dpl_dict_iterate(dict, stop_at_b, &seen), DPL_ELIMIT, "the function's own status");
    CHECK_INT(seen, 2, "calls before that");
    CHECK_STATUS(dpl_dict_iterate(dict, remove_it, dict), DPL_SUCCESS, "each is removed");
    CHECK_INT(dpl_dict_count(dict), 0, "none is left");
    dpl_dict_free(dict);
}

static void dictionaries_are_copied_and_filtered(void) {
    dpl_dict_t *dict = dict_of(13, (const char *[]){"x-a", "1", "x-b", "2", "y", "3", NULL});
    dpl_dict_t *copy = dpl_dict_dup(dict), *with = dpl_dict_new(1), *without = dpl_dict_new(1);

    dpl_dict_add(dict, "y", "changed", 0);
    CHECK_STR(dpl_dict_get_value(copy, "y"), "3", "a copy has its own values");
    CHECK_STATUS(dpl_dict_filter_prefix(with, copy, "x-"), DPL_SUCCESS, "those with a prefix");
    CHECK_STR(dpl_dict_get_value(with, "a"), "1", "lose it");
    CHECK_INT(dpl_dict_count(with), 2, "and no others come");
    CHECK_STATUS(dpl_dict_filter_no_prefix(without, copy, "x-"), DPL_SUCCESS, "those without");
    CHECK_STR(text_of(without), "y=3 ", "are the rest");
    CHECK_STATUS(dpl_dict_copy(without, with), DPL_SUCCESS, "one is added to another");
    CHECK_INT(dpl_dict_count(without), 3, "all of it");
    CHECK_STATUS(dpl_dict_filter_prefix(copy, copy, "x-"), DPL_SUCCESS, "into itself");
    CHECK_STR(dpl_dict_get_value(copy, "b"), "2", "it grows by what it has");
    dpl_dict_free(dict);
    dpl_dict_free(copy);
    dpl_dict_free(with);
    dpl_dict_free(without);
}

/* Output of the print functions. */
static const char *printed(void (*print)(FILE *file, void *of), void *of) {
    static char text[1000];
    FILE *file = fmemopen(text, sizeof text, "w");

    *text = '\0'; /* fmemopen(3) writes nothing if nothing is printed */
    print(file, of);
    fclose(file);
    return text;
}

static void print_dict(FILE *file, void *dict) {
    dpl_dict_print(dict, file, 0);
}

static dpl_value_t *value_of(dpl_value_type_t type, void *content) {
    dpl_value_t *value = calloc(1, sizeof *value);

    value->type = type;
    value->ptr = content;
    return value;
}

static void values_nest_and_are_copied(void) {
    dpl_dict_t *inner = dict_of(3, (const char *[]){"in", "ner", NULL});
    dpl_dict_t *dict = dpl_dict_new(1);
    dpl_vec_t *vec = dpl_vec_new(1, 1);
    dpl_value_t *text = value_of(DPL_VALUE_STRING, dpl_sbuf_new_from_str("text"));
    dpl_value_t *sub = value_of(DPL_VALUE_SUBDICT, inner);
    dpl_value_t *list = value_of(DPL_VALUE_VECTOR, vec);
    dpl_value_t *copy;

    CHECK_STATUS(dpl_vec_add_value(vec, text), DPL_SUCCESS, "a vector takes a copy");
    CHECK_STATUS(dpl_vec_add_value(vec, sub), DPL_SUCCESS, "of anything");
    CHECK_STATUS(dpl_dict_add_value(dict, "LIST", list, 1), DPL_SUCCESS, "so does a dictionary");
    copy = dpl_value_dup(list);
    dpl_value_free(list);
    dpl_value_free(sub);
    dpl_value_free(text);
    CHECK_STR(printed(print_dict, dict), "list=[text,{\n   in=ner\n  }]\n",
              "what was copied stays");
    CHECK(!dpl_dict_get_value(dict, "list"), "a vector is no string");
    CHECK_INT(copy->vector->n_items, 2, "a value is copied with all it contains");
    dpl_value_free(copy);
    dpl_dict_free(dict);
}

static void print_value(FILE *file, void *value) {
    dpl_value_print(value, file, 0, 1);
}

static void values_of_every_type_are_printed_and_copied(void) {
    dpl_value_t *pointer = value_of(DPL_VALUE_VOIDPTR, (void *)0x10);
    dpl_value_t *nothing = value_of(DPL_VALUE_STRING, NULL);
    dpl_value_t *copy = dpl_value_dup(pointer);

    CHECK_STR(printed(print_value, pointer), "0x10", "a pointer");
    CHECK_STR(printed(print_value, copy), "0x10", "its copy");
    dpl_value_free(copy);
    dpl_value_free(pointer);
    copy = dpl_value_dup(nothing);
    REQUIRE(copy, "a string that the program has not set");
    CHECK(copy->type == DPL_VALUE_STRING && !copy->ptr, "is copied as it is");
    CHECK_STR(printed(print_value, copy), "", "and printed as nothing");
    dpl_value_free(copy);
    dpl_value_free(nothing);
}

static int by_text(const void *one, const void *other) {
    const dpl_value_t *const *a = one, *const *b = other;

    return strcmp((*a)->ptr, (*b)->ptr);
}

static void vectors_grow_and_are_sorted(void) {
    dpl_vec_t *vec = dpl_vec_new(1, 0), *copy;
    char texts[5][2] = {"d", "b", "e", "a", "c"}, sorted[6] = "";

    for (int i = 0; i < 5; i++)
        CHECK_STATUS(dpl_vec_add(vec, texts[i]), DPL_SUCCESS, "a pointer is added");
    CHECK(dpl_vec_get(vec, 2) == texts[2], "it comes back");
    CHECK(!dpl_vec_get(vec, 5) && !dpl_vec_get(vec, -1), "there are no others");
    CHECK(vec->size >= vec->n_items && vec->items[4]->ptr == texts[4], "programs read the items");
    dpl_vec_sort(vec, by_text);
    for (int i = 0; i < 5; i++)
        strcat(sorted, dpl_vec_get(vec, i));
    CHECK_STR(sorted, "abcde", "in order");
    copy = dpl_vec_dup(vec);
    dpl_vec_free(vec);
    CHECK_INT(copy->n_items, 5, "a copy has all of it");
    CHECK(dpl_vec_get(copy, 1) == texts[1], "and the program's own pointers");
    dpl_vec_free(copy);
    CHECK(!dpl_vec_new(0, 1) && !dpl_vec_new(-1, 1), "a vector has room at first");
}

static void string_buffers_grow(void) {
    dpl_sbuf_t *sbuf = dpl_sbuf_new(1), *copy;
    char big[5001];

    memset(big, 'x', 5000);
    big[5000] = '\0';
    CHECK_STR(dpl_sbuf_get_str(sbuf), "", "empty at first");
    CHECK_STATUS(dpl_sbuf_add_str(sbuf, "one "), DPL_SUCCESS, "a string");
    CHECK_STATUS(dpl_sbuf_add(sbuf, "two and more", 4), DPL_SUCCESS, "some bytes");
    CHECK_STATUS(dpl_sbuf_add_str_fmt(sbuf, "%d %s%.2f", 3, "", 4.0), DPL_SUCCESS, "a format");
    CHECK_STR(dpl_sbuf_get_str(sbuf), "one two 3 4.00", "all of it");
    CHECK_STATUS(dpl_sbuf_add(sbuf, sbuf->buf, sbuf->len), DPL_SUCCESS, "its own text");
    CHECK_STR(sbuf->buf, "one two 3 4.00one two 3 4.00", "twice");
    CHECK_STATUS(dpl_sbuf_add_str_fmt(sbuf, "%s", big), DPL_SUCCESS, "any length");
    CHECK_INT((long)sbuf->len, 28 + 5000, "len");
    CHECK_INT((long)strlen(sbuf->buf), 28 + 5000, "it ends with a NUL");
    copy = dpl_sbuf_dup(sbuf);
    dpl_sbuf_free(sbuf);
    CHECK_INT((long)strlen(dpl_sbuf_get_str(copy)), 28 + 5000, "a copy has its own");
    CHECK_STATUS(dpl_sbuf_add(copy, big, SIZE_MAX), DPL_ENOMEM, "more than there is");
    dpl_sbuf_free(copy);
    CHECK(!dpl_sbuf_new(SIZE_MAX), "as much at once");
    sbuf = dpl_sbuf_new(3);
    dpl_sbuf_add_str(sbuf, "abc");
    CHECK(sbuf->allocated > sbuf->len, "there is room for the NUL");
    dpl_sbuf_free(sbuf);
}

static void texts_are_percent_encoded(void) {
    dpl_sbuf_t *sbuf = dpl_sbuf_new_from_str("a b/c?~\xc3\xa9-._");

    CHECK_STATUS(dpl_sbuf_url_encode(sbuf), DPL_SUCCESS, "encoded");
    CHECK_STR(dpl_sbuf_get_str(sbuf), "a%20b%2Fc%3F%7E%C3%A9-._", "as Droplet does");
    dpl_sbuf_free(sbuf);
    sbuf = dpl_sbuf_new(1);
    dpl_sbuf_add(sbuf, "a\0b", 3);
    dpl_sbuf_url_encode(sbuf);
    CHECK_STR(dpl_sbuf_get_str(sbuf), "a%00b", "a NUL does not end it");
    dpl_sbuf_free(sbuf);
}

static void null_is_told_of(void) {
    dpl_dict_t *dict = dpl_dict_new(1);
    dpl_vec_t *vec = dpl_vec_new(1, 1);
    dpl_sbuf_t *sbuf = dpl_sbuf_new(1);
    dpl_dict_var_t *var;

    logs_collect();
    CHECK_STATUS(dpl_dict_add(NULL, "a", "b", 0), DPL_EINVAL, "no dictionary");
    CHECK_STATUS(dpl_dict_add(dict, NULL, "b", 0), DPL_EINVAL, "no key");
    CHECK_STATUS(dpl_dict_add(dict, "a", NULL, 0), DPL_EINVAL, "no string");
    CHECK_STATUS(dpl_dict_add_value(dict, "a", NULL, 0), DPL_EINVAL, "no value");
    CHECK(!dpl_dict_get(NULL, "a") && !dpl_dict_get(dict, NULL), "nothing is found");
    CHECK(!dpl_dict_get_value(NULL, "a"), "no value");
    CHECK_STATUS(dpl_dict_get_lowered(NULL, "a", &var), DPL_EINVAL, "no dictionary");
    CHECK_STATUS(dpl_dict_iterate(dict, NULL, NULL), DPL_EINVAL, "no function");
    CHECK_STATUS(dpl_dict_copy(NULL, dict), DPL_FAILURE, "nowhere to copy to");
    CHECK_INT(logs_count(), 10, "each has its line in the log");
    CHECK_STATUS(dpl_dict_copy(dict, NULL), DPL_SUCCESS, "nothing to copy");
    CHECK_INT(dpl_dict_count(NULL), 0, "nothing to count");
    CHECK(!dpl_dict_new(0) && !dpl_dict_new(-1) && !dpl_dict_dup(NULL), "nothing is made");
    dpl_dict_remove(dict, NULL);
    dpl_dict_print(NULL, stdout, 0);
    dpl_dict_free(NULL);
    dpl_dict_var_free(NULL);
    CHECK_STATUS(dpl_vec_add(NULL, dict), DPL_EINVAL, "no vector");
    CHECK_STATUS(dpl_vec_add_value(vec, NULL), DPL_EINVAL, "no value");
    CHECK(!dpl_vec_get(NULL, 0) && !dpl_vec_dup(NULL), "no vector");
    dpl_vec_sort(vec, NULL);
    dpl_vec_print(vec, NULL, 0);
    dpl_vec_free(NULL);
    CHECK_STATUS(dpl_sbuf_add_str(sbuf, NULL), DPL_EINVAL, "no string");
    CHECK_STATUS(dpl_sbuf_add(NULL, "a", 1), DPL_EINVAL, "no buffer");
    CHECK_STATUS(dpl_sbuf_add(sbuf, NULL, 0), DPL_SUCCESS, "nothing to add");
    CHECK_STATUS(dpl_sbuf_url_encode(NULL), DPL_EINVAL, "no buffer");
    CHECK(!dpl_sbuf_new_from_str(NULL) && !dpl_sbuf_dup(NULL) && !dpl_sbuf_get_str(NULL), "none");
    dpl_sbuf_print(NULL, sbuf);
    dpl_sbuf_free(NULL);
    CHECK(!dpl_value_dup(NULL), "no value");
    dpl_value_print(NULL, stdout, 0, 0);
    dpl_value_free(NULL);
    dpl_dict_free(dict);
    dpl_vec_free(vec);
    dpl_sbuf_free(sbuf);
}

int main(void) {
    test_begin("containers");
    RUN(entries_are_found_and_replaced);
    RUN(program_walks_the_buckets);
    RUN(walks_end_early_and_survive_removals);
    RUN(dictionaries_are_copied_and_filtered);
    RUN(values_nest_and_are_copied);
    RUN(values_of_every_type_are_printed_and_copied);
    RUN(vectors_grow_and_are_sorted);
    RUN(string_buffers_grow);
    RUN(texts_are_percent_encoded);
    RUN(null_is_told_of);
    return test_end();
}
