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

/* What a text is made from. */
struct render {
	const struct cluster *cluster;
	const struct cluster_node *us;
	const char *root;           /* "" or a path without a slash at its end */
	const char *hagent, *pptpd; /* the programs, absolute */
	const char *peer_id,
	    *peer_host; /* texts of the peer's public keys; NULL = not imported yet */
};

/* guard.nft, gateway.nft and sysctl.conf come first, in this order. */
extern const struct render_file render_files[];
extern const size_t render_n_files;

/*
 * The file's text, malloc'd; NULL with errno: EBADMSG = a peer's key is none; ENAMETOOLONG, EINVAL
 * = the root or a program's path is too long for a socket, or has characters with a meaning
 * elsewhere.
 */
char *render_text(const struct render *r, const struct render_file *file);

#endif
