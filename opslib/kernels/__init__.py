"""Warm single-use kernels: one process imports what notebooks import, and forks a kernel for each run.

`zygote` is that process and `forked` what a fork does to become a kernel; `provisioner` asks for one
wherever Jupyter starts kernels of the kernelspec `opslib`; `client` finds or starts the zygote of this
user and interpreter. Whenever anything is odd, and on every system but Linux, the kernel is started the
ordinary way: slower, with the same results.
"""
