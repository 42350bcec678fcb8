/* A module for tests. Its arguments are done in turn:
     123        a conversation with messages of these styles (1 prompt without echo, 2 with echo, 3 error, 4 text); answers are collected
     want=b,c   fails unless these are the answers so far; "-" is no answer, [-] an absent one
     user=a     fails unless this is the user, service=s, and the service
     delay=n    asks for a delay of n microseconds
     return=n   ends with this code
     crash, hang
   The declarations are those of Linux-PAM's headers, which need not be installed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pam_message { int style; const char *text; };
struct pam_response { char *text; int code; };
struct pam_conv { int (*call)(int, const struct pam_message **, struct pam_response **, void *); void *data; };
int pam_get_item(const void *, int, const void **);
int pam_fail_delay(void *, unsigned);

enum { SUCCESS = 0, AUTH_ERR = 7, SERVICE = 1, USER = 2, CONV = 5 };

static int converse(void *pam, const char *styles, char *got, size_t size) {
  const struct pam_conv *conv;
  struct pam_message messages[40];
  const struct pam_message *pointers[40];
  struct pam_response *responses = 0;
  int n = strlen(styles), code;
  pam_get_item(pam, CONV, (const void **)&conv);
  for (int i = 0; i < n; i++) {
    messages[i].style = styles[i] - '0';
    messages[i].text = "Prompt: ";
    pointers[i] = &messages[i];
  }
  if ((code = conv->call(n, pointers, &responses, conv->data)) != SUCCESS)
    return code;
  for (int i = 0; i < n; i++) {
    size_t at = strlen(got);
    snprintf(got + at, size - at, "%s%s", at ? "," : "", responses[i].text ? responses[i].text : "[-]");
    free(responses[i].text);
  }
  free(responses);
  return SUCCESS;
}

static int is(void *pam, int item, const char *want) {
  const void *have = 0;
  pam_get_item(pam, item, &have);
  return have && !strcmp(have, want);
}

static int run(void *pam, int argc, const char **argv) {
  char got[4096] = "";
  for (int i = 0; i < argc; i++) {
    const char *a = argv[i];
    int code = SUCCESS;
    if (!strncmp(a, "want=", 5)) code = strcmp(got, strcmp(a + 5, "-") ? a + 5 : "") ? AUTH_ERR : SUCCESS;
    else if (!strncmp(a, "user=", 5)) code = is(pam, USER, a + 5) ? SUCCESS : AUTH_ERR;
    else if (!strncmp(a, "service=", 8)) code = is(pam, SERVICE, a + 8) ? SUCCESS : AUTH_ERR;
    else if (!strncmp(a, "delay=", 6)) pam_fail_delay(pam, atoi(a + 6));
    else if (!strncmp(a, "return=", 7)) code = atoi(a + 7);
    else if (!strcmp(a, "crash")) abort();
    else if (!strcmp(a, "hang")) for (;;) pause();
    else code = converse(pam, a, got, sizeof got);
    if (code != SUCCESS) return code;
  }
  return SUCCESS;
}

int pam_sm_authenticate(void *pam, int flags, int argc, const char **argv) { return run(pam, argc, argv); }
int pam_sm_acct_mgmt(void *pam, int flags, int argc, const char **argv) { return run(pam, argc, argv); }
int pam_sm_setcred(void *pam, int flags, int argc, const char **argv) { return SUCCESS; }
