/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The sending end: a cheap question first, so that the push of every minute costs nothing when the
 * pair is in step; then rsync into the peer's staging folder through `hagent ssh`; then the
 * peer's agent is told, and its checksums are compared with ours. The set lock is not held while we
 * wait for the peer, whose push may be waiting for ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "hagent/dial.h"
#include "hagent/transfer.h"
#include "sync/serve.h"

#define OFFER_TIMEOUT_MS   10000
#define RSYNC_TIMEOUT_MS   20000
#define INSTALL_TIMEOUT_MS 25000
#define RSYNC_ARGS         20
#define OUTPUT_MAX         1024

struct push {
	const struct hagent *h;
	struct dial dial;
	struct store store;
	char *state_folder;
	struct set set; /* with bytes until it is spooled */
	bool force;
};

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- rsync ---- */

/* In the child. Nothing of the environment that changes what rsync does. */
static void __attribute__((noreturn)) become_rsync(char **argv, int output)
{
	int null = open("/dev/null", O_RDWR);

	/* Whoever cuts us off at our deadline must not leave it behind. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(null, 0);
	dup2(output, 1);
	dup2(output, 2);
	clearenv();
	setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
	execvp(argv[0], argv);
	dprintf(2, "rsync: %s\n", strerror(errno));
	_exit(127);
}

/* What the child says, until it ends or the deadline passes: its first bytes. False when late. */
static bool
collect(int fd, char out[static OUTPUT_MAX], int64_t deadline)
{
	size_t len = 0;
	char rest[256];

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = deadline - now_ms();
		ssize_t n;

		if (left <= 0)
			break;
		if (poll(&p, 1, (int)left) <= 0)
			continue;
		n = len < OUTPUT_MAX - 1 ? read(fd, out + len, OUTPUT_MAX - 1 - len)
					 : read(fd, rest, sizeof(rest));
		if (n <= 0) {
			out[len] = '\0';
			return true;
		}
		if (len < OUTPUT_MAX - 1)
			len += (size_t)n;
	}
	out[len] = '\0';
	return false;
}

/* Runs it to its end; its exit status, or -1 when it was late or could not be started. */
static int
run_rsync(char **argv, char out[static OUTPUT_MAX])
{
	int fds[2], status;
	pid_t pid;
	bool in_time;

	out[0] = '\0';
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0)
		become_rsync(argv, fds[1]);
	close(fds[1]);
	in_time = pid > 0 && collect(fds[0], out, now_ms() + RSYNC_TIMEOUT_MS);
	close(fds[0]);
	if (pid < 0)
		return -1;
	if (!in_time)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!in_time)
		strcpy(out, "not finished in time");
	else if (out[0] == '\0')
		snprintf(out, OUTPUT_MAX, "ended without a word, status %d", status >> 8);
	return in_time && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What hagent ssh said of the connection is the reason; else what rsync said. */
static int
rsync_problem(char *out, struct set_problem *p)
{
	static const char *const codes[] = {
	    "unreachable", "wrong-host-key", "key-refused", "late", "broken", "internal"};
	char *say = strstr(out, "hagent: ");

	if (strstr(out, "No space left on device"))
		return set_problem(
		    p, "disk-full", "the peer's disk is full: %.*s", (int)strcspn(out, "\n"), out);
	if (!say)
		return set_problem(p, "broken", "rsync: %.*s", (int)strcspn(out, "\n"), out);
	say += strlen("hagent: ");
	say[strcspn(say, "\n")] = '\0';
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		size_t len = strlen(codes[i]);

		if (strncmp(say, codes[i], len) == 0 && strncmp(say + len, ": ", 2) == 0)
			return set_problem(p, codes[i], "%s", say + len + 2);
	}
	return set_problem(p, "broken", "%s", say);
}

static int
send_files(const struct push *u, struct set_problem *p)
{
	char *argv[RSYNC_ARGS] = {NULL}, *hagent = hagent_program("hagent"), out[OUTPUT_MAX];
	char *shell = NULL, *from = NULL, *to = NULL, *user = strdup(u->dial.user);
	static char name[] = "rsync", minus_e[] = "-e";
	size_t n = 0;
	int rc = -1;

	argv[n++] = name;
	for (size_t i = 0; serve_rsync_options[i] && n < RSYNC_ARGS - 5; i++)
		argv[n++] = strdup(serve_rsync_options[i]);
	size_t options_end = n;
	if (!user ||
	    asprintf(&shell, "'%s' --node '%s' --root '%s' ssh", hagent, u->h->node, u->h->root) <
		0 ||
	    asprintf(&from, "%s/" STORE_SPOOL "/", u->store.state) < 0 ||
	    asprintf(&to, "%s@%s:" SERVE_DESTINATION, user, u->dial.them->name) < 0) {
		set_problem(p, "internal", "out of memory");
		goto out;
	}
	argv[n++] = minus_e;
	argv[n++] = shell;
	argv[n++] = from;
	argv[n++] = to;
	rc = run_rsync(argv, out) == 0 ? 0 : rsync_problem(out, p);
out:
	for (size_t i = 1; i < options_end; i++)
		free(argv[i]);
	free(shell);
	free(from);
	free(to);
	free(user);
	free(hagent);
	return rc;
}

