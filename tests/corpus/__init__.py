"""Whatever a clumsy or hostile visitor may send, made by these modules, each entry with its expected answer.

`python -m benchmarks corpus` sends all of it to a real ``python app.py``.
"""
