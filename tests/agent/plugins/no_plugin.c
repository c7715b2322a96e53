/* A shared object, and no plugin. */
extern int something;
int something = 1;
