/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The ring of samples: see web_history.h.
 */
#include "hagent/web_history.h"

static const char *const names[WEB_RATES] = {"rx_octets", "tx_octets", "rx_packets", "tx_packets"};

static uint64_t
number(const json_t *o, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(o, name));
}

/* Rates since the sample before, if there is one that can be compared. */
static void
rate(struct web_history *h, const json_t *pptpd, uint64_t now_ms, struct web_sample *s)
{
	const json_t *data = json_object_get(pptpd, "data");
	uint64_t uptime_ms = number(pptpd, "uptime_ms"), now[WEB_RATES];
	bool same = h->based && uptime_ms >= h->last_uptime_ms && now_ms > h->last_ms;

	for (int i = 0; i < WEB_RATES; i++) {
		now[i] = number(data, names[i]);
		same &= now[i] >= h->last[i];
	}
	for (int i = 0; i < WEB_RATES; i++) {
		if (same)
			s->rate[i] =
			    (double)(now[i] - h->last[i]) * 1000 / (double)(now_ms - h->last_ms);
		h->last[i] = now[i];
	}
	s->rated = same;
	h->based = true;
	h->last_ms = now_ms;
	h->last_uptime_ms = uptime_ms;
}

void
web_history_add(struct web_history *h, const json_t *pptpd, uint64_t now_ms)
{
	struct web_sample s = {.known = json_is_object(pptpd)};

	if (s.known) {
		s.sessions = (uint32_t)number(pptpd, "sessions");
		rate(h, pptpd, now_ms, &s);
	} else {
		h->based = false;
	}
	h->samples[h->next] = s;
	h->next = (h->next + 1) % WEB_HISTORY_SAMPLES;
	h->n += h->n < WEB_HISTORY_SAMPLES;
}

json_t *
web_history_json(const struct web_history *h, const char *end)
{
	json_t *o = json_pack("{s:i,s:s}", "step_s", WEB_HISTORY_STEP_S, "end", end);
	json_t *sessions = json_array();
	size_t first = (h->next + WEB_HISTORY_SAMPLES - h->n) % WEB_HISTORY_SAMPLES;

	for (int k = 0; k < WEB_RATES; k++) {
		json_t *list = json_array();

		for (size_t i = 0; i < h->n; i++) {
			const struct web_sample *s = &h->samples[(first + i) % WEB_HISTORY_SAMPLES];

			json_array_append_new(list,
			    s->rated ? json_integer((json_int_t)(s->rate[k] + 0.5)) : json_null());
		}
		json_object_set_new(o, names[k], list);
	}
	for (size_t i = 0; i < h->n; i++) {
		const struct web_sample *s = &h->samples[(first + i) % WEB_HISTORY_SAMPLES];

		json_array_append_new(sessions, s->known ? json_integer(s->sessions) : json_null());
	}
	json_object_set_new(o, "sessions", sessions);
	return o;
}
