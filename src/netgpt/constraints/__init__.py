"""Private constraints, kept without telling: what a person's private facts rule out, read from any wording (`reading`),
held against each option of an answer (`options`, `choose`) with the help of a table of foods (`taxonomy`) and of what
is not food (`features`); and the neutral sentence that asks for options (`asking`)."""
