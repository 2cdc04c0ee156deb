/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sets of files: their manifests, their order, and what becomes of two of them.
 */
#include "sync/manifest.h"

#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT         1
#define MODE_MASK      0777
#define MODE_REFUSED   (MODE_MASK & 022)
#define GENERATION_MAX (UINT64_C(1) << 52) /* JSON readers keep this much exactly */

void
set_fini(struct set *s)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->files[i].bytes)
			explicit_bzero(s->files[i].bytes, s->files[i].size);
		free(s->files[i].bytes);
	}
	*s = (struct set){0};
}

const struct set_file *
set_find(const struct set *s, const char *path)
{
	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(s->files[i].path, path) == 0)
			return &s->files[i];
	}
	return NULL;
}

bool
set_same(const struct set *a, const struct set *b)
{
	for (size_t i = 0; i < a->n && i < b->n; i++) {
		if (strcmp(a->files[i].path, b->files[i].path) != 0 ||
		    strcmp(a->files[i].sha256, b->files[i].sha256) != 0 ||
		    a->files[i].mode != b->files[i].mode)
			return false;
	}
	return a->n == b->n;
}

bool
set_path_ok(const char *path)
{
	const char *p = path;

	if (*p != '/' || strlen(path) >= SET_PATH_MAX)
		return false;
	while (*p == '/') {
		size_t len = strspn(++p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789._-");

		if (len == 0 || (len <= 2 && strspn(p, ".") == len))
			return false;
		p += len;
	}
	return *p == '\0';
}

static void
finish(struct sha256_ctx *ctx, char out[static SET_SHA256])
{
	uint8_t digest[SHA256_DIGEST_SIZE];

	sha256_digest(ctx, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

void
set_checksum(const void *bytes, size_t len, char out[static SET_SHA256])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, len, bytes);
	finish(&ctx, out);
}

void
set_digest(const struct set *s, char out[static SET_SHA256])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	for (size_t i = 0; i < s->n; i++) {
		char line[SET_PATH_MAX + SET_SHA256 + 8];
		int len = snprintf(line, sizeof(line), "%s %s %o\n", s->files[i].path,
		    s->files[i].sha256, s->files[i].mode);

		sha256_update(&ctx, (size_t)len, (const uint8_t *)line);
	}
	finish(&ctx, out);
}

/* ---- generations ---- */

int
generation_cmp(const struct generation *a, const struct generation *b)
{
	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	if (a->counter != b->counter)
		return a->counter < b->counter ? -1 : 1;
	/* As with epochs: the node whose name sorts first is in force. */
	return strcmp(b->node, a->node);
}

bool
generation_none(const struct generation *g)
{
	return g->epoch == 0 && g->counter == 0;
}

const char *
generation_text(const struct generation *g)
{
	static _Thread_local char buffers[4][80];
	static _Thread_local unsigned turn;
	char *text = buffers[turn++ % 4];

	if (generation_none(g))
		return "none";
	snprintf(
	    text, sizeof(buffers[0]), "%" PRIu64 ".%" PRIu64 ".%s", g->epoch, g->counter, g->node);
	return text;
}

json_t *
generation_to_json(const struct generation *g)
{
	return json_pack("{s:I, s:I, s:s}", "epoch", (json_int_t)g->epoch, "counter",
	    (json_int_t)g->counter, "node", g->node);
}

/* A member that must be an integer of 0..max. */
static bool
take_number(const json_t *j, const char *name, uint64_t max, uint64_t *out)
{
	const json_t *number = json_object_get(j, name);
	json_int_t value = json_integer_value(number);

	*out = (uint64_t)value;
	return json_is_integer(number) && value >= 0 && (uint64_t)value <= max;
}

/* A member that must be a string that fits. */
static bool
take_string(const json_t *j, const char *name, char *out, size_t size)
{
	const json_t *string = json_object_get(j, name);
	size_t len = json_string_length(string);

	if (!json_is_string(string) || len >= size || strlen(json_string_value(string)) != len)
		return false;
	memcpy(out, json_string_value(string), len + 1);
	return true;
}