/* ---- questions ---- */

static int
ssh_problem(const struct ssh_error *e, struct set_problem *p)
{
	return set_problem(p, dial_code(e), "%s", e->text);
}

/* The error of an answer as a problem; 0 if the answer is good. */
static int
check_answer(const json_t *answer, struct set_problem *p)
{
	static char code[24];
	const json_t *error = json_object_get(answer, "error");
	const char *name = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));

	if (json_is_true(json_object_get(answer, "ok")))
		return 0;
	snprintf(code, sizeof(code), "%s", name ? log_quote(name, strlen(name)) : "broken");
	return set_problem(p, code, "%s", message ? message : "the peer's agent gives no reason");
}

/* "want", "same", "newer"; "want" also from an agent that does not know the question. NULL with *p.
 */
static const char *
offer(const struct push *u, struct generation *theirs, struct set_problem *p)
{
	static const char *const answers[] = {"same", "newer"};
	char digest[SET_SHA256];
	struct ssh_error e;
	const char *result = "want", *why;
	json_t *answer, *data;
	uint64_t bytes = 0;

	for (size_t i = 0; i < u->set.n; i++)
		bytes += u->set.files[i].size;
	set_digest(&u->set, digest);
	answer = dial_ask(&u->dial, "set-offer",
	    json_pack("{s:o, s:o, s:s, s:I}", "generation", generation_to_json(&u->set.generation),
		"base", generation_to_json(&u->set.base), "digest", digest, "bytes",
		(json_int_t)bytes),
	    OFFER_TIMEOUT_MS, &e);
	data = json_object_get(answer, "data");
	const char *text = json_string_value(json_object_get(data, "answer"));
	if (!answer) {
		ssh_problem(&e, p);
		result = NULL;
	} else if (check_answer(answer, p) < 0 && strcmp(p->code, "disk-full") == 0) {
		result = NULL;
	} else if (text && strcmp(text, "refused") == 0) {
		text = json_string_value(json_object_get(data, "message"));
		set_problem(p, "refused", "%s", text ? text : "the peer gives no reason");
		result = NULL;
	}
	for (size_t i = 0; text && result && i < sizeof(answers) / sizeof(answers[0]); i++) {
		if (strcmp(text, answers[i]) == 0 &&
		    generation_from_json(theirs, json_object_get(data, "generation"), &why) == 0)
			result = answers[i];
	}
	json_decref(answer);
	return result;
}

/* The peer's checksums must be ours. */
static int
check_installed(const struct push *u, const json_t *data, struct set_problem *p)
{
	const json_t *files = json_object_get(data, "files");

	for (size_t i = 0; i < u->set.n; i++) {
		const json_t *f = json_array_get(files, i);
		const char *path = json_string_value(json_object_get(f, "path"));
		const char *sum = json_string_value(json_object_get(f, "sha256"));

		if (!path || !sum || strcmp(path, u->set.files[i].path) != 0 ||
		    strcmp(sum, u->set.files[i].sha256) != 0)
			return set_problem(p, "broken",
			    "the peer does not acknowledge %s as we sent it", u->set.files[i].path);
	}
	return 0;
}

/* The peer installs what it got: its data, new reference, or NULL with *p. */
static json_t *
tell(const struct push *u, struct set_problem *p)
{
	struct ssh_error e;
	json_t *answer = dial_ask(&u->dial, "set-staged",
	    json_pack("{s:o}", "generation", generation_to_json(&u->set.generation)),
	    INSTALL_TIMEOUT_MS, &e);
	json_t *data = NULL;

	if (!answer)
		ssh_problem(&e, p);
	else if (check_answer(answer, p) == 0 &&
		 check_installed(u, json_object_get(answer, "data"), p) == 0)
		data = json_incref(json_object_get(answer, "data"));
	json_decref(answer);
	return data;
}

/* ---- the push ---- */

