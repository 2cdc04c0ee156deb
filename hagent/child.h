/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A child process with a deadline: a program, or a function of ours that may block. It leads a
 * process group of its own, which is killed as a whole at the deadline, and it dies with the agent.
 * Its output (both streams) is collected up to a bound. The loop never waits for it.
 */
#ifndef HAGENT_CHILD_H
#define HAGENT_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/loop.h"

#define CHILD_OUTPUT_MAX 8192 /* what goes beyond is read and dropped */

struct child_result {
	int status;         /* exit status; 128 + signal; -1 when cut */
	bool cut;           /* the deadline, or child_cut() */
	const char *output; /* NUL-terminated */
	size_t output_len;
};

typedef void child_done_fn(void *arg, const struct child_result *result);

/* Embedded in its owner; zeroed = idle. */
struct child {
	struct loop *loop;
	pid_t pid; /* 0 = idle */
	int pidfd, out;
	struct io pidfd_io, out_io;
	struct timer deadline;
	child_done_fn *done;
	void *arg;
	bool cut;
	size_t n;
	char output[CHILD_OUTPUT_MAX + 1];
};

/*
 * argv[0] is looked up in $PATH. done runs once, from the loop, when the child is gone. 0, or -1
 * with errno (EBUSY: it still runs); a program that cannot be executed ends with status 127 and
 * says why.
 */
int child_run(struct child *c, struct loop *l, const char *const *argv, unsigned deadline_ms,
    child_done_fn *done, void *arg);
/*
 * Runs fn(fn_arg) in a forked copy of this process; its result is the exit status. What it writes
 * to stdout and stderr is the output.
 */
int child_call(struct child *c, struct loop *l, int (*fn)(void *fn_arg), void *fn_arg,
    unsigned deadline_ms, child_done_fn *done, void *arg);
bool child_running(const struct child *c);
/* Kills the group at once; done still runs when it is gone. */
void child_cut(struct child *c);
/* Kills, takes it off the loop; done does not run. */
void child_fini(struct child *c);

#endif
