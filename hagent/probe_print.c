/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A probe's report for people: one line a step, then what is wrong and what to do.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hagent/probe.h"
#include "hagent/term.h"
#include "hagent/words.h"

static double
ms_of(const json_t *o, const char *name)
{
	return json_number_value(json_object_get(o, name));
}

static const char *
note_of(const char *step, const json_t *r, char out[static 160])
{
	json_t *name;
	size_t i, n;

	out[0] = '\0';
	if (strcmp(step, "tcp") == 0)
		snprintf(out, 160, "from %s", words_text(r, "from"));
	else if (strcmp(step, "start") == 0)
		snprintf(out, 160, "it calls itself \"%.60s\" of \"%.60s\"", words_text(r, "host"),
		    words_text(r, "vendor"));
	else if (strcmp(step, "lcp") == 0)
		snprintf(out, 160, "GRE passes in both directions");
	else if (strcmp(step, "auth") == 0)
		snprintf(out, 160, "MS-CHAPv2, the server has proven itself");
	else if (strcmp(step, "ccp") == 0)
		snprintf(out, 160, "MPPE %s", words_text(r, "mppe"));
	if (strcmp(step, "ipcp") != 0 || !*words_text(r, "address"))
		return out;
	n = (size_t)snprintf(out, 160, "address %s, server %s, MTU %lld", words_text(r, "address"),
	    words_text(r, "server_address"), words_number(r, "mtu"));
	json_array_foreach(json_object_get(r, "dns"), i, name)
	{
		if (n < 140)
			n += (size_t)snprintf(out + n, 160 - n, "%s%s", i == 0 ? ", DNS " : " ",
			    json_string_value(name));
	}
	return out;
}

static void
print_steps(const json_t *r)
{
	const json_t *ms = json_object_get(r, "ms");
	char note[160];

	for (enum pptp_step i = 0; i < PPTP_STEPS; i++) {
		const char *step = pptp_step_name(i);

		if (json_object_get(ms, step) == NULL)
			return;
		printf("  %-8s %9.1f ms  %s\n", step, ms_of(ms, step), note_of(step, r, note));
	}
}

static void
print_ping(const json_t *r)
{
	const json_t *ping = json_object_get(r, "ping");
	long long largest = words_number(r, "largest");

	if (words_number(ping, "received") > 0) {
		printf("  %-8s %9.1f ms  %s answers", "ping", ms_of(ping, "rtt_ms_min"),
		    words_text(ping, "target"));
		if (largest > 0)
			printf(", packets of %lld bytes pass", largest);
		putchar('\n');
	}
}

static void
print_held(const json_t *r)
{
	const json_t *held = json_object_get(r, "held");

	if (held == NULL)
		return;
	printf("  %-8s %9.1f s   %lld pings, %lld lost, longest gap %.1f ms", "held",
	    ms_of(held, "for_ms") / 1000, words_number(held, "sent"), words_number(held, "lost"),
	    ms_of(held, "gap_ms_max"));
	if (json_object_get(held, "rtt_ms_mean") != NULL)
		printf(", round trip %.1f/%.1f/%.1f ms", ms_of(held, "rtt_ms_min"),
		    ms_of(held, "rtt_ms_mean"), ms_of(held, "rtt_ms_max"));
	putchar('\n');
}

static void
print_targets(const json_t *r)
{
	const json_t *http = json_object_get(r, "http"), *ms = json_object_get(http, "ms");
	json_t *t;
	size_t i;

	json_array_foreach(json_object_get(r, "targets"), i, t)
	{
		printf("  %-8s ", words_text(t, "name"));
		if (json_object_get(t, "ms") != NULL)
			printf("%9.1f ms  ", ms_of(t, "ms"));
		else
			printf("%9s     ", "");
		printf("%s %s", words_text(t, "protocol"), words_text(t, "address"));
		if (words_number(t, "port") > 0)
			printf(":%lld", words_number(t, "port"));
		if (strcmp(words_text(t, "found"), "silent") == 0 && words_is(t, "ok"))
			puts(" says nothing, as UDP does");
		else
			printf(" %s\n", words_text(t, "found"));
	}
	if (words_is(http, "ok"))
		printf("  %-8s %9.1f ms  status %lld, %lld bytes, connected after %.1f ms%s\n",
		    "http", ms_of(ms, "total"), words_number(http, "status"),
		    words_number(http, "bytes"), ms_of(ms, "connect"),
		    ms_of(ms, "tls") > 0 ? ", TLS" : "");
}

void
probe_print(const json_t *r)
{
	bool ok = words_is(r, "ok");
	enum term_style style = ok ? TERM_GOOD : TERM_BAD;
	struct term t;

	term_look(&t, STDOUT_FILENO);
	printf("%s  %s%s%s", words_text(r, "server"), term_on(&t, style), ok ? "OK" : "FAILED",
	    term_off(&t, style));
	if (!ok)
		printf(" at %s (%s)", words_text(r, "step"), words_text(r, "why"));
	printf(", %.1f ms in all\n", ms_of(json_object_get(r, "ms"), "total"));
	print_steps(r);
	print_ping(r);
	print_targets(r);
	print_held(r);
	if (!ok)
		printf("%s\n", words_text(r, "text"));
	if (!ok && *words_text(r, "advice"))
		printf("What to do: %s.\n", words_text(r, "advice"));
}
