"""What a student does with the course besides working in JupyterLab: see how far they are, take a newer edition, hand in."""
