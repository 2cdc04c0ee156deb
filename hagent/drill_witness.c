/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Witness and load: sessions that are opened for a drill, by programs of their own. The witness is
 * the operator's command, or `hagent probe` here with an account of chap-secrets; the load is that
 * many probes.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hagent/drill_drive.h"
#include "hagent/drill_sniff.h"
#include "hagent/words.h"

#define OUTPUT_MAX (256 << 10)
#define END_MS     4000

/* ---- the account ---- */

/* Its password from chap-secrets, in memory that no other program sees: a descriptor, or -1. */
static int
password_of(const struct hagent *h, const char *account)
{
	char *text = hagent_read(h, "/etc/ppp/chap-secrets"), *save = NULL;
	int fd = -1;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line && fd < 0;
	     line = strtok_r(NULL, "\n", &save)) {
		char user[128], server[128], secret[256];

		if (sscanf(line, " %127s %127s %255s", user, server, secret) != 3 ||
		    strcmp(user, account) != 0)
			continue;
		size_t len = strlen(secret);
		const char *word = secret;
		if (len >= 2 && *secret == '"' && secret[len - 1] == '"') {
			word++;
			len -= 2;
		}
		fd = memfd_create("secret", 0);
		if (fd >= 0 &&
		    (write(fd, word, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) < 0)) {
			close(fd);
			fd = -1;
		}
		explicit_bzero(secret, sizeof(secret));
	}
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
	return fd;
}

/* ---- children ---- */

/* Its output is read from *out. The pid, or -1. */
static pid_t
start(const char *const *argv, int *out)
{
	char *words[24];
	int fds[2];
	pid_t pid;
	size_t n = 0;

	for (; argv[n] && n < 23; n++)
		memcpy(&words[n], &argv[n], sizeof(char *)); /* exec's prototype lacks const */
	words[n] = NULL;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		signal(SIGTERM, SIG_DFL);
		dup2(null, 0);
		dup2(fds[1], 1);
		dup2(null, 2);
		execvp(words[0], words);
		_exit(127);
	}
	close(fds[1]);
	if (pid < 0)
		close(fds[0]);
	else
		*out = fds[0];
	return pid;
}

/* Told to end; what it printed, malloc'd, or NULL. */
static char *
end(pid_t *pid, int *out)
{
	int64_t until_us = drill_now_us() + END_MS * 1000LL;
	char *text = calloc(1, OUTPUT_MAX + 1);
	size_t len = 0;
	int status;

	kill(-*pid, SIGTERM);
	while (text && drill_now_us() < until_us && len < OUTPUT_MAX) {
		struct pollfd fd = {.fd = *out, .events = POLLIN};
		ssize_t n;

		if (poll(&fd, 1, 100) <= 0)
			continue;
		n = read(*out, text + len, OUTPUT_MAX - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	kill(-*pid, SIGKILL);
	while (waitpid(*pid, &status, 0) < 0 && errno == EINTR)
		;
	close(*out);
	*pid = 0;
	*out = -1;
	return text;
}

/* ---- the probe ---- */

static pid_t
start_probe(struct drill_drive *d, unsigned seconds, int *out)
{
	char *self = hagent_program("hagent"), vip[16], file[32], held[16];
	int secret = password_of(d->h, d->plan.account);
	const char *const argv[] = {self, "--node", d->h->node, "--root", d->h->root, "probe", vip,
	    "--user", d->plan.account, "--password-file", file, "--for", held, "--interval", "20ms",
	    "--json", NULL};
	pid_t pid = -1;

	snprintf(vip, sizeof(vip), "%s", conf_ipv4(d->peer.dial.cluster->vip_wan.address));
	snprintf(file, sizeof(file), "/proc/self/fd/%d", secret);
	snprintf(held, sizeof(held), "%us", seconds);
	errno = ENOENT;
	if (secret >= 0) {
		pid = start(argv, out);
		close(secret);
	}
	free(self);
	return pid;
}

int
drill_witness_start(struct drill_drive *d, unsigned seconds)
{
	char vip[16], length[16];
	const char *const argv[] = {d->plan.witness_command, vip, length, NULL};

	snprintf(vip, sizeof(vip), "%s", conf_ipv4(d->peer.dial.cluster->vip_wan.address));
	snprintf(length, sizeof(length), "%u", seconds);
	if (*d->plan.witness_command)
		d->witness = start(argv, &d->witness_out);
	else if (*d->plan.account)
		d->witness = start_probe(d, seconds, &d->witness_out);
	if (d->witness >= 0)
		return 0;
	d->witness = 0;
	return -1;
}

/* One process that starts the probes one after the other, and counts who came up. */
static void __attribute__((noreturn)) run_load(struct drill_drive *d, int out, unsigned seconds)
{
	unsigned n = d->plan.load_sessions, up = 0;
	pid_t *pids = calloc(n, sizeof(*pids));
	int *outs = calloc(n, sizeof(*outs));
	unsigned pause_us = (unsigned)((uint64_t)seconds * 1000000 / (n + 1));
	char *text;

	signal(SIGTERM, SIG_IGN);
	for (unsigned i = 0; pids && outs && i < n; i++) {
		pids[i] = start_probe(d, seconds + 2, &outs[i]);
		usleep(pause_us);
	}
	for (unsigned i = 0; pids && outs && i < n; i++) {
		json_t *o;

		if (pids[i] <= 0)
			continue;
		text = end(&pids[i], &outs[i]);
		o = text ? json_loads(text, 0, NULL) : NULL;
		up += *words_text(o, "address") != '\0';
		json_decref(o);
		free(text);
	}
	dprintf(out, "{\"asked\":%u,\"up\":%u}\n", n, up);
	_exit(0);
}

int
drill_load_start(struct drill_drive *d, unsigned seconds)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	d->load = fork();
	if (d->load == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run_load(d, fds[1], seconds);
	}
	close(fds[1]);
	d->load_out = fds[0];
	if (d->load > 0)
		return 0;
	d->load = 0;
	close(fds[0]);
	return -1;
}

static json_t *
last_object(const char *text)
{
	json_t *o = text ? json_loads(text, JSON_DISABLE_EOF_CHECK, NULL) : NULL;

	return o ? o : json_pack("{s:b,s:s}", "ok", 0, "text", "the witness said nothing");
}

/* The load ends when its last probe is counted. */
static json_t *
end_of_load(struct drill_drive *d)
{
	char text[256];
	ssize_t n = read(d->load_out, text, sizeof(text) - 1);
	int status;

	text[n > 0 ? n : 0] = '\0';
	while (waitpid(d->load, &status, 0) < 0 && errno == EINTR)
		;
	close(d->load_out);
	d->load = 0;
	return json_loads(text, 0, NULL);
}

void
drill_witness_end(struct drill_drive *d)
{
	if (d->witness > 0) {
		char *text = end(&d->witness, &d->witness_out);

		d->witness_said = last_object(text);
		free(text);
	}
	if (d->load > 0)
		d->load_said = end_of_load(d);
}
