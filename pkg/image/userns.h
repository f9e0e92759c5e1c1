/* What the constructor in userns.c did; see userns.go. */

enum vpod_userns_step {
	VPOD_USERNS_IDLE = 0,    /* nothing was asked of it */
	VPOD_USERNS_DONE,        /* inside, with all the ids that were asked for */
	VPOD_USERNS_SINGLE,      /* inside, with one id: newuidmap or newgidmap refused */
	VPOD_USERNS_ORDER,       /* the order in the environment makes no sense */
	VPOD_USERNS_FORK,        /* the process that writes the maps could not be started */
	VPOD_USERNS_UNSHARE,     /* no user namespace could be made */
	VPOD_USERNS_MAP,         /* not even one id could be mapped */
	VPOD_USERNS_SETID,       /* user or group 0 could not be taken */
	VPOD_USERNS_JOIN_USER,   /* the other process's user namespace could not be joined */
	VPOD_USERNS_JOIN_MOUNT,  /* its mount namespace could not be joined */
};

struct vpod_userns_result {
	int step;  /* enum vpod_userns_step: where it ended */
	int error; /* errno of a step that failed */
};

extern struct vpod_userns_result vpod_userns;
