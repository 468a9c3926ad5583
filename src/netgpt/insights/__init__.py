"""What an operator's network tells of the box's own line: radio information, quality on demand. Off unless set."""
