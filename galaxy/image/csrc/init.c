/* PID 1 of a server: starts its arguments as a child in a session of its own, reaps whatever ends, and passes
 * SIGTERM on to every process of the PID namespace, so that nothing outlives the server and nothing is cut off.
 *
 *     init [-t SECONDS] PROGRAM [ARGUMENT ...]
 *
 * After a SIGTERM or SIGINT, or when the program has ended by itself, all others get SIGTERM; those that are still
 * there SECONDS (30) later get SIGKILL. Ends with the program's own code, or 128 + the signal that ended it. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int code_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static pid_t start(char **argv, const sigset_t *mask)
{
	pid_t child = fork();

	if (child == 0) {
		setsid();
		sigprocmask(SIG_SETMASK, mask, NULL);
		execvp(argv[0], argv);
		fprintf(stderr, "init: cannot start %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	return child;
}

int main(int argc, char **argv)
{
	double grace = 30, deadline = 0;
	int first = 1, result = 127, stopping = 0, ended = 0;
	sigset_t watched, before;
	pid_t child;

	if (argc > 3 && strcmp(argv[1], "-t") == 0) {
		grace = atof(argv[2]);
		first = 3;
	}
	if (first >= argc || getpid() != 1) { /* kill(-1) outside a namespace of its own would end the host */
		fprintf(stderr, "usage, as PID 1: init [-t SECONDS] PROGRAM [ARGUMENT ...]\n");
		return 2;
	}
	sigemptyset(&watched);
	sigaddset(&watched, SIGCHLD);
	sigaddset(&watched, SIGTERM);
	sigaddset(&watched, SIGINT);
	sigaddset(&watched, SIGHUP);
	sigprocmask(SIG_BLOCK, &watched, &before); /* before the fork: no signal is lost in between */
	child = start(argv + first, &before);
	if (child < 0) {
		perror("init: fork");
		return 127;
	}
	for (;;) {
		struct timespec tick = {0, 100000000}; /* no wakeup is lost to a signal; this only serves the deadline */
		int status, sign;
		pid_t gone;

		sign = stopping ? sigtimedwait(&watched, NULL, &tick) : sigwaitinfo(&watched, NULL);
		if (sign == SIGHUP && !ended)
			kill(child, SIGHUP);
		while ((gone = waitpid(-1, &status, WNOHANG)) > 0) {
			if (gone == child) {
				result = code_of(status);
				ended = 1;
			}
		}
		if (gone < 0 && errno == ECHILD)
			return result; /* orphans are our children too: the last one has ended */
		if (!stopping && (ended || sign == SIGTERM || sign == SIGINT)) {
			kill(-1, SIGTERM);
			stopping = 1;
			deadline = now() + grace;
		}
		if (stopping && now() > deadline)
			kill(-1, SIGKILL);
	}
}
