/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From cluster.conf and the templates to the text of each rendered file. Pure: no files, no kernel.
 */
#ifndef HAGENT_RENDER_H
#define HAGENT_RENDER_H

#include "hagent/cluster.h"

struct render_file {
	const char *path; /* absolute, without the root */
	const char *template;
};

/* guard.nft, gateway.nft, sysctl.conf. */
extern const struct render_file render_files[];
extern const size_t render_n_files;

/* The file's text for the node us, malloc'd; NULL with errno (EINVAL: the template is at fault). */
char *render_text(
    const struct cluster *c, const struct cluster_node *us, const struct render_file *file);

#endif
