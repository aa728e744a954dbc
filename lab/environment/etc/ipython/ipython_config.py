"""What every kernel of this environment begins with; `make setup` copies it into .venv."""

c = get_config()  # noqa: F821  (IPython puts it here)
c.InteractiveShellApp.extensions = ["grader.student.tracebacks"]
