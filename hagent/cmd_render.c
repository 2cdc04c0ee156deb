/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent render: writes the files that cluster.conf decides, each replaced whole, and only if it
 * changed. With --check it writes nothing and shows what differs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hagent/hagent.h"
#include "hagent/render.h"

static int
write_all(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A new file beside path, synced, then moved over it. */
static int
replace_file(const char *path, const char *text)
{
	char *temporary;
	int fd, rc = -1;

	if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
		return -1;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd >= 0) {
		if (write_all(fd, text) == 0 && fchmod(fd, 0644) == 0 && fsync(fd) == 0 &&
		    rename(temporary, path) == 0)
			rc = 0;
		else
			unlink(temporary);
		close(fd);
	}
	free(temporary);
	return rc;
}

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
		if (replace_file(path, text) < 0)
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

static int
render_all(const struct hagent *h, const struct cluster *c, bool check)
{
	const struct cluster_node *us = cluster_node(c, h->node);
	char *texts[8] = {NULL};
	int status = HAGENT_OK;

	if (!us)
		return hagent_fail("--node: got \"%s\", want %s or %s", h->node, c->nodes[0].name,
		    c->nodes[1].name);
	/* All of them before the first is written. */
	for (size_t i = 0; i < render_n_files && status == HAGENT_OK; i++) {
		texts[i] = render_text(c, us, &render_files[i]);
		if (!texts[i])
			status = hagent_fail("%s: %s", render_files[i].path, strerror(errno));
	}
	for (size_t i = 0; i < render_n_files && texts[i] && (status == HAGENT_OK || check); i++)
		status |= render_one(h, &render_files[i], texts[i], check);
	for (size_t i = 0; i < render_n_files; i++)
		free(texts[i]);
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
	int status = render_all(h, c, check);
	cluster_free(c);
	return status;
}
