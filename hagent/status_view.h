/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One screen of what the agent says: whether we are safe, who serves and who could, how old the
 * copy is, what happened last, and at the end what is wrong with what to do. Pure: JSON in, lines
 * out.
 */
#ifndef HAGENT_STATUS_VIEW_H
#define HAGENT_STATUS_VIEW_H

#include <jansson.h>

#include "hagent/screen.h"

/*
 * status: the agent's answer, with the files' state as "set" and the judgement (safety.h) as
 * "safety". The screen is new.
 */
struct screen *status_view(const json_t *status);
/* What can be said without the agent: pptpd's own answer, NULL = none, and why in both cases. */
struct screen *status_view_without_agent(
    const json_t *judgement, const json_t *pptpd, const char *why, const char *why_pptpd);
/* "SAFE", "AT RISK" or "DOWN", of a judgement. */
const char *status_view_word(const json_t *judgement);

#endif
