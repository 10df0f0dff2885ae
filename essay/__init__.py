"""Writes ``docs/why-output-costs-more.md`` and its plots: numbers from the use cases, claims checked.

``python -m essay`` writes; the tests in ``tests/essay`` fail where what is committed differs.
"""
