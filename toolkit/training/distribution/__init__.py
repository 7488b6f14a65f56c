"""Training on several devices and in several processes, by the strategies of ``tf.distribute``.

A module by the name of each row of ``toolkit/project/strategies.py`` makes its strategy. All of it
runs in the worker.
"""
