"""What a model can do, by kind of task: questions whose answers a rule can judge, and what came of asking them.

`questions` draws them, `grading` judges, `profile` keeps how often answers did, with intervals; `measure` asks.
"""
