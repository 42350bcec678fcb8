/* A library with the functions of Brightmail's client library, for tests: it judges by words in the message.
   A verdict is kind;location;rules;recipients with the recipients separated by commas.
   Body with "SPAM": recipients with the opt-in word "strict" get nothing, the others the message elsewhere; else default.
   Body with "CRASH": the process dies; with "HANG" it never ends. Body with "FATAL": the end of the body is a fatal error. Each header "X-Rule: N" fires rule N. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int BmiError; /* 0, or where * 256 + type */
enum { KINDS = 3 };
static const char *const kinds[KINDS] = {"default", "alternate", "none"};
static const char *const locations[KINDS] = {"", "X-Brightmail: spam", ""};
static const char legal[] = "abcdefghijklmnopqrstuvwxyz0123456789@.-_";

typedef struct { int dummy; } System;
typedef struct { char words[256]; } Optin;
typedef struct { char address[256]; } Recipient;
typedef struct {
  int fatal, kind, count;
  char location[64], rules[256];
  Recipient *recipients;
} Verdict;
typedef struct {
  char ip[64], rules[256], *body;
  size_t length;
  int count;
  struct { char address[256]; int strict; } *to;
  Verdict *verdicts[KINDS + 1];
} Message;

int bmiErrorIsFatal(BmiError e) { return e != 0; }
int bmiErrorGetLocation(BmiError e) { return e / 256; }
int bmiErrorGetType(BmiError e) { return e % 256; }

static int live; /* objects that were not freed */
static void *make(size_t n) { live++; return calloc(1, n); }
static void drop(void *p) { live--; free(p); }
int bmiTestLive(void) { return live; }

BmiError bmiInitSystem(int version, const char *config, System **s) {
  FILE *f = fopen(config, "r");
  if (version != 601 || !f) return 1 * 256 + 2;
  fclose(f);
  puts("noise on the standard output");
  *s = make(sizeof **s);
  return 0;
}
BmiError bmiFreeSystem(System *s) { drop(s); return 0; }
BmiError bmiInitMessage(System *s, Message **m) {
  *m = make(sizeof **m);
  return s ? 0 : 2 * 256 + 1;
}
static void freeVerdict(Verdict *v) { free(v->recipients); drop(v); }
BmiError bmiFreeMessage(Message *m) {
  for (int i = 0; i < KINDS; i++) if (m->verdicts[i]) freeVerdict(m->verdicts[i]);
  free(m->to); free(m->body); drop(m);
  return 0;
}
BmiError bmiProcessConnection(const char *ip, Message *m) { snprintf(m->ip, sizeof m->ip, "%s", ip); return 0; }
BmiError bmiProcessFROM(const char *sender, Message *m) { return m->ip[0] && !strstr(sender, "nobody@") ? 0 : 3 * 256 + 4; }
BmiError bmiOptinInit(Optin **o) { *o = make(sizeof **o); return 0; }
BmiError bmiOptinMset(Optin *o, const char *words, char separator) {
  if (strstr(words, "unknown") || separator != ':') return 4 * 256 + 7;
  snprintf(o->words, sizeof o->words, ":%s:", words);
  return 0;
}
BmiError bmiOptinFree(Optin *o) { drop(o); return 0; }
BmiError bmiAccumulateTO(const char *address, Optin *o, Message *m) {
  m->to = realloc(m->to, (m->count + 1) * sizeof *m->to);
  snprintf(m->to[m->count].address, sizeof m->to[0].address, "%s", address);
  m->to[m->count++].strict = o && strstr(o->words, ":strict:");
  return 0;
}
BmiError bmiEndTO(Message *m) { return m->count ? 0 : 5 * 256 + 1; }
BmiError bmiAccumulateHeaders(const char *text, int length, Message *m) {
  if (!strncmp(text, "X-Rule: ", 8) && text[length - 1] == '\n')
    snprintf(m->rules + strlen(m->rules), sizeof m->rules - strlen(m->rules), "%d,", atoi(text + 8));
  return 0;
}
BmiError bmiEndHeaders(Message *m) { return 0; }
BmiError bmiAccumulateBody(const char *data, int length, Message *m) {
  if (length > 4096) return 6 * 256 + 1;
  m->body = realloc(m->body, m->length + length + 1);
  memcpy(m->body + m->length, data, length);
  m->body[m->length += length] = 0;
  return 0;
}
BmiError bmiEndBody(Message *m) {
  if (m->body && strstr(m->body, "CRASH")) abort();
  while (m->body && strstr(m->body, "HANG")) pause();
  return m->body && strstr(m->body, "FATAL") ? 7 * 256 + 9 : 0;
}
BmiError bmiEndMessage(Message *m) {
  for (int i = 0; i < m->count; i++) {
    int kind = m->body && strstr(m->body, "SPAM") ? 1 + (m->to[i].strict != 0) : 0;
    Verdict *v = m->verdicts[kind];
    if (!v) { m->verdicts[kind] = v = make(sizeof *v); v->kind = kind; strcpy(v->location, locations[kind]); strcpy(v->rules, m->rules); }
    v->recipients = realloc(v->recipients, (v->count + 1) * sizeof *v->recipients);
    strcpy(v->recipients[v->count++].address, m->to[i].address);
  }
  return 0;
}
Verdict *bmiAccessNextVerdict(Message *m, Verdict *before) {
  for (int i = before ? before->kind + 1 : 0; i < KINDS; i++) if (m->verdicts[i]) return m->verdicts[i];
  return NULL;
}
Verdict *bmiAccessFirstVerdict(Message *m) { return bmiAccessNextVerdict(m, NULL); }
BmiError bmiCreateStrFromVerdict(Verdict *v, char **text) {
  *text = make(64 + strlen(v->rules) + v->count * 257);
  sprintf(*text, "%s;%s;", kinds[v->kind], v->rules);
  for (int i = 0; i < v->count; i++) sprintf(*text + strlen(*text), "%s,", v->recipients[i].address);
  return 0;
}
BmiError bmiFreeStr(char *text) { drop(text); return 0; }

