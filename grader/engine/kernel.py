"""A Jupyter kernel that has given up what a submission's process gives up; started by `grader.engine.provisioner` inside bubblewrap."""

from __future__ import annotations

from ipykernel.kernelapp import launch_new_instance

from grader.engine import confine


def main() -> None:
    """Serve until the kernel is shut down; the arguments are those of `ipykernel_launcher`."""
    confine.set_limits(confine.Limits())
    confine.drop_privileges(loopback=True)  # ipykernel speaks to itself over it
    launch_new_instance()


if __name__ == "__main__":
    main()
