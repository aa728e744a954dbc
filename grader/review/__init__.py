"""What a graded class shows: its mistakes, a report for the teacher, a page for every student, answers that resemble each other.

`mistakes` knows the lesson's wrong answers by what they do; `papers` reads a class with them; `report`, `feedback` and `similarity`
write, by way of `pages` and the templates. Nothing here grades, or writes to the gradebook.
"""
