"""What may be done, by whom, with what, towards where: Cedar rules that an auditor can read. Deny by default."""
