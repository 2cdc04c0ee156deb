/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a probe's outcome means, for an operator: one sentence of what was seen, one of what to do.
 */
#ifndef HAGENT_PROBE_WORDS_H
#define HAGENT_PROBE_WORDS_H

#include <stddef.h>
#include <stdint.h>

#define PROBE_TEXT_MAX 512

struct probe_facts { /* what may stand in the sentences; NULL = "" */
	const char *server, *detail, *user, *from, *target, *step;
	unsigned port, seconds, mtu, works_mtu;
};

/* "10.8.0.1" */
const char *probe_address(uint32_t address, char out[static 16]);
/*
 * why is pptp_why_name()'s word or one of the probe's own. An unknown word gives the word itself
 * and no advice.
 */
void probe_words(const char *why, const struct probe_facts *f, char text[static PROBE_TEXT_MAX],
    char advice[static PROBE_TEXT_MAX]);
/* What a server's result code in a Start- or Call-Reply means, "" if it is not known. */
const char *probe_result_name(const char *why, unsigned result);

#endif
