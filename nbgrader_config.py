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
    "nbgrader.preprocessors.SaveCells",  # before the hidden tests go: the gradebook needs them
    "nbgrader.preprocessors.ClearHiddenTests",
    "grader.ledger.TagForRunAll",
    "nbgrader.preprocessors.ComputeChecksums",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.TagRemovePreprocessor.enabled = True  # without it the preprocessor does nothing
c.TagRemovePreprocessor.remove_cell_tags = {EXPLANATION_TAG}
