/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent render: writes the files that cluster.conf decides, each replaced whole, and only if it
 * changed. With --check it writes nothing and shows what differs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hagent/drill_timer.h"
#include "hagent/hagent.h"
#include "hagent/render.h"

static const char *
next_line(const char *s)
{
	s += strcspn(s, "\n");
	return *s ? s + 1 : s;
}

static void
print_lines(char sign, const char *from, const char *to)
{
	while (from < to) {
		size_t len = strcspn(from, "\n");

		printf("%c%.*s\n", sign, (int)len, from);
		from = next_line(from);
	}
}

/* What lies between the common head and the common tail of both texts. */
static void
print_difference(const char *path, const char *have, const char *want)
{
	const char *a = have, *b = want, *a_end = have + strlen(have), *b_end = want + strlen(want);

	while (*a && strcspn(a, "\n") == strcspn(b, "\n") &&
	       memcmp(a, b, strcspn(a, "\n") + (a[strcspn(a, "\n")] == '\n')) == 0) {
		a = next_line(a);
		b = next_line(b);
	}
	while (a_end > a && b_end > b) {
		const char *x = a_end - 1, *y = b_end - 1;

		while (x > a && x[-1] != '\n')
			x--;
		while (y > b && y[-1] != '\n')
			y--;
		if (a_end - x != b_end - y || memcmp(x, y, (size_t)(a_end - x)) != 0)
			break;
		a_end = x;
		b_end = y;
	}
	printf("%s differs:\n", path);
	print_lines('-', a, a_end);
	print_lines('+', b, b_end);
}

/* One file: written if it changed, or only compared. 0 = is (now) as it should be, 1 = is not. */
static int
render_one(const struct hagent *h, const struct render_file *file, const char *text, bool check)
{
	char *path = hagent_path(h, file->path), *have = hagent_read(h, file->path);
	int status = HAGENT_OK;

	if (have && strcmp(have, text) == 0) {
		/* as it should be */
	} else if (!check) {
		if (hagent_replace(h, file->path, text, 0644) < 0)
			status = hagent_fail("%s: %s", path, strerror(errno));
		else
			printf("wrote %s\n", path);
	} else {
		status = HAGENT_FAIL;
		if (have)
			print_difference(path, have, text);
		else
			printf("%s is missing\n", path);
	}
	free(have);
	free(path);
	return status;
}

/* errno of render_text(), for people. */
static int
fail_to_render(const struct hagent *h, const char *path)
{
	switch (errno) {
	case EINVAL:
		return hagent_fail("--root: got \"%s\", want a path of letters, digits, -, _, +, . "
				   "and /",
		    h->root);
	case ENAMETOOLONG:
		return hagent_fail("--root: got \"%s\", want one that leaves room for a socket's "
				   "name",
		    h->root);
	case EBADMSG:
		return hagent_fail("%s%s: got something else, want the peer's public keys: hagent "
				   "keys import",
		    h->root, HAGENT_SSH);
	default:
		return hagent_fail("%s: %s", path, strerror(errno));
	}
}

static int
check_interfaces(const struct hagent *h, const struct cluster_node *us)
{
	struct conf_errors e = {0};
	char *file = hagent_path(h, HAGENT_CLUSTER);
	int status = cluster_check_interfaces(us, file, &e) < 0 ? HAGENT_FAIL : HAGENT_OK;

	if (e.text)
		fputs(e.text, stderr);
	conf_errors_fini(&e);
	free(file);
	return status;
}

static int
render_all(const struct hagent *h, const struct render *r, bool check)
{
	char *texts[16] = {NULL};
	int status = HAGENT_OK;

	/* All of them before the first is written. */
	for (size_t i = 0; i < render_n_files && status == HAGENT_OK; i++) {
		texts[i] = render_text(r, &render_files[i]);
		if (!texts[i])
			status = fail_to_render(h, render_files[i].path);
	}
	for (size_t i = 0; i < render_n_files && texts[i] && (status == HAGENT_OK || check); i++)
		status |= render_one(h, &render_files[i], texts[i], check);
	for (size_t i = 0; i < render_n_files; i++)
		free(texts[i]);
	return status;
}

static int
render(const struct hagent *h, const struct cluster *c, bool check)
{
	char *hagent = hagent_program("hagent"), *pptpd = hagent_program("pptpd");
	char *peer_id = hagent_read(h, HAGENT_PEER_ID),
	     *peer_host = hagent_read(h, HAGENT_PEER_HOST);
	const struct render r = {.cluster = c,
	    .us = cluster_node(c, h->node),
	    .root = h->root,
	    .hagent = hagent,
	    .pptpd = pptpd,
	    .peer_id = peer_id,
	    .peer_host = peer_host};
	int status;

	if (!r.us)
		status = hagent_fail("--node: got \"%s\", want %s or %s", h->node, c->nodes[0].name,
		    c->nodes[1].name);
	else if ((status = check_interfaces(h, r.us)) == HAGENT_OK)
		status = render_all(h, &r, check) | drill_timers_render(h, c, check);
	if (status == HAGENT_OK && !check && (!peer_id || !peer_host))
		puts("the peer's keys are missing: hagent keys import, then render again");
	free(hagent);
	free(pptpd);
	free(peer_id);
	free(peer_host);
	return status;
}

int
cmd_render(const struct hagent *h, int argc, char **argv)
{
	bool check = argc == 2 && strcmp(argv[1], "--check") == 0;

	if (argc == 2 && strcmp(argv[1], "-n") == 0)
		return cmd_check_config(h, 1, argv);
	if (argc != 1 && !check)
		return HAGENT_USAGE;
	struct cluster *c = hagent_cluster(h);
	if (!c)
		return HAGENT_FAIL;
	int status = render(h, c, check);
	cluster_free(c);
	return status;
}
