/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reports of drills as text for a terminal. Pure but for stdio.
 */
#ifndef HAGENT_DRILL_TEXT_H
#define HAGENT_DRILL_TEXT_H

#include <jansson.h>
#include <stdio.h>

void drill_text(FILE *f, const json_t *report);
/* One line for a list; head: its title line instead. */
void drill_text_line(FILE *f, const json_t *summary);
void drill_text_head(FILE *f);

#endif
