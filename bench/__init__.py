"""Benchmarks: fair, lean and reusable against any server that speaks the Svix API.

python -m bench --help          bench/README.md says how to read the figures
"""
