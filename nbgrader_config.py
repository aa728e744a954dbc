"""Settings of nbgrader for this course. Each says which of nbgrader's habits it answers."""

from grader.notebook import EXPLANATION_TAG

c = get_config()  # noqa: F821  (nbgrader puts it here)

c.CourseDirectory.course_id = "deep-learning"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "notebooks"
c.CourseDirectory.submitted_directory = "gradebook/submitted"
c.CourseDirectory.autograded_directory = "gradebook/autograded"
c.CourseDirectory.feedback_directory = "gradebook/feedback"
c.CourseDirectory.db_url = "sqlite:///gradebook/gradebook.db"
# Every other file of a chapter's folder is copied into the release and beside each submission: the lesson source must not be.
c.CourseDirectory.ignore = [".ipynb_checkpoints", "__pycache__", "*.py", "*.pyc", "feedback"]

c.GenerateAssignment.preprocessors = [
    "nbconvert.preprocessors.TagRemovePreprocessor",  # worked explanations
    "nbgrader.preprocessors.LockCells",
    "nbgrader.preprocessors.ClearSolutions",
    "nbgrader.preprocessors.ClearOutput",
    "nbgrader.preprocessors.CheckCellMetadata",
    "nbgrader.preprocessors.ComputeChecksums",
    # Before the hidden tests go: the gradebook needs them. SaveCells itself refuses added and removed cells once there are submissions.
    "grader.ledger.KeepMarks",
    "nbgrader.preprocessors.ClearHiddenTests",
    "grader.ledger.TagForRunAll",
    "nbgrader.preprocessors.ComputeChecksums",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.TagRemovePreprocessor.enabled = True  # without it the preprocessor does nothing
c.TagRemovePreprocessor.remove_cell_tags = {EXPLANATION_TAG}

c.Autograde.sanitize_preprocessors = [
    # Only answers and added code cells come from the submission. In place of ClearOutput, DeduplicateIds, OverwriteKernelspec and
    # OverwriteCells: a tag `skip-execution` earned all points, a deleted check kept its old mark, a duplicated one stopped the batch.
    "grader.ledger.Rebuild",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.Autograde.autograde_preprocessors = [
    # In place of Execute: a folder without the student's files (a torch.py beside the notebook shadows torch), COURSE_DATA (grading
    # runs one folder deeper than the notebook), a time limit by kind of cell, and a dead kernel does not void what was reached.
    "grader.ledger.RunSubmission",
    "nbgrader.preprocessors.IgnorePattern",
    "grader.ledger.RequireExecution",  # no output means all points: a check that did not run must fail
    "nbgrader.preprocessors.LimitOutput",
    # No ClearMetadataPreprocessor: nbgrader lists it switched off, and switched on it would take the grade_ids away.
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.RunSubmission.check_timeout = 10  # seconds for a check or hidden test; after a timeout the notebook goes on
c.Execute.timeout = 60  # seconds for any other cell
c.Execute.error_on_timeout = {
    "ename": "CellTimeoutError",
    "evalue": "the cell did not end within its time limit",  # nbgrader says nothing
    "traceback": ["CellTimeoutError: the cell did not end within its time limit"],
}
c.Execute.shutdown_kernel = "immediate"  # a polite shutdown takes 0.7 s more
c.Execute.extra_arguments = [
    # exit() stops the kernel a tenth of a second later, in whatever cell it is then; without the name it is an error of its cell.
    "--IPKernelApp.exec_lines=del exit, quit",
    # Of a failure only the message counts. A traceback of a deep recursion took so long to write that the kernel was given up.
    "--InteractiveShell.xmode=Minimal",
]
# Any text on stderr under a check scores it 0, a warning of torch too.
c.IgnorePattern.enabled = True
c.IgnorePattern.pattern = "(?s).*"

c.Attempts.counts = "last"  # or "best": of several attempts that were collected, less what each loses by being late
c.AssignLatePenalties.plugin_class = "grader.ledger.lateness.LatePenalty"
c.LatePenalty.per_day = 0.0  # the share of the points that each day costs which has begun since the chapter was due; 0.1 is ten per cent
c.LatePenalty.at_most = 1.0  # the share that is taken off at most

c.GenerateFeedback.preprocessors = [
    "nbgrader.preprocessors.GetGrades",
    "grader.ledger.HideTests",  # nbgrader shows hidden tests, and lets <script> through
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]
c.HTMLExporter.sanitize_html = True  # a second line of defence for outputs
