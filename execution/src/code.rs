//! Stable codes of why an execution took a status: what programs match on, beside the text for people.

/// Delayed: the revision that it names has not arrived yet.
pub const REVISION_NOT_HERE: &str = "revision_not_here";
/// Delayed: this release cannot use its revision or action.
pub const ACTION_BROKEN: &str = "action_broken";
/// Delayed: dispatch is paused for everybody.
pub const DISPATCH_PAUSED: &str = "dispatch_paused";
/// Delayed: it is to be tried again after a while.
pub const BACK_OFF: &str = "back_off";
/// Delayed: a gate of its policies has not let it pass yet; the error names the gate.
pub const GATE: &str = "gate";
/// Delayed: the times in which its attempts may begin are over for now.
pub const WINDOW: &str = "window";
/// Delayed: the task of a workflow that it runs for waits for a while before it starts.
pub const TASK_DELAY: &str = "task_delay";
/// Delayed, or failed: somebody has switched everything off.
pub const EVERYTHING_OFF: &str = "everything_off";
/// Delayed, or failed: somebody has switched the pack of its action off.
pub const PACK_OFF: &str = "pack_off";
/// Delayed, or failed: somebody has switched the pack of its rule off.
pub const RULE_PACK_OFF: &str = "rule_pack_off";
/// Delayed, or failed: somebody has switched its action off.
pub const ACTION_OFF: &str = "action_off";
/// Delayed, or failed: somebody has switched its rule off.
pub const RULE_OFF: &str = "rule_off";
/// Scheduled: a worker did not take its task, which is sent elsewhere in a moment.
pub const DECLINED: &str = "declined";

/// Failed: its revision was removed, or never there.
pub const REVISION_REMOVED: &str = "revision_removed";
/// Failed: its revision has no such action.
pub const NO_SUCH_ACTION: &str = "no_such_action";
/// Failed: its parameters do not fit its action.
pub const INVALID_PARAMETERS: &str = "invalid_parameters";
/// Failed: its parameters are over the limit.
pub const PARAMETERS_TOO_LARGE: &str = "parameters_too_large";
/// Failed: a policy's limit is used up, and it drops what is over it.
pub const POLICY_EXCESS: &str = "policy_excess";
/// Failed: it wanted a gate that comes before one that its ancestors hold, and there was no room for too long.
pub const POLICY_OUT_OF_ORDER: &str = "policy_out_of_order";
/// Failed: too many wait at a gate of its policies already.
pub const POLICY_TOO_MANY_WAIT: &str = "policy_too_many_wait";
/// Failed: too many gates have something to remember already.
pub const POLICY_TOO_MANY_GATES: &str = "policy_too_many_gates";
/// Failed: the key of a policy has no value for its parameters.
pub const POLICY_KEY: &str = "policy_key";
/// Failed: what its owner would have to remember of it is over the log's limit.
pub const STATE_TOO_LARGE: &str = "state_too_large";
/// Failed: a task of its workflow failed, and nothing in the workflow handles that.
pub const WORKFLOW_FAILED: &str = "workflow_failed";
/// Failed: its workflow cannot begin.
pub const WORKFLOW_NOT_BEGUN: &str = "workflow_not_begun";
/// Failed: what is stored of its workflow cannot be read.
pub const WORKFLOW_UNREADABLE: &str = "workflow_unreadable";
/// Timeout: nobody answered the question in time.
pub const UNANSWERED: &str = "unanswered";
/// Of a dead letter: what was asked of a workflow cannot be as it stands, or it is none.
pub const ASKED_IN_VAIN: &str = "asked_in_vain";
/// Failed: no topic carries the tasks of its action's pool.
pub const NO_SUCH_POOL: &str = "no_such_pool";
/// Failed: no worker of its action's pool has what the action needs, even with nothing else to do.
pub const NO_ROOM: &str = "no_room";

/// Canceled, or being canceled: somebody asked for it.
pub const CANCELED: &str = "canceled";
/// Failed: it came while its attempts may not begin, and its policy drops what does.
pub const WINDOW_CLOSED: &str = "window_closed";
/// Timeout, or being ended for that: its whole time is over.
pub const DEADLINE: &str = "deadline";
/// Failed: its attempt succeeded, its retry's expression asked for another one, and there is none any more.
pub const RETRY_UNMET: &str = "retry_unmet";
/// Failed: an attempt ended badly, and the time in which its retry allows another one passed before it could begin.
pub const RETRY_TIME: &str = "retry_time";
/// Timeout: no worker started it in time.
pub const SCHEDULE_TO_START: &str = "schedule_to_start";
/// Scheduled again or abandoned: the worker of the attempt before was lost.
pub const LEASE_LOST: &str = "lease_lost";
/// Abandoned: more workers were lost than `lost_leases_max` allows.
pub const LOST_LEASES_MAX: &str = "lost_leases_max";
/// Scheduled again or abandoned: its worker gave it back, mostly because it was shut down.
pub const HANDED_OVER: &str = "handed_over";

