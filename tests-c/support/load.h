/* Is the library under test the one that runs? */
#ifndef SUPPORT_LOAD_H
#define SUPPORT_LOAD_H

/* One check; ends the program if another library (the stand-in's poison) is in use. */
void check_replacement(void);

#endif
