/* Stands in for syslog and prints what the library logs; makes the calls of its arguments. */

#include "check.h"

#include <stdarg.h>
#include <syslog.h>

void syslog(int priority, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf("%d ", priority);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
}

/* Exported by the library these callers had, though in no header. */
EFmErrorT fm_server_create(const char *);

int main(int argc, char **argv) {
    AlarmFilter filter = a_filter("host=log-1");
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "clear")) fm_clear_fault(&filter);
        if (!strcmp(argv[i], "null")) fm_clear_fault(NULL);
        if (!strcmp(argv[i], "server")) fm_server_create("");
    }
    return 0;
}
