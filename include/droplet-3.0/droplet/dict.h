/* Dictionaries. Generated from include/droplet-3.0.in and the Rust source; do not edit. */
#ifndef __DROPLET_DICT_H__
#define __DROPLET_DICT_H__ 1

#include <droplet.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An entry of a dictionary. */
struct dpl_dict_var {
    struct dpl_dict_var *prev;
    struct dpl_dict_var *next;
    char *key;
    dpl_value_t *val;
};

/** A dictionary: entries in buckets. */
struct dpl_dict {
    dpl_dict_var_t **buckets;
    unsigned int n_buckets;
};

/**
 * Makes an empty dictionary.
 *
 * @param n_buckets the number of buckets that entries are spread over, more than 0
 * @return the dictionary, to be freed with dpl_dict_free(); NULL for another number, or if memory is out
 */
dpl_dict_t *dpl_dict_new(int n_buckets);

/**
 * Frees a dictionary with its entries and their values. What a pointer among them points to is not freed.
 *
 * @param dict the dictionary; NULL has no effect
 *
 * @pre `dict` is NULL or a dictionary that is not used any more.
 */
void dpl_dict_free(dpl_dict_t *dict);

/**
 * Frees an entry with its value. It must not be in a dictionary: dpl_dict_remove() is for those.
 *
 * @param var the entry; NULL has no effect
 *
 * @pre `var` is NULL or an entry that is not used any more.
 */
void dpl_dict_var_free(dpl_dict_var_t *var);

/**
 * Returns the entry of a key.
 *
 * @param dict the dictionary
 * @param key the key, compared exactly
 * @return the entry, which the dictionary owns; NULL if there is none, or for NULL
 *
 * @pre `dict` is NULL or a dictionary; `key` is NULL or a string.
 */
dpl_dict_var_t *dpl_dict_get(const dpl_dict_t *dict, const char *key);

/**
 * Returns the entry of a key in lower case.
 *
 * @param dict the dictionary, whose entries were added with `lowered`
 * @param key the key, in upper or lower case
 * @param varp receives the entry, which the dictionary owns; may be NULL. Unchanged on error
 * @return DPL_SUCCESS; DPL_ENOENT if there is none; DPL_EINVAL for NULL
 *
 * @pre `dict` is NULL or a dictionary; `key` is NULL or a string; `varp` is NULL or writable.
 */
dpl_status_t dpl_dict_get_lowered(const dpl_dict_t *dict, const char *key, dpl_dict_var_t **varp);

/**
 * Returns the string of a key.
 *
 * @param dict the dictionary
 * @param key the key, compared exactly
 * @return the string, which the dictionary owns; NULL if there is none, if the value is not a string, or for
 *         NULL
 *
 * @pre `dict` is NULL or a dictionary; `key` is NULL or a string.
 */
char *dpl_dict_get_value(const dpl_dict_t *dict,
                         const char *key);

/**
 * Calls a function for each entry, until a call returns something other than DPL_SUCCESS.
 *
 * @param dict the dictionary
 * @param cb_func the function, which may remove the entry that it is called with
 * @param cb_arg passed to the function
 * @return the result of the last call; DPL_SUCCESS if there is no entry; DPL_EINVAL for NULL
 *
 * @pre `dict` is NULL or a dictionary that no other thread changes; `cb_func` is NULL or a function that takes
 * `cb_arg`.
 */
dpl_status_t dpl_dict_iterate(const dpl_dict_t *dict,
                              dpl_dict_func_t cb_func,
                              void *cb_arg);

/**
 * Returns the number of entries.
 *
 * @param dict the dictionary; NULL counts as empty
 *
 * @pre `dict` is NULL or a dictionary.
 */
int dpl_dict_count(const dpl_dict_t *dict);

/**
 * Writes a dictionary to a file, for people to read.
 *
 * @param dict the dictionary
 * @param f the file
 * @param level the number of spaces that lines are indented by
 *
 * @pre `dict` is NULL or a dictionary; `f` is NULL or open for writing.
 */
void dpl_dict_print(const dpl_dict_t *dict, FILE *f, int level);

/**
 * Removes an entry from a dictionary and frees it.
 *
 * @param dict the dictionary
 * @param var an entry of the dictionary; any other is left alone, with a line in the log
 *
 * @pre `dict` is NULL or a dictionary that only the caller uses.
 */
void dpl_dict_remove(dpl_dict_t *dict, dpl_dict_var_t *var);

/**
 * Copies a dictionary and all that it contains. A pointer is copied, but not what it points to.
 *
 * @param src the dictionary
 * @return the copy, to be freed with dpl_dict_free(); NULL for NULL, or if memory is out
 *
 * @pre `src` is NULL or a dictionary.
 */
dpl_dict_t *dpl_dict_dup(const dpl_dict_t *src);

/**
 * Sets the value of a key to a copy of a value.
 *
 * @param dict the dictionary
 * @param key the key, which is copied
 * @param value the value, which the caller keeps
 * @param lowered 0 to keep the key as it is, else to set it in lower case
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `dict` is NULL or a dictionary that only the caller uses; `key` is NULL or a string; `value` is NULL or a
 * value.
 */
dpl_status_t dpl_dict_add_value(dpl_dict_t *dict,
                                const char *key,
                                dpl_value_t *value,
                                int lowered);

/**
 * Sets the value of a key to a string.
 *
 * @param dict the dictionary
 * @param key the key, which is copied
 * @param string the string, which is copied
 * @param lowered 0 to keep the key as it is, else to set it in lower case
 * @return DPL_SUCCESS; DPL_EINVAL for NULL; DPL_ENOMEM
 *
 * @pre `dict` is NULL or a dictionary that only the caller uses; `key` and `string` are NULL or strings.
 */
dpl_status_t dpl_dict_add(dpl_dict_t *dict, const char *key, const char *string, int lowered);

/**
 * Sets copies of all entries of another dictionary.
 *
 * @param dst the dictionary
 * @param src the other one; NULL counts as empty
 * @return DPL_SUCCESS; DPL_FAILURE if `dst` is NULL; DPL_ENOMEM
 *
 * @pre `dst` is NULL or a dictionary that only the caller uses; `src` is NULL or a dictionary.
 */
dpl_status_t dpl_dict_copy(dpl_dict_t *dst, const dpl_dict_t *src);

/**
 * Sets copies of the entries whose key begins with a prefix. The prefix is removed from the key.
 *
 * @param dst the dictionary
 * @param src the dictionary that entries are copied from; NULL counts as empty
 * @param prefix the prefix, compared exactly; NULL matches no key
 * @return as dpl_dict_copy()
 *
 * @pre `dst` is NULL or a dictionary that only the caller uses; `src` is NULL or a dictionary; `prefix` is NULL
 * or a string.
 */
dpl_status_t dpl_dict_filter_prefix(dpl_dict_t *dst,
                                    const dpl_dict_t *src,
                                    const char *prefix);

/**
 * Sets copies of the entries whose key does not begin with a prefix.
 *
 * @param dst the dictionary
 * @param src the dictionary that entries are copied from; NULL counts as empty
 * @param prefix the prefix, compared exactly; with NULL nothing is set
 * @return as dpl_dict_copy()
 *
 * @pre As for dpl_dict_filter_prefix().
 */
dpl_status_t dpl_dict_filter_no_prefix(dpl_dict_t *dst, const dpl_dict_t *src, const char *prefix);

#ifdef __cplusplus
}
#endif

#endif