/// Any end: its structured result is over the limit and was left out.
pub const RESULT_TOO_LARGE: &str = "result_too_large";
/// Any end: its structured result is over the limit, the store of objects did not take it, and it was left out.
pub const RESULT_NOT_STORED: &str = "result_not_stored";
/// Failed: it ended with an exit code other than 0.
pub const EXIT_CODE: &str = "exit_code";
/// Failed: a signal ended it.
pub const SIGNAL: &str = "signal";
/// Failed: its result is not what its action says it to be, or does not hold what its action takes of it.
pub const OUTPUT_INVALID: &str = "output_invalid";
/// Timeout: it ran for longer than its action allows.
pub const RUN_TIMEOUT: &str = "run_timeout";
/// Failed: the events that it injects are over the log's limit.
pub const EVENT_TOO_LARGE: &str = "event_too_large";
/// Failed: its action is one that fails.
pub const TOLD_TO_FAIL: &str = "told_to_fail";
/// Failed: the answer to its request has a status code that is none of success.
pub const HTTP_STATUS: &str = "http_status";
/// Failed: its request was not answered: no connection, no trust, or no HTTP.
pub const HTTP_FAILED: &str = "http_failed";
/// Failed: its request may have been carried out, was not answered, and must not be sent twice.
pub const HTTP_UNKNOWN: &str = "http_unknown";
/// Failed: its request may not be sent to that address.
pub const ADDRESS_REFUSED: &str = "address_refused";
/// Failed: its message was not given to the server: no connection, no trust, or no SMTP.
pub const EMAIL_FAILED: &str = "email_failed";
/// Failed: the server refuses its message, its sender or one of its recipients.
pub const EMAIL_REFUSED: &str = "email_refused";
/// Failed: its message was given to the server, which did not say that it took it.
pub const EMAIL_UNKNOWN: &str = "email_unknown";
/// Failed: its record is over the log's limit.
pub const RECORD_TOO_LARGE: &str = "record_too_large";
/// Failed: its record may have been written, and must not be written twice.
pub const RECORD_UNKNOWN: &str = "record_unknown";
/// Failed: there is no topic of that name, or it does not have the partition.
pub const NO_SUCH_TOPIC: &str = "no_such_topic";
/// Failed: it failed on more hosts than may fail.
pub const SSH_HOSTS: &str = "ssh_hosts";
/// Failed: its Python code has raised an exception, or could not be imported.
pub const EXCEPTION: &str = "exception";
/// Failed: its Python code returned that it has failed.
pub const RETURNED_FAILURE: &str = "returned_failure";
/// Failed: the Python environment that it needs cannot be made.
pub const ENVIRONMENT_UNUSABLE: &str = "environment_unusable";
/// Failed: it could not be started.
pub const NOT_STARTED: &str = "not_started";
/// Failed: its image is not there, and is not or cannot be fetched.
pub const IMAGE_MISSING: &str = "image_missing";
/// Failed: it needed more memory than its limit, and the kernel ended it.
pub const OUT_OF_MEMORY: &str = "out_of_memory";
/// Failed: the kernel of its worker cannot hold it to what its action requires.
pub const NOT_CONFINED: &str = "not_confined";
/// Failed: an expression of its action has no value.
pub const RENDER_FAILED: &str = "render_failed";
/// Failed: there is no secret of a name that it needs, or none any more.
pub const SECRET_MISSING: &str = "secret_missing";
/// Failed: its worker cannot open a secret, or its value does not fit.
pub const SECRET_UNUSABLE: &str = "secret_unusable";
/// Failed: an object that its parameters name is not there any more, or is not what it was.
pub const OBJECT_UNUSABLE: &str = "object_unusable";
/// Failed: the files of its pack cannot be laid out.
pub const PACK_UNUSABLE: &str = "pack_unusable";
/// Lost: the process that watches over it died or said nothing of use.
pub const SUPERVISOR_LOST: &str = "supervisor_lost";
