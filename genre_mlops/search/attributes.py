"""What is noted of studies and trials beside what Optuna knows: names of its user attributes."""

from optuna.trial import TrialState

DONE = (TrialState.COMPLETE, TrialState.PRUNED)

# Of a study.
FINISHED = "genre.finished"
"""Its bundle has been registered."""
WORKSPACE = "genre.workspace"
"""What the file of this name in the study's folder holds: it is the same where that is shared."""
SEARCHED = "genre.searched."
"""Begins the names under which jobs note who they are, when they were last `seen`, and from when to
when they `searched`, in seconds since 1970."""

DATA, SYNTHETIC = "genre.dataset", "genre.synthetic"
"""The name of what it learns from, and whether that is music made for testing."""

# Of a trial.
PLACE = "genre.place"
"""Its place in the budget, from 0. A second try of a trial that was cut off has the same."""
WORKER, JOB = "genre.worker", "genre.job"
"""The process that runs it and the one that asked for it, as `this_process` names them."""
RUN = "genre.run_id"
"""Its MLflow run."""
EPOCHS, EPOCHS_BEFORE = "genre.epochs", "genre.epochs_before"
"""How many it has run, and how many were kept of the tries before it."""
DEATHS = "genre.deaths"
"""How many workers died over it one after the other, without an epoch more."""
GIVEN_UP = "genre.given_up"
"""That it is not tried again after these."""
CPU_S = "genre.cpu_s"
"""CPU-seconds of its worker while it ran; of the last try alone, where there were several."""
REASON, SECONDS, TRACKING_S = "genre.reason", "genre.seconds", "genre.tracking_s"
CUT_OFF = "genre.cut_off"
"""That the search's time was over before its last epoch."""
THREADS = "genre.threads"
"""That TensorFlow had; 0 left it the choice."""
MEMORY_MB = "genre.memory_mb"
"""What its worker held at the end."""
ACCURACY, LOSS_ERROR = "genre.validation_accuracy", "genre.validation_loss_error"
