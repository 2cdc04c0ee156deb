/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The list is told as a whole each time, so what is new is what counts more than before.
 */
#include "pptpd/engine/suspects.h"

#include "pptpd/engine/ctrl.h"
#include "pptpd/engine/session.h"

unsigned
suspects_count(const struct engine *e, uint64_t id)
{
	return crash_count(&e->suspects.crashes, id, (int64_t)wall_now_ms());
}

bool
suspects_close(struct session *s)
{
	struct engine *e = s->engine;
	unsigned own = suspects_count(e, s->id);
	unsigned of_ctrl = s->ctrl != NULL ? suspects_count(e, s->ctrl->id) : 0;

	if (own < SUSPECTS_CRASHES && of_ctrl < SUSPECTS_CRASHES)
		return false;
	log_warn("session closed: in hand at crashes call=%u peer=%s crashes=%u", s->call_id,
	    conf_ipv4(s->peer_ip), own > of_ctrl ? own : of_ctrl);
	e->suspects.closed++;
	session_close(s, END_SUSPECT, true);
	return true;
}

/* Says which of ours are suspect now and were less so before. */
static void
name_new(const struct engine *e, const struct crashes *before, const struct session *s)
{
	int64_t now = (int64_t)wall_now_ms();
	unsigned n = suspects_count(e, s->id);

	if (n > crash_count(before, s->id, now))
		log_warn("session suspect: in hand at a crash call=%u peer=%s crashes=%u",
		    s->call_id, conf_ipv4(s->peer_ip), n);
}

int
suspects_tell(struct engine *e, const json_t *crashes)
{
	struct crashes before = e->suspects.crashes, now;

	if (crash_from_json(crashes, &now) < 0)
		return -1;
	e->suspects.crashes = now;
	if (now.n == 0)
		return 0;
	for (unsigned id = 1; id <= 65535; id++) {
		struct session *s = e->by_call[id];

		if (s == NULL || s->call.state == CALL_CLOSED)
			continue;
		name_new(e, &before, s);
		(void)suspects_close(s);
	}
	return 0;
}

bool
suspects_continued(struct session *s)
{
	if (suspects_close(s))
		return true;
	name_new(s->engine, &(const struct crashes){0}, s);
	return false;
}

json_t *
suspects_json(const struct engine *e)
{
	return json_pack("{s:i,s:I}", "crashes", (int)e->suspects.crashes.n, "closed",
	    (json_int_t)e->suspects.closed);
}
