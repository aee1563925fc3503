/* Dictionaries of strings, which hold metadata and the fields of a reply. */
#include "droplet.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct entry *next;
    char *key;
    char *value;
};

struct dpl_dict {
    struct entry **buckets;
    unsigned int n_buckets;
};

dpl_dict_t *dpl_dict_new(int n_buckets) {
    dpl_dict_t *dict = malloc(sizeof *dict);

    if (!dict || n_buckets <= 0) {
        free(dict);
        return NULL;
    }
    dict->n_buckets = (unsigned int)n_buckets;
    dict->buckets = calloc(dict->n_buckets, sizeof *dict->buckets);
    if (dict->buckets)
        return dict;
    free(dict);
    return NULL;
}

static struct entry **bucket_of(const dpl_dict_t *dict, const char *key) {
    unsigned int hash = 5381;

    for (; *key; key++)
        hash = hash * 33 + (unsigned char)*key;
    return &dict->buckets[hash % dict->n_buckets];
}

static struct entry *entry_of(const dpl_dict_t *dict, const char *key) {
    struct entry *entry = *bucket_of(dict, key);

    while (entry && strcmp(entry->key, key) != 0)
        entry = entry->next;
    return entry;
}

static void entry_free(struct entry *entry) {
    free(entry->key);
    free(entry->value);
    free(entry);
}

static dpl_status_t set(dpl_dict_t *dict, char *key, const char *value) {
    struct entry *entry = entry_of(dict, key), **bucket = bucket_of(dict, key);
    char *copy = strdup(value);

    if (entry && copy) {
        free(entry->value);
        entry->value = copy;
        free(key);
        return DPL_SUCCESS;
    }
    entry = copy ? malloc(sizeof *entry) : NULL;
    if (!entry) {
        free(copy);
        free(key);
        return DPL_ENOMEM;
    }
    *entry = (struct entry){.next = *bucket, .key = key, .value = copy};
    *bucket = entry;
    return DPL_SUCCESS;
}

dpl_status_t dpl_dict_add(dpl_dict_t *dict, const char *key, const char *value, int lowered) {
    char *copy = strdup(key);

    if (!copy)
        return DPL_ENOMEM;
    for (char *c = copy; lowered && *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return set(dict, copy, value);
}

char *dpl_dict_get_value(const dpl_dict_t *dict, const char *key) {
    struct entry *entry = entry_of(dict, key);

    return entry ? entry->value : NULL;
}

int dpl_dict_count(const dpl_dict_t *dict) {
    int n = 0;

    for (unsigned int i = 0; i < dict->n_buckets; i++)
        for (struct entry *entry = dict->buckets[i]; entry; entry = entry->next)
            n++;
    return n;
}

void dpl_dict_free(dpl_dict_t *dict) {
    for (unsigned int i = 0; i < dict->n_buckets; i++)
        for (struct entry *entry = dict->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            entry_free(entry);
        }
    free(dict->buckets);
    free(dict);
}
