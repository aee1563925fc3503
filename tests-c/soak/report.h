/* Report of the program about itself: one line of JSON on stdout. */
#ifndef SOAK_REPORT_H
#define SOAK_REPORT_H

/* With the statistics of both contexts, unless they are freed. */
void report(const char *phase);

#endif
