a.o b.o : a.c \
  k\l.h
