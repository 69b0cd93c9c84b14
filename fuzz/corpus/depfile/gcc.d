a.o: a.c /usr/include/stdc-predef.h a\ b.h \
 c$$d.h e\#f.h g\:h.h i:j.h x\\ 

a.h:

b.h:
