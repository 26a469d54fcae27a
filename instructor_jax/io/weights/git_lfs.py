"""How a file begins that a git clone without git-lfs leaves in place of a large one."""

LFS_POINTER = b"version https://git-lfs"
