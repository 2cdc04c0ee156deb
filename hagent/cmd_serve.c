/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent serve: the forced command of the pair's sshd, the only thing that the peer can start here.
 * It runs as the pair's own unprivileged user and is a pipe to the agent or to the daemon, or it
 * becomes the rsync that writes into the staging folder; anything else is refused. Whatever the
 * peer sent in the environment is gone by then. It reads no configuration. Refusals and transfers
 * are logged to syslog and to serve.log, since the audit log is root's.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "common/log.h"
#include "hagent/hagent.h"
#include "sync/relay.h"
#include "sync/serve.h"
#include "sync/set.h"

#define LOG_MAX  (1 << 20)
#define FILE_MAX (SET_SIZE_MAX + 65536)
#define PATH     "PATH=/usr/local/bin:/usr/bin:/bin"

/* A line in serve.log, which root makes for us; without it syslog has to do. */
static void
write_line(const struct hagent *h, const char *peer, const char *command, const char *result,
    const char *text)
{
	char *path = hagent_path(h, HAGENT_STATE "/" STORE_SERVE_LOG), stamp[32];
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	time_t now = time(NULL);
	struct stat st;
	struct tm tm;
	json_t *line;
	char *dump;

	free(path);
	if (fd < 0)
		return;
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	line = json_pack("{s:s, s:s, s:s, s:s, s:s}", "time", stamp, "peer", peer, "command",
	    command, "result", result, "text", text);
	dump = line ? json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
	if (dump && fstat(fd, &st) == 0 && st.st_size < LOG_MAX)
		dprintf(fd, "%s\n", dump);
	free(dump);
	json_decref(line);
	close(fd);
}

static void
note(const struct hagent *h, const char *command, const char *result, const char *text)
{
	const char *from = getenv("SSH_CONNECTION");
	char peer[64], quoted[128];

	snprintf(peer, sizeof(peer), "%s", from ? log_quote(from, strcspn(from, " ")) : "?");
	snprintf(quoted, sizeof(quoted), "%s", command ? log_quote(command, strlen(command)) : "");
	syslog(LOG_NOTICE, "%s peer=%s command=\"%s\" text=\"%s\"", result, peer, quoted, text);
	write_line(h, peer, quoted, result, text);
}

static int
refuse(const struct hagent *h, const char *command, const char *why)
{
	note(h, command, "refused", why);
	return hagent_fail("refused: %s", why);
}

static int
serve_socket(const struct hagent *h, const char *command, const char *path, const char *absent)
{
	char *full = hagent_path(h, path);
	int fd = relay_connect(full);

	free(full);
	if (fd < 0 && (errno == ENOENT || errno == ECONNREFUSED))
		return refuse(h, command, absent);
	if (fd < 0)
		return refuse(h, command, strerror(errno));
	return relay_run(0, 1, fd) < 0 ? HAGENT_FAIL : HAGENT_OK;
}

static int
serve_rsync(const struct hagent *h, const char *command, const struct serve_request *r)
{
	const struct rlimit limit = {FILE_MAX, FILE_MAX};
	const char *argv[SERVE_ARGV];
	char *args[SERVE_ARGV] = {NULL}, *staging = hagent_path(h, HAGENT_STAGING);
	static char path[] = PATH;
	char *env[] = {path, NULL};

	if (chdir(staging) < 0 || access(".", W_OK | X_OK) < 0) {
		free(staging);
		return refuse(h, command, "no staging folder");
	}
	free(staging);
	note(h, command, "accepted", "rsync into the staging folder");
	umask(077);
	setrlimit(RLIMIT_FSIZE, &limit);
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGPIPE, SIG_DFL);
	serve_rsync_argv(r, argv);
	for (size_t i = 0; argv[i]; i++)
		args[i] = strdup(argv[i]);
	putenv(path);
	execvpe(args[0], args, env);
	return hagent_fail("rsync: %s", strerror(errno));
}

int
cmd_serve(const struct hagent *h, int argc, char **argv)
{
	const char *command = getenv("SSH_ORIGINAL_COMMAND");
	struct serve_request r;

	(void)argv;
	if (argc != 1)
		return HAGENT_USAGE;
	openlog("pptp-ha-serve", LOG_PID, LOG_AUTHPRIV);
	signal(SIGPIPE, SIG_IGN);
	if (geteuid() == 0)
		return refuse(h, command, "not as root");
	switch (serve_parse(command, &r)) {
	case SERVE_QUERY:
		return serve_socket(h, command, HAGENT_QUERY_SOCKET, "no agent answers here");
	case SERVE_REPLICA:
		return serve_socket(h, command, HAGENT_REPLICA_SOCKET, "no replica socket");
	case SERVE_RSYNC:
		return serve_rsync(h, command, &r);
	case SERVE_REFUSED:
		break;
	}
	return refuse(h, command, r.why);
}
