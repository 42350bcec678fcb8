package mail

// Exim's own error numbers, below zero. They stand in log lines ("defer (-44)"), in retry hints, and select
// retry rules (spec 32.2, 52.12). Numbers above zero are the system's errno values.
const (
	ErrnoUnknown         = -1
	ErrnoNotRegular      = -4
	ErrnoNotDirectory    = -5
	ErrnoBadUGID         = -6
	ErrnoBadMode         = -7
	ErrnoLockFailed      = -9
	ErrnoBadRedirect     = -17
	ErrnoSMTPClosed      = -18 // the server closed the connection
	ErrnoSMTPFormat      = -19 // malformed reply
	ErrnoSpoolFormat     = -20
	ErrnoNotAbsolute     = -21
	ErrnoQuota           = -22 // Exim's own quota check
	ErrnoHeld            = -23 // hold_domains
	ErrnoFilterFail      = -24
	ErrnoHeaderFail      = -25
	ErrnoWriteIncomplete = -26
	ErrnoExpandFail      = -27
	ErrnoGIDFail         = -28
	ErrnoUIDFail         = -29
	ErrnoBadTransport    = -30
	ErrnoMailboxLength   = -31
	ErrnoUnknownHost     = -32
	ErrnoFormatUnknown   = -33
	ErrnoBadCreate       = -34
	ErrnoListDefer       = -35
	ErrnoDNSDefer        = -36
	ErrnoTLSFailure      = -37
	ErrnoTLSRequired     = -38
	ErrnoChownFail       = -39
	ErrnoPipeFail        = -40
	ErrnoCalloutDefer    = -41
	ErrnoAuthFail        = -42
	ErrnoConnectTimeout  = -43
	ErrnoRcpt4xx         = -44
	ErrnoMail4xx         = -45
	ErrnoData4xx         = -46
	ErrnoAuthProblem     = -48
	// The retry-time numbers: nothing was tried.
	ErrnoRoutingRetry   = -52
	ErrnoLocalRetry     = -53
	ErrnoHostsRetry     = -54
	ErrnoQueueDomain    = -56
	ErrnoTransportLimit = -57
	ErrnoEvent          = -58 // an event's listener refuses the connection
)

// The values of Outcome.MoreErrno: the low byte tells how the host was found, the bits above it that a
// connection timed out or, with the 4xx numbers, the last two digits of the reply (451 gives 51<<8).
const (
	MoreA              int = 'A'   // host found by an address record or named directly
	MoreMX             int = 'M'   // host found by an MX record
	MoreConnectTimeout     = 0x100 // with the system's ETIMEDOUT: while connecting
)
