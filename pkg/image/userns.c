/*
 * A Go process cannot enter a user namespace once its threads run, so it is done
 * here, before the Go runtime starts: EnterUserNamespace (userns.go) puts an order
 * in the environment and executes the program again, with the same process id.
 *
 * Nothing is printed here and the process goes on whatever happens; the Go side
 * looks at vpod_userns and says what is wrong.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "userns.h"

struct vpod_userns_result vpod_userns = { VPOD_USERNS_IDLE, 0 };

enum { MAX_WORDS = 3 * 340 + 3 }; /* the kernel takes 340 lines of three numbers */

static void stopped_at(int step)
{
	vpod_userns.error = errno;
	vpod_userns.step = step;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = write(fd, text, strlen(text));
	int err = errno;
	close(fd);
	errno = err;
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

/* Runs TOOL PID WORD... with the blank-separated words of map. */
static int run_tool(const char *tool, pid_t pid, const char *map)
{
	char *argv[MAX_WORDS + 3], pidtext[24], *copy = strdup(map);
	int argc = 0, status;

	if (copy == NULL)
		return -1;
	snprintf(pidtext, sizeof pidtext, "%d", (int)pid);
	argv[argc++] = (char *)tool;
	argv[argc++] = pidtext;
	for (char *w = strtok(copy, " \n"); w != NULL && argc < MAX_WORDS; w = strtok(NULL, " \n"))
		argv[argc++] = w;
	argv[argc] = NULL;
	pid_t child = fork();
	if (child == 0) {
		execv(tool, argv);
		_exit(127);
	}
	free(copy);
	if (child < 0)
		return -1;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* Writes one map of another process: through the setuid tool, or, where there is
 * none because we are root already, directly. */
static int write_map(const char *tool, const char *file, pid_t pid, const char *map)
{
	char path[64];

	if (tool != NULL && *tool != '\0')
		return run_tool(tool, pid, map);
	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	return write_file(path, map);
}

/* Makes new namespaces. A child that stays outside writes the maps. */
static void make_namespaces(void)
{
	const char *uidmap = getenv("_VPOD_USERNS_UIDMAP"), *gidmap = getenv("_VPOD_USERNS_GIDMAP");
	const char *uidtool = getenv("_VPOD_USERNS_NEWUIDMAP"), *gidtool = getenv("_VPOD_USERNS_NEWGIDMAP");
	unsigned uid = geteuid(), gid = getegid();
	pid_t me = getpid();
	int ready[2], status = 0;
	char c = 0, line[64];

	if (uidmap == NULL || gidmap == NULL) {
		errno = EINVAL;
		return stopped_at(VPOD_USERNS_ORDER);
	}
	if (pipe2(ready, O_CLOEXEC) != 0)
		return stopped_at(VPOD_USERNS_FORK);
	pid_t helper = fork();
	if (helper < 0)
		return stopped_at(VPOD_USERNS_FORK);
	if (helper == 0) {
		int refused = 0;
		close(ready[1]);
		if (read(ready[0], &c, 1) != 1)
			_exit(0); /* the parent could not unshare */
		if (*gidmap == '\0' || write_map(gidtool, "gid_map", me, gidmap) != 0)
			refused |= 1;
		if (*uidmap == '\0' || write_map(uidtool, "uid_map", me, uidmap) != 0)
			refused |= 2;
		_exit(refused);
	}
	close(ready[0]);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
		stopped_at(VPOD_USERNS_UNSHARE);
		close(ready[1]);
		waitpid(helper, &status, 0);
		return;
	}
	if (write(ready[1], &c, 1) != 1)
		return stopped_at(VPOD_USERNS_FORK);
	close(ready[1]);
	while (waitpid(helper, &status, 0) < 0)
		if (errno != EINTR)
			return stopped_at(VPOD_USERNS_FORK);
	int refused = WIFEXITED(status) ? WEXITSTATUS(status) : 3;

	/* Whoever makes a namespace may map one id, its own, without any tool. */
	if (refused & 1) {
		snprintf(line, sizeof line, "0 %u 1\n", gid);
		if (write_file("/proc/self/setgroups", "deny") != 0 || write_file("/proc/self/gid_map", line) != 0)
			return stopped_at(VPOD_USERNS_MAP);
	}
	if (refused & 2) {
		snprintf(line, sizeof line, "0 %u 1\n", uid);
		if (write_file("/proc/self/uid_map", line) != 0)
			return stopped_at(VPOD_USERNS_MAP);
	}
	/* Supplementary groups are kept: membership of kvm opens /dev/kvm. */
	if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
		return stopped_at(VPOD_USERNS_SETID);
	stopped_at(refused ? VPOD_USERNS_SINGLE : VPOD_USERNS_DONE);
}

/* Joins the namespaces behind two inherited descriptors, keeping the directory. */
static void join_namespaces(int userfd, int mntfd)
{
	char cwd[PATH_MAX];
	const char *back = getcwd(cwd, sizeof cwd);

	if (setns(userfd, CLONE_NEWUSER) != 0)
		stopped_at(VPOD_USERNS_JOIN_USER);
	else if (setns(mntfd, CLONE_NEWNS) != 0)
		stopped_at(VPOD_USERNS_JOIN_MOUNT);
	else if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
		stopped_at(VPOD_USERNS_SETID);
	else
		stopped_at(VPOD_USERNS_DONE);
	if (vpod_userns.step == VPOD_USERNS_DONE && back != NULL && chdir(back) != 0) {
		/* It is gone; whoever uses a relative path will be told. */
	}
	close(userfd);
	close(mntfd);
}

__attribute__((constructor)) static void vpod_userns_enter(void)
{
	const char *order = getenv("_VPOD_USERNS");
	int userfd, mntfd;

	if (order == NULL)
		return;
	if (strcmp(order, "new") == 0) {
		make_namespaces();
	} else if (sscanf(order, "join %d %d", &userfd, &mntfd) == 2) {
		join_namespaces(userfd, mntfd);
	} else {
		errno = EINVAL;
		stopped_at(VPOD_USERNS_ORDER);
	}
	/* No child of ours may read the order as its own. */
	unsetenv("_VPOD_USERNS");
	unsetenv("_VPOD_USERNS_UIDMAP");
	unsetenv("_VPOD_USERNS_GIDMAP");
	unsetenv("_VPOD_USERNS_NEWUIDMAP");
	unsetenv("_VPOD_USERNS_NEWGIDMAP");
}
