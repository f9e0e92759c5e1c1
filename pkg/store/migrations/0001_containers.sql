-- One row per container in each table: what was asked, and what became of it.

CREATE TABLE containers (
	id       TEXT PRIMARY KEY NOT NULL,
	name     TEXT NOT NULL UNIQUE,
	image_id TEXT NOT NULL,
	created  TEXT NOT NULL, -- UTC, RFC 3339 with nine digits of a second, so that text sorts as time does
	spec     TEXT NOT NULL  -- container.Spec as JSON; never changed
) WITHOUT ROWID;

CREATE INDEX containers_by_image ON containers (image_id);

CREATE TABLE records (
	id              TEXT PRIMARY KEY NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
	state           TEXT NOT NULL,
	started_at      TEXT NOT NULL, -- as containers.created; '' before the first start
	finished_at     TEXT NOT NULL, -- '' before the first end
	exit_code       INTEGER NOT NULL,
	error           TEXT NOT NULL,
	oom_killed      INTEGER NOT NULL,
	restart_count   INTEGER NOT NULL,
	stopped_by_user INTEGER NOT NULL,
	monitor_pid     INTEGER NOT NULL
) WITHOUT ROWID;
