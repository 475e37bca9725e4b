"""A fuzzer of everything that reads what others sent: `make fuzz ARGS="--seconds 600"`.

`seeds` are true bodies, `mutations` makes hostile ones of them, `targets` reads each as the gateway does and knows
which errors are declared; `growth` makes large ones, which must cost little time and memory, and no more than in
proportion.
"""
