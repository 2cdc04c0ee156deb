/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Runs files, or every file of folders, through a fuzz target without libFuzzer, so that a corpus
 * replays as an ordinary test. A run that finds no file fails: it would test nothing.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned inputs;

static int
replay_file(const char *path, size_t size)
{
	uint8_t *data = malloc(size ? size : 1);
	FILE *in = fopen(path, "rb");
	int rc = -1;

	if (data && in && fread(data, 1, size, in) == size) {
		LLVMFuzzerTestOneInput(data, size);
		inputs++;
		rc = 0;
	} else {
		perror(path);
	}
	if (in)
		fclose(in);
	free(data);
	return rc;
}

static int
replay(const char *path)
{
	struct stat st;
	struct dirent **names;
	int n, rc = 0;

	if (stat(path, &st) < 0) {
		perror(path);
		return -1;
	}
	if (!S_ISDIR(st.st_mode))
		return replay_file(path, (size_t)st.st_size);
	n = scandir(path, &names, NULL, alphasort);
	if (n < 0) {
		perror(path);
		return -1;
	}
	for (int i = 0; i < n; i++) {
		char *file;

		if (names[i]->d_name[0] != '.' &&
		    asprintf(&file, "%s/%s", path, names[i]->d_name) > 0) {
			rc |= replay(file);
			free(file);
		}
		free(names[i]);
	}
	free(names);
	return rc;
}

int
main(int argc, char **argv)
{
	int rc = 0;

	for (int i = 1; i < argc; i++)
		rc |= replay(argv[i]);
	printf("%u inputs\n", inputs);
	return rc < 0 || inputs == 0 ? 1 : 0;
}
