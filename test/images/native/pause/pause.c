// SPDX-License-Identifier: Apache-2.0
// Holds a pod's namespaces and reaps its orphans, as Kubernetes' pause image does.
#include <signal.h>
#include <sys/wait.h>

int main(void)
{
	sigset_t set;
	int sig;

	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, 0);
	while (!sigwait(&set, &sig) && sig != SIGINT && sig != SIGTERM)
		while (sig == SIGCHLD && waitpid(-1, 0, WNOHANG) > 0)
			;
	return 0;
}
