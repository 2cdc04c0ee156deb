/* link: common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where the log goes: the journal's own socket, with the parts of a line as fields; syslog; a
 * stream; and what becomes of lines when the reader is gone or does not read. Also the parts of a
 * line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char journal_path[64], syslog_path[64];
#define LOG_JOURNAL_SOCKET journal_path
#define LOG_SYSLOG_SOCKET  syslog_path
#include "common/log.c"

#include <fcntl.h>

static char folder[] = "/tmp/test_log_sink.XXXXXX";
static int stream[2], stderr_kept, server = -1;

static int
listen_on(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strcpy(at.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* stderr is a pipe that a journal reads. */
static void
be_a_unit(void)
{
	char text[64];
	struct stat st;

	fstat(stream[1], &st);
	snprintf(text, sizeof(text), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", text, 1);
	dup2(stream[1], STDERR_FILENO);
}

static void
be_detached(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	dup2(null, STDERR_FILENO);
	close(null);
}

static int
setup(void **state)
{
	snprintf(journal_path, sizeof(journal_path), "%s/journal", folder);
	snprintf(syslog_path, sizeof(syslog_path), "%s/log", folder);
	unsetenv("JOURNAL_STREAM");
	stderr_kept = dup(STDERR_FILENO);
	return pipe2(stream, O_NONBLOCK | O_CLOEXEC);
}

static int
teardown(void **state)
{
	dup2(stderr_kept, STDERR_FILENO);
	close(stderr_kept);
	close(stream[0]);
	close(stream[1]);
	if (server >= 0)
		close(server);
	server = -1;
	unlink(journal_path);
	unlink(syslog_path);
	unsetenv("JOURNAL_STREAM");
	log_init("test", -1, false);
	return 0;
}

static const char *
received(int fd)
{
	static char text[8192];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
test_journal(void **state)
{
	server = listen_on(journal_path);
	be_a_unit();
	log_init("pptpd[gw1]", -1, false);
	log_info("call up id=%d user=\"%s\" text=\"\"", 7, "a b");
	assert_string_equal(received(server),
	    "MESSAGE=call up id=7 user=\"a b\" text=\"\"\nPRIORITY=6\nSYSLOG_IDENTIFIER=pptpd\n"
	    "PPTP_HA_NODE=gw1\nPPTP_HA_EVENT=call up\nPPTP_HA_ID=7\nPPTP_HA_USER=a b\n"
	    "PPTP_HA_TEXT=\n");
	log_warn("a line\nof two");
	assert_string_equal(received(server),
	    "MESSAGE=a line?of two\nPRIORITY=4\nSYSLOG_IDENTIFIER=pptpd\nPPTP_HA_NODE=gw1\n"
	    "PPTP_HA_EVENT=a line?of two\n");
	log_init("hagent", -1, false);
	log_info("x");
	assert_string_equal(
	    received(server), "MESSAGE=x\nPRIORITY=6\nSYSLOG_IDENTIFIER=hagent\nPPTP_HA_EVENT=x\n");
	assert_string_equal(received(stream[0]), "");
}

/* The longest line there is, all of it pairs: an entry of whole fields. */
static void
test_long_line(void **state)
{
	char line[LINE_MAX_BYTES] = "e", *at = line + 1;
	const char *entry;

	server = listen_on(journal_path);
	be_a_unit();
	log_init("n", -1, false);
	while (at < line + sizeof(line) - 8)
		at += sprintf(at, " k=v");
	log_info("%s", line);
	entry = received(server);
	assert_int_equal(strncmp(entry, "MESSAGE=e k=v k=v", 17), 0);
	assert_true(strlen(entry) <= ENTRY_MAX_BYTES);
	assert_int_equal(entry[strlen(entry) - 1], '\n');
	for (const char *p = strstr(entry, "PPTP_HA_K="); p; p = strstr(p + 1, "PPTP_HA_K="))
		assert_int_equal(strncmp(p, "PPTP_HA_K=v\n", 12), 0);
}

/* The journal's socket is gone: lines go into the stream that it reads. */
static void
test_journal_gone(void **state)
{
	server = listen_on(journal_path);
	be_a_unit();
	log_init("pptpd[gw1]", -1, false);
	close(server);
	server = -1;
	log_info("still here a=1");
	assert_string_equal(received(stream[0]), "<6>pptpd[gw1] info: still here a=1\n");
	log_init("pptpd[gw1]", -1, false); /* started while it is */
	log_info("and here");
	assert_string_equal(received(stream[0]), "<6>pptpd[gw1] info: and here\n");
}

/* A journal that does not read: lines are lost and counted, we go on. */
static void
test_journal_stuck(void **state)
{
	char text[64] = "";
	unsigned lost = 0, sent = 0;

	server = listen_on(journal_path);
	be_a_unit();
	log_init("n", -1, false);
	for (int i = 0; i < 2000; i++)
		log_info("x i=%d", i);
	while (*received(server))
		sent++;
	assert_in_range(sent, 1, 1999);
	log_info("back");
	assert_int_equal(strncmp(received(server), "MESSAGE=back\n", 13), 0);
	assert_int_equal(
	    sscanf(received(server), "MESSAGE=log lost lines=%u\n%63s", &lost, text), 2);
	assert_int_equal(sent + lost, 2000);
	assert_string_equal(text, "PRIORITY=4");
	assert_string_equal(received(stream[0]), "");
}

static void
test_detached(void **state)
{
	char want[128];

	server = listen_on(syslog_path);
	be_detached();
	log_init("pptpd[gw1]", -1, false);
	log_warn("odd n=1");
	snprintf(want, sizeof(want), "<28>pptpd[%d]: [gw1] warning: odd n=1", (int)getpid());
	assert_string_equal(received(server), want);
	close(server);
	server = listen_on(journal_path);
	log_init("pptpd[gw1]", -1, false);
	log_warn("odd n=2");
	assert_int_equal(strncmp(received(server), "MESSAGE=odd n=2\nPRIORITY=4\n", 27), 0);
}

/* Neither: nothing to write to, and no harm. */
static void
test_nowhere(void **state)
{
	be_detached();
	log_init("n", -1, false);
	errno = ENOENT;
	log_info("x");
	assert_int_equal(errno, ENOENT);
}

/* Somebody reads stderr, or a descriptor was named: then it goes there, whatever else there is. */
static void
test_stream(void **state)
{
	server = listen_on(journal_path);
	dup2(stream[1], STDERR_FILENO);
	log_init("n", -1, false);
	log_info("to stderr");
	assert_non_null(strstr(received(stream[0]), "Z n info: to stderr\n"));
	be_detached();
	log_init("n", stream[1], false);
	log_info("as told");
	assert_non_null(strstr(received(stream[0]), "Z n info: as told\n"));
	assert_string_equal(received(server), "");
}

/* "head|key:value|key:value" of a line. */
static void
assert_parts(const char *line, const char *want)
{
	char got[256];
	const char *rest;
	struct log_pair pair;
	int n = snprintf(got, sizeof(got), "%.*s", (int)log_event(line, &rest), line);

	while (log_next_pair(&rest, &pair))
		n += snprintf(got + n, sizeof(got) - (size_t)n, "|%s:%.*s", pair.key,
		    (int)pair.value_len, pair.value);
	assert_string_equal(got, want);
}

static void
test_parts(void **state)
{
	assert_parts("", "");
	assert_parts("call up", "call up");
	assert_parts("call up id=7", "call up|id:7");
	assert_parts("call up  id=7  b=\"x y\" c=", "call up|id:7|b:x y|c:");
	assert_parts("a=1", "|a:1");
	assert_parts("=1 2=3 A=b x-y=1 ok=1", "=1 2=3 A=b x-y=1|ok:1");
	assert_parts("e a=1 words between b=2 and after", "e|a:1|b:2");
	assert_parts("e a=\"open", "e|a:open");
	assert_parts("e a=\"\" b=\"c=d\"", "e|a:|b:c=d");
	assert_parts("e a=b=c", "e|a:b=c");
	assert_parts("e abcdefghijklmnopqrstuvwxyz0123456=1 b=2",
	    "e abcdefghijklmnopqrstuvwxyz0123456=1|b:2");
	assert_parts("e a=\"x\"y b=1", "e|a:x|b:1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_journal, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_long_line, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_journal_gone, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_journal_stuck, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_detached, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_nowhere, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
	    cmocka_unit_test(test_parts),
	};
	int failed;

	if (!mkdtemp(folder))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
