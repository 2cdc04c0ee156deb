/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Runs inputs from files through a fuzz target, so that its corpus is an ordinary test with any
 * compiler. Arguments are files and folders (their files, not their subfolders). Nothing to run is
 * a failure: a corpus that got lost must not look like one that passed.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Runs one file. The input is a block of its exact size, so that a sanitizer sees any overrun. */
static int
replay_file(const char *path)
{
	uint8_t *data = NULL;
	struct stat st;
	FILE *f = fopen(path, "rb");
	int rc = -1;

	if (f == NULL || fstat(fileno(f), &st) < 0)
		goto out;
	data = malloc(st.st_size > 0 ? (size_t)st.st_size : 1);
	if (data == NULL || fread(data, 1, (size_t)st.st_size, f) != (size_t)st.st_size)
		goto out;
	LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
	rc = 0;
out:
	if (rc < 0)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	free(data);
	if (f != NULL)
		fclose(f);
	return rc;
}

static int
is_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Counts what was run into *count. */
static int
replay(const char *path, unsigned *count)
{
	struct dirent **entries;
	struct stat st;
	int n, rc = 0;

	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
		++*count;
		return replay_file(path);
	}
	n = scandir(path, &entries, is_file, alphasort);
	if (n < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	for (int i = 0; i < n; i++) {
		char *name;

		if (asprintf(&name, "%s/%s", path, entries[i]->d_name) < 0)
			abort();
		if (stat(name, &st) == 0 && S_ISREG(st.st_mode)) {
			++*count;
			rc |= replay_file(name);
		}
		free(name);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

int
main(int argc, char **argv)
{
	unsigned count = 0;
	int rc = 0;

	for (int i = 1; i < argc; i++)
		rc |= replay(argv[i], &count);
	printf("replayed %u inputs\n", count);
	return rc == 0 && count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
