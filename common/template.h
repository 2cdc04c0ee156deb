/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Text templates for files that are rendered from cluster.conf. `@NAME@` (capitals, digits, `_`) is
 * replaced by its value. On a line of its own it stands for any number of lines: each gets the
 * indentation of the place, and an empty value takes the line away. Everything else is literal.
 */
#ifndef COMMON_TEMPLATE_H
#define COMMON_TEMPLATE_H

#include <stddef.h>

struct template_var {
	const char *name; /* without the @ signs */
	const char *value;
};

/*
 * Returns the expanded text, malloc'd, or NULL with errno: ENOMEM, or EINVAL for a name that vars
 * lacks (*bad, if not NULL, then points at it inside text).
 */
char *template_expand(
    const char *text, const struct template_var *vars, size_t n_vars, const char **bad);

#endif
