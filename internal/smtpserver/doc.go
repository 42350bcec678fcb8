// Package smtpserver is the server's side of an SMTP session (spec chapter 49): from the accepted connection to QUIT, one
// file a command. It decides about the protocol: order, syntax, limits, pipelining and synchronisation, what EHLO offers,
// and it words the replies and the log lines about the session. What a command means beyond the protocol (ACLs, the
// reception of the message, address verification, the queue) comes in through Services.
//
// A reply is public text; the reason in the log is another string. Replies wait in a buffer and go out in one write before
// the session waits for input, so a pipelined batch is answered at once.
//
// Trust: reads what any client on the network sends. Lines, counts and waiting times are bounded; nothing a client sends
// reaches a log or a reply without its control characters made visible.
package smtpserver
