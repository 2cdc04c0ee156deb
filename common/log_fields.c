/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The pairs of a line.
 */
#include "common/log_fields.h"

#include <string.h>

/* The length of a key that stands here with its '=', 0 = there is none. */
static size_t
key_length(const char *at)
{
	size_t len = strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return len > 0 && len < LOG_KEY_MAX && at[len] == '=' && at[0] >= 'a' ? len : 0;
}

/* The beginning of the next word. */
static const char *
next_word(const char *at)
{
	at += strcspn(at, " ");
	return at + strspn(at, " ");
}

size_t
log_event(const char *line, const char **rest)
{
	const char *at = line;

	while (*at && key_length(at) == 0)
		at = next_word(at);
	*rest = at;
	while (at > line && at[-1] == ' ')
		at--;
	return (size_t)(at - line);
}

bool
log_next_pair(const char **rest, struct log_pair *out)
{
	const char *at = *rest + strspn(*rest, " ");
	size_t len = 0;

	while (*at && (len = key_length(at)) == 0)
		at = next_word(at);
	*rest = at;
	if (!*at)
		return false;
	memcpy(out->key, at, len);
	out->key[len] = '\0';
	at += len + 1;
	if (*at == '"') {
		out->value = at + 1;
		out->value_len = strcspn(at + 1, "\"");
		at += 1 + out->value_len;
		at += *at == '"';
	} else {
		out->value = at;
		out->value_len = strcspn(at, " ");
		at += out->value_len;
	}
	*rest = at;
	return true;
}
