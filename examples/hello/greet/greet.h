/* Greets everyone who is known when the program is built; returns how many. */
int greet_all(void);
