// TODO: everything
int todo() { return 0; }