static bool
node_ok(const char *s)
{
	return strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
	       strlen(s);
}

int
generation_from_json(struct generation *g, const json_t *j, const char **why)
{
	*g = (struct generation){0};
	if (take_number(j, "epoch", GENERATION_MAX, &g->epoch) &&
	    take_number(j, "counter", GENERATION_MAX, &g->counter) &&
	    take_string(j, "node", g->node, sizeof(g->node)) && node_ok(g->node) &&
	    (g->node[0] || generation_none(g)))
		return 0;
	*g = (struct generation){0};
	*why = "generation: want {epoch, counter, node}";
	return -1;
}

/* ---- manifests ---- */

json_t *
set_to_json(const struct set *s)
{
	json_t *files = json_array();

	for (size_t i = 0; i < s->n; i++)
		json_array_append_new(
		    files, json_pack("{s:s, s:s, s:I, s:i}", "path", s->files[i].path, "sha256",
			       s->files[i].sha256, "size", (json_int_t)s->files[i].size, "mode",
			       (int)s->files[i].mode));
	return json_pack("{s:i, s:o, s:o, s:o}", "format", FORMAT, "generation",
	    generation_to_json(&s->generation), "base", generation_to_json(&s->base), "files",
	    files);
}

static int
file_from_json(struct set_file *f, const json_t *j, const char **why)
{
	uint64_t mode;

	if (!take_string(j, "path", f->path, sizeof(f->path)) || !set_path_ok(f->path))
		*why = "path: want a clean absolute path";
	else if (!take_string(j, "sha256", f->sha256, sizeof(f->sha256)) ||
		 strspn(f->sha256, "0123456789abcdef") != SET_SHA256 - 1)
		*why = "sha256: want 64 hex digits";
	else if (!take_number(j, "size", SET_SIZE_MAX, &f->size))
		*why = "size: want 0..16777216";
	else if (!take_number(j, "mode", MODE_MASK, &mode) || (mode & MODE_REFUSED) != 0)
		*why = "mode: want at most 0755";
	else {
		f->mode = (unsigned)mode;
		return 0;
	}
	return -1;
}

static int
files_from_json(struct set *s, const json_t *files, const char **why)
{
	if (!json_is_array(files) || json_array_size(files) > SET_FILES_MAX) {
		*why = "files: want at most 24 files";
		return -1;
	}
	for (size_t i = 0; i < json_array_size(files); i++) {
		if (file_from_json(&s->files[i], json_array_get(files, i), why) < 0)
			return -1;
		if (i > 0 && strcmp(s->files[i - 1].path, s->files[i].path) >= 0) {
			*why = "files: want each path once, in order";
			return -1;
		}
		s->n = i + 1;
	}
	return 0;
}

int
set_from_json(struct set *s, const json_t *j, const char **why)
{
	uint64_t format;

	*s = (struct set){0};
	if (!take_number(j, "format", UINT32_MAX, &format) || format != FORMAT)
		*why = "format: want 1";
	else if (generation_from_json(&s->generation, json_object_get(j, "generation"), why) == 0 &&
		 generation_from_json(&s->base, json_object_get(j, "base"), why) == 0 &&
		 files_from_json(s, json_object_get(j, "files"), why) == 0)
		return 0;
	*s = (struct set){0};
	return -1;
}

/* ---- the decision ---- */

enum set_verdict
set_decide(bool same, const struct generation *ours, const struct generation *common,
    const struct generation *theirs, const struct generation *base)
{
	if (same)
		return SET_SAME;
	if (generation_none(ours))
		return SET_INSTALL;
	if (generation_cmp(theirs, ours) <= 0)
		return SET_STALE;
	/* An acknowledgement can get lost: if theirs was made from ours, nothing of ours is lost.
	 */
	if (generation_cmp(ours, common) != 0 && generation_cmp(ours, base) != 0)
		return SET_CONFLICT;
	return SET_INSTALL;
}
