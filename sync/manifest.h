/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A set of files and its manifest. Each set has a generation: the epoch in which it was changed, a
 * counter that every change raises, and the node that changed it; the greater one wins, so any two
 * sets have an order. A manifest also names its base: the last generation that its sender knows
 * both nodes to have had. From these two the receiver tells an update from a conflict. Pure: no
 * files, no clock.
 *
 *   {"format":1,"generation":{"epoch":3,"counter":7,"node":"gw1"},
 *    "base":{"epoch":3,"counter":6,"node":"gw2"},
 *    "files":[{"path":"/etc/ppp/chap-secrets","sha256":"…64 hex digits…","size":81,"mode":384}]}
 */
#ifndef SYNC_MANIFEST_H
#define SYNC_MANIFEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SET_FILES_MAX 24
#define SET_PATH_MAX  128 /* with its NUL */
#define SET_NODE_MAX  32
#define SET_SIZE_MAX  (16u << 20) /* of one file */
#define SET_SHA256    65          /* hex digits and NUL */

struct generation {
	uint64_t epoch, counter; /* 0, 0: nothing yet */
	char node[SET_NODE_MAX];
};

struct set_file {
	char path[SET_PATH_MAX]; /* absolute, without the root, clean: see set_path_ok() */
	char sha256[SET_SHA256];
	uint64_t size;
	unsigned mode; /* 0..0777, not writable by others than the owner */
	char *bytes;   /* malloc'd, with a NUL after it that size does not count; NULL = not read */
};

struct set {
	struct generation generation, base;
	struct set_file files[SET_FILES_MAX]; /* in the order of their paths */
	size_t n;
};

/* Wipes what was read and forgets it. */
void set_fini(struct set *s);
const struct set_file *set_find(const struct set *s, const char *path);
/* The same paths with the same contents and modes, whatever the generation. */
bool set_same(const struct set *a, const struct set *b);
/* Absolute; letters, digits, `.`, `_`, `-` between single slashes; no `.` or `..`; short enough. */
bool set_path_ok(const char *path);
/* Hex digits of the SHA-256 of the bytes. */
void set_checksum(const void *bytes, size_t len, char out[static SET_SHA256]);
/* Checksum over all paths, modes and checksums: what set_same() compares. */
void set_digest(const struct set *s, char out[static SET_SHA256]);

/* <0, 0, >0. Of equal epochs and counters, the node whose name sorts first is the greater. */
int generation_cmp(const struct generation *a, const struct generation *b);
bool generation_none(const struct generation *g);
/* "3.7.gw1"; "none". Rotating buffers. */
const char *generation_text(const struct generation *g);
json_t *generation_to_json(const struct generation *g);
/* 0, or -1 with *why, a text of what is wrong. */
int generation_from_json(struct generation *g, const json_t *j, const char **why);

/* New reference, NULL on ENOMEM. */
json_t *set_to_json(const struct set *s);
/* Fills s, without bytes. 0, or -1 with *why and s empty. Members that it does not know are passed
 * over. */
int set_from_json(struct set *s, const json_t *j, const char **why);

enum set_verdict {
	SET_SAME,     /* the contents are the same: adopt the greater generation */
	SET_INSTALL,  /* theirs is newer and ours is not a change of its own */
	SET_CONFLICT, /* theirs is newer, but both changed: install it and keep ours aside */
	SET_STALE     /* ours is newer: theirs is not wanted */
};

/*
 * What to do with a set that the peer offers. ours: the generation of what is here now, none if
 * there is no whole set; common: the last that we know both nodes to have had; theirs, base: from
 * the offer; same: the contents do not differ.
 */
enum set_verdict set_decide(bool same, const struct generation *ours,
    const struct generation *common, const struct generation *theirs,
    const struct generation *base);

#endif
