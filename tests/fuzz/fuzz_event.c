/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Lines of logs, and events as the peer sends them: whatever stands there, what an operator's
 * terminal gets is printable, whole and one line, and its parts lie within it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/log_fields.h"
#include "hagent/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_word(const char *text, size_t size)
{
	if (!memchr(text, '\0', size))
		abort();
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			abort();
	}
}

static void
check_event(const struct event *e)
{
	const char *rest, *end = e->text + strlen(e->text);
	struct log_pair pair;
	json_t *packed, *o;
	struct event again;

	check_word(e->program, sizeof(e->program));
	check_word(e->level, sizeof(e->level));
	check_word(e->text, sizeof(e->text));
	if (e->text + log_event(e->text, &rest) > end)
		abort();
	while (log_next_pair(&rest, &pair)) {
		if (pair.value < e->text || pair.value + pair.value_len > end || rest > end)
			abort();
	}
	packed = event_pack(e);
	if (!event_unpack(packed, &again) || again.ms != e->ms || strcmp(again.text, e->text) != 0)
		abort();
	o = event_json(e, "gw1");
	if (!o)
		abort();
	json_decref(o);
	json_decref(packed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = strndup((const char *)data, size);
	json_t *o = json_loadb((const char *)data, size, 0, NULL);
	const char *cursor;
	struct event e;

	if (!line)
		return 0;
	event_of_log(line, &e);
	check_event(&e);
	if (event_of_journal(line, &e))
		check_event(&e);
	if (event_of_audit(line, &e))
		check_event(&e);
	if (o && event_of_journald(o, &e, &cursor))
		check_event(&e);
	if (o && event_unpack(o, &e))
		check_event(&e);
	if (event_since(line, 1795286320876) < -1)
		abort();
	json_decref(o);
	free(line);
	return 0;
}