/* Notes the end, under the lock again. theirs: what the peer has now; NULL = nothing new. */
static void
finish(const struct push *u, const struct generation *theirs, const char *result, const char *text)
{
	struct set_problem ignored;
	struct set_state state;
	struct transfer t = {.h = u->h, .store = u->store};

	t.lock = store_lock(&u->store, TRANSFER_SET_LOCK, TRANSFER_LOCK_MS, &ignored);
	if (t.lock < 0 || store_load(&u->store, &state, &ignored) < 0)
		goto out;
	t.state = state;
	if (theirs && generation_cmp(&u->set.generation, &t.state.current.generation) == 0) {
		if (generation_cmp(theirs, &t.state.current.generation) > 0)
			t.state.current.generation = *theirs;
		t.state.common = t.state.current.generation;
		t.state.common_at = time(NULL);
	}
	transfer_note(&t, "out", result, text);
out:
	if (t.lock >= 0)
		close(t.lock);
}

/* Our set as it is now, with its generation. */
static int
take_set(struct push *u, struct set_problem *p)
{
	struct transfer t;
	int rc = transfer_begin(&t, u->h, p);

	if (rc == 0 && !t.whole)
		rc = set_problem(
		    p, "incomplete", "a file of ours is missing; `hagent sync status` names it");
	if (rc == 0) {
		u->set = t.ours;
		t.ours = (struct set){0};
	}
	transfer_end(&t);
	return rc;
}

/* The files themselves, and the acknowledgement. */
static json_t *
deliver(struct push *u, struct set_problem *p)
{
	struct set_problem ignored;
	int64_t begin = now_ms();
	json_t *data = NULL;

	if (store_spool(&u->store, &u->set, p) == 0 && send_files(u, p) == 0)
		data = tell(u, p);
	store_wipe(&u->store, STORE_SPOOL, &ignored);
	store_audit(&u->store, "out", u->dial.them->name, &u->set, data ? "installed" : p->code,
	    data ? "" : p->text, now_ms() - begin);
	return data;
}

static json_t *
result_of(const struct push *u, const char *result)
{
	return json_pack("{s:s, s:o, s:s}", "result", result, "generation",
	    generation_to_json(&u->set.generation), "peer", u->dial.them->name);
}

static json_t *
push_set(struct push *u, const char *user, struct set_problem *p)
{
	struct generation theirs = {0};
	const char *answer = u->force ? "want" : offer(u, &theirs, p);
	json_t *data = NULL;

	if (answer && strcmp(answer, "newer") == 0) {
		finish(u, NULL, "newer", "the peer has a newer set and is asked for it");
		data = transfer_pull(u->h, user, p);
		json_decref(data);
		return data ? result_of(u, "peer-newer") : NULL;
	}
	if (answer && strcmp(answer, "same") == 0) {
		finish(u, &theirs, "same", "");
		return result_of(u, "same");
	}
	if (answer)
		data = deliver(u, p);
	else if (strcmp(p->code, "disk-full") == 0)
		store_audit(&u->store, "out", u->dial.them->name, &u->set, p->code, p->text, 0);
	if (data)
		finish(u, &u->set.generation, "installed", "");
	else
		finish(u, NULL, p->code, p->text);
	return data;
}

json_t *
transfer_push(const struct hagent *h, const char *user, bool force, struct set_problem *p)
{
	struct push u = {.h = h, .force = force, .state_folder = hagent_path(h, HAGENT_STATE)};
	struct ssh_error e;
	json_t *data = NULL;
	int lock;

	u.store = (struct store){.root = h->root, .state = u.state_folder, .node = h->node};
	signal(SIGPIPE, SIG_IGN);
	lock = store_lock(&u.store, TRANSFER_PUSH_LOCK, TRANSFER_LOCK_MS, p);
	if (dial_init(&u.dial, h, user, &e) < 0)
		set_problem(p, "invalid", "%s", e.text);
	else if (lock >= 0 && take_set(&u, p) == 0) {
		dial_remember(&u.dial, h);
		data = push_set(&u, user, p);
	}
	set_fini(&u.set);
	dial_fini(&u.dial);
	free(u.state_folder);
	if (lock >= 0)
		close(lock);
	return data;
}

json_t *
transfer_pull(const struct hagent *h, const char *user, struct set_problem *p)
{
	struct dial d;
	struct ssh_error e;
	json_t *answer = NULL, *data = NULL;

	if (dial_init(&d, h, user, &e) < 0)
		set_problem(p, "invalid", "%s", e.text);
	else if (!(answer = dial_ask(&d, "pull", NULL, INSTALL_TIMEOUT_MS, &e)))
		ssh_problem(&e, p);
	else if (check_answer(answer, p) == 0)
		data = json_pack("{s:s, s:s}", "result", "asked", "peer", d.them->name);
	json_decref(answer);
	dial_fini(&d);
	return data;
}
