"""Parts for nas from outside its repository: a supernet, a known cost and a measured one."""
