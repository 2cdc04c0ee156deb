/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent keys: this gateway's two ed25519 keys (one to come in at the peer with, one for our own
 * sshd) and the peer's public halves. Private keys are readable by the pair's own user alone: its
 * sshd, and the link that dials the peer, run as that. What exists is never made anew.
 */
#include <errno.h>
#include <pwd.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hagent/hagent.h"
#include "hagent/pubkey.h"

extern char **environ;

/* Runs it to its end; its messages are for the operator. */
static int
run(const char *const *argv)
{
	pid_t pid;
	int status,
	    rc = posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ);

	if (rc != 0)
		return hagent_fail("%s: %s", argv[0], strerror(rc));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return hagent_fail("%s failed", argv[0]);
	return HAGENT_OK;
}

/* The pair's user; made if we may. *pw is NULL when we are not root, and then nothing is owned by
 * it. */
static int
need_user(const struct passwd **pw)
{
	static const char *const useradd[] = {"useradd", "--system", "--user-group", "--home-dir",
	    "/", "--no-create-home", "--shell", "/bin/sh", HAGENT_USER, NULL};

	*pw = NULL;
	if (geteuid() != 0)
		return HAGENT_OK;
	if (!getpwnam(HAGENT_USER) && run(useradd) != HAGENT_OK)
		return HAGENT_FAIL;
	*pw = getpwnam(HAGENT_USER);
	return *pw ? HAGENT_OK : hagent_fail("user %s: it is still missing", HAGENT_USER);
}

static int
make_key(const struct hagent *h, const struct passwd *pw, const char *path, const char *comment)
{
	char *full = hagent_path(h, path);
	const char *const keygen[] = {
	    "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", full, NULL};
	int status = HAGENT_OK;

	if (access(full, F_OK) == 0) {
		printf("kept %s\n", full);
	} else {
		status = run(keygen);
		if (status == HAGENT_OK)
			printf("made %s\n", full);
	}
	if (status == HAGENT_OK &&
	    (chmod(full, 0600) < 0 || (pw && chown(full, pw->pw_uid, pw->pw_gid) < 0)))
		status = hagent_fail("%s: %s", full, strerror(errno));
	free(full);
	return status;
}

static int
init(const struct hagent *h)
{
	char *dir = hagent_path(h, HAGENT_SSH), id[300], host[300];
	const struct passwd *pw;
	int status = HAGENT_FAIL;

	snprintf(id, sizeof(id), "%s-id", h->node);
	snprintf(host, sizeof(host), "%s-host", h->node);
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		hagent_fail("%s: %s", dir, strerror(errno));
	else if (need_user(&pw) == HAGENT_OK && make_key(h, pw, HAGENT_ID, id) == HAGENT_OK)
		status = make_key(h, pw, HAGENT_HOST_KEY, host);
	free(dir);
	return status;
}

static int
show(const struct hagent *h)
{
	static const struct {
		const char *what, *path;
		bool ours;
	} keys[] = {
	    {"id", HAGENT_ID ".pub", true},
	    {"host", HAGENT_HOST_KEY ".pub", true},
	    {"peer-id", HAGENT_PEER_ID, false},
	    {"peer-host", HAGENT_PEER_HOST, false},
	};
	int status = HAGENT_OK;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char *text = hagent_read(h, keys[i].path);

		if (text)
			printf("%s: %.*s\n", keys[i].what, (int)strcspn(text, "\n"), text);
		else if (errno != ENOENT)
			status = hagent_fail("%s%s: %s", h->root, keys[i].path, strerror(errno));
		else
			printf("%s: none yet: hagent keys %s\n", keys[i].what,
			    keys[i].ours ? "init" : "import");
		free(text);
	}
	return status;
}

/* True if it is one of ours, by mistake. */
static bool
is_ours(const struct hagent *h, const char *path, const char *key)
{
	char *text = hagent_read(h, path), ours[PUBKEY_MAX];
	bool same = text && pubkey_parse(text, ours) == 0 && strcmp(ours, key) == 0;

	free(text);
	return same;
}

/* The key of a file of the operator's; path is not below the root. */
static int
read_key(const struct hagent *h, const char *path, char key[static PUBKEY_MAX])
{
	const struct hagent nowhere = {.node = h->node, .root = ""};
	char *text = hagent_read(&nowhere, path);
	int status = HAGENT_OK;

	if (!text)
		status = hagent_fail("%s: %s", path, strerror(errno));
	else if (pubkey_parse(text, key) < 0)
		status = hagent_fail("%s: got something else, want an ed25519 public key", path);
	else if (is_ours(h, HAGENT_ID ".pub", key) || is_ours(h, HAGENT_HOST_KEY ".pub", key))
		status = hagent_fail("%s: got a key of this node, want the peer's", path);
	free(text);
	return status;
}

static int
write_key(const struct hagent *h, const char *path, const char *key)
{
	char line[PUBKEY_MAX + 1];

	snprintf(line, sizeof(line), "%s\n", key);
	if (hagent_replace(h, path, line, 0644) < 0)
		return hagent_fail("%s%s: %s", h->root, path, strerror(errno));
	printf("wrote %s%s\n", h->root, path);
	return HAGENT_OK;
}

static int
import(const struct hagent *h, const char *id_path, const char *host_path)
{
	char id[PUBKEY_MAX], host[PUBKEY_MAX];

	if (read_key(h, id_path, id) != HAGENT_OK || read_key(h, host_path, host) != HAGENT_OK)
		return HAGENT_FAIL;
	if (strcmp(id, host) == 0)
		return hagent_fail(
		    "%s: got the same key as %s, want the peer's host key", host_path, id_path);
	if (write_key(h, HAGENT_PEER_ID, id) != HAGENT_OK ||
	    write_key(h, HAGENT_PEER_HOST, host) != HAGENT_OK)
		return HAGENT_FAIL;
	puts("now render again");
	return HAGENT_OK;
}

int
cmd_keys(const struct hagent *h, int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "init") == 0)
		return init(h);
	if (argc == 2 && strcmp(argv[1], "show") == 0)
		return show(h);
	if (argc == 4 && strcmp(argv[1], "import") == 0)
		return import(h, argv[2], argv[3]);
	return HAGENT_USAGE;
}
