/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hagent web: the status page, its API and the metrics. It reads the configuration and, if it is
 * to be reached from elsewhere, token and key; then it gives up root, and only then it listens.
 */
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "hagent/hagent.h"
#include "hagent/journal.h"
#include "hagent/web.h"
#include "hagent/web_query.h"

#define BACKLOG   64
#define NICENESS  10
#define TOKEN_MIN 16

/* What only root may read. */
struct secrets {
	char *token; /* NULL = none is needed */
	SSL_CTX *tls;
};

static void
secrets_fini(struct secrets *s)
{
	if (s->token)
		explicit_bzero(s->token, strlen(s->token));
	free(s->token);
	SSL_CTX_free(s->tls);
}

/* The address of this node that cluster.conf means. */
static struct sockaddr_in
address_of(const struct cluster *c, const struct cluster_node *us)
{
	const uint32_t own[] = {[CLUSTER_WEB_WAN] = us->wan,
	    [CLUSTER_WEB_LAN] = us->lan,
	    [CLUSTER_WEB_SYNC] = us->sync};
	uint32_t address = c->management.web.where == CLUSTER_WEB_ADDRESS
			       ? c->management.web.address
			       : own[c->management.web.where];

	return (struct sockaddr_in){.sin_family = AF_INET,
	    .sin_port = htons(c->management.web.port),
	    .sin_addr.s_addr = htonl(address)};
}

static int
read_token(const struct hagent *h, const char *path, struct secrets *s)
{
	struct stat st;
	char *full = hagent_path(h, path);
	int rc = -1;

	if (stat(full, &st) == 0 && (st.st_mode & (S_IROTH | S_IWOTH))) {
		hagent_fail("%s: got a file that everybody may read, want mode 0600", full);
		goto out;
	}
	s->token = hagent_read(h, path);
	if (!s->token) {
		hagent_fail("%s: %s", full, strerror(errno));
		goto out;
	}
	s->token[strcspn(s->token, "\r\n")] = '\0';
	size_t len = strlen(s->token);
	if (len < TOKEN_MIN || len > WEB_TOKEN_MAX)
		hagent_fail("%s: got a token of %zu characters, want %d..%d in one line", full, len,
		    TOKEN_MIN, WEB_TOKEN_MAX);
	else
		rc = 0;
out:
	free(full);
	return rc;
}

static int
read_tls(const struct hagent *h, const struct cluster *c, struct secrets *s)
{
	char *certificate = hagent_path(h, c->management.web_certificate);
	char *key = hagent_path(h, c->management.web_key);
	char why[160];
	int rc = -1;

	s->tls = SSL_CTX_new(TLS_server_method());
	if (!s->tls || SSL_CTX_set_min_proto_version(s->tls, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_use_certificate_chain_file(s->tls, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey_file(s->tls, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(s->tls) != 1) {
		ERR_error_string_n(ERR_get_error(), why, sizeof(why));
		hagent_fail("%s, %s: got \"%s\", want a certificate in PEM and its key",
		    certificate, key, why);
	} else {
		SSL_CTX_set_options(s->tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
		SSL_CTX_set_session_cache_mode(s->tls, SSL_SESS_CACHE_OFF);
		rc = 0;
	}
	free(certificate);
	free(key);
	return rc;
}

static int
read_secrets(const struct hagent *h, const struct cluster *c, struct secrets *s)
{
	if (cluster_web_is_local(c))
		return 0;
	return read_token(h, c->management.web_token_file, s) == 0 && read_tls(h, c, s) == 0 ? 0
											     : -1;
}

/* Also from a unit that starts it as that user. */
static int
drop_root(const char *user)
{
	const struct passwd *p = getpwnam(user);

	if (geteuid() == 0 && !p)
		return hagent_fail("no user %s", user), -1;
	if (geteuid() == 0 &&
	    (setgroups(0, NULL) < 0 || setresgid(p->pw_gid, p->pw_gid, p->pw_gid) < 0 ||
		setresuid(p->pw_uid, p->pw_uid, p->pw_uid) < 0))
		return hagent_fail("becoming %s: %s", user, strerror(errno)), -1;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* the token and the key stay in here */
	setpriority(PRIO_PROCESS, 0, NICENESS);
	return 0;
}

static int
listen_at(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	hagent_fail("%s:%u: %s", conf_ipv4(ntohl(address->sin_addr.s_addr)),
	    ntohs(address->sin_port), strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static void
stop_cb(int signo, void *arg)
{
	loop_stop(arg);
}

static int
serve(const struct hagent *h, struct loop *l, int fd, struct secrets *s)
{
	const struct web_server_config config = {.fd = fd, .tls = s->tls, .token = s->token};
	char *path = hagent_path(h, HAGENT_STATUS_SOCKET);
	struct web w = {.loop = l, .node = h->node, .started_ms = journal_now_ms()};
	struct sig term, interrupt;
	int status = HAGENT_FAIL;

	s->tls = NULL; /* the server's now */
	w.data = web_data_new(l, path);
	w.server = w.data ? web_server_new(l, &config, web_route, &w) : NULL;
	if (w.server && sig_init(&term, l, SIGTERM, stop_cb, l) == 0 &&
	    sig_init(&interrupt, l, SIGINT, stop_cb, l) == 0) {
		log_info("web runs node=%s", h->node);
		loop_run(l);
		sig_fini(&term);
		sig_fini(&interrupt);
		status = HAGENT_OK;
	} else {
		hagent_fail("server: %s", strerror(errno));
	}
	web_server_free(w.server);
	web_data_free(w.data);
	free(path);
	return status;
}

int
cmd_web(const struct hagent *h, int argc, char **argv)
{
	const char *user = HAGENT_USER;
	struct secrets secrets = {0};
	struct cluster *c = NULL;
	const struct cluster_node *us;
	struct loop *l = NULL;
	char name[64];
	int fd, status = HAGENT_FAIL;

	if (argc == 3 && strcmp(argv[1], "--user") == 0)
		user = argv[2];
	else if (argc != 1)
		return HAGENT_USAGE;
	snprintf(name, sizeof(name), "hagent-web[%s]", h->node);
	log_init(name, -1, false);
	signal(SIGPIPE, SIG_IGN);
	c = hagent_cluster(h);
	us = c ? cluster_node(c, h->node) : NULL;
	if (!us) {
		if (c)
			hagent_fail(
			    "got node \"%s\", want one of cluster.conf's (--node)", h->node);
	} else if (read_secrets(h, c, &secrets) == 0 && drop_root(user) == 0) {
		struct sockaddr_in address = address_of(c, us);

		fd = listen_at(&address);
		l = fd >= 0 ? loop_new() : NULL;
		if (l)
			status = serve(h, l, fd, &secrets);
		loop_free(l);
	}
	secrets_fini(&secrets);
	cluster_free(c);
	return status;
}