BmiError bmiCreateVerdictFromStr(const char *text, Verdict **out) {
  char *copy = strdup(text), *rest = copy, *kind = strsep(&rest, ";"), *rules = strsep(&rest, ";");
  Verdict *v = make(sizeof *v);
  *out = v;
  for (v->kind = 0; v->kind < KINDS && strcmp(kind, kinds[v->kind]); v->kind++);
  if ((v->fatal = v->kind == KINDS || !rules || !rest)) { free(copy); return 0; }
  strcpy(v->location, locations[v->kind]);
  snprintf(v->rules, sizeof v->rules, ",%s", rules);
  for (char *a; (a = strsep(&rest, ",")) && *a && strspn(a, legal) == strlen(a);) {
    v->recipients = realloc(v->recipients, (v->count + 1) * sizeof *v->recipients);
    snprintf(v->recipients[v->count++].address, sizeof v->recipients[0].address, "%s", a);
  }
  free(copy);
  return 0;
}
BmiError bmiFreeVerdict(Verdict *v) { freeVerdict(v); return 0; }
BmiError bmiVerdictError(Verdict *v) { return v->fatal ? 8 * 256 + 3 : 0; }
int bmiVerdictDestinationIsDefault(Verdict *v) { return v->kind == 0; }
const char *bmiVerdictAccessDestination(Verdict *v) { return v->kind == 2 ? NULL : v->location; }
Recipient *bmiVerdictAccessNextRecipient(Verdict *v, Recipient *before) {
  int i = before ? before - v->recipients + 1 : 0;
  return i < v->count ? v->recipients + i : NULL;
}
Recipient *bmiVerdictAccessFirstRecipient(Verdict *v) { return bmiVerdictAccessNextRecipient(v, NULL); }
const char *bmiRecipientAccessAddress(Recipient *r) { return r->address; }
BmiError bmiCreateOldStrFromVerdict(Verdict *v, char **text) {
  *text = make(300);
  sprintf(*text, "rules%s", v->rules);
  return 0;
}
int bmiVerdictRuleFired(Verdict *v, int rule) {
  char word[16];
  snprintf(word, sizeof word, ",%d,", rule);
  return strstr(v->rules, word) != NULL;
}
