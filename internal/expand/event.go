package expand

// Event is something that happened on the way of a message or in a connection, for those who want to know (option event_action, spec chapter 61).
type Event struct {
	// Name is a list of words, from the general to the particular: "msg:fail:delivery".
	Name string
	// Data is what the table of the chapter says for the event: a reply, an error, a depth. Outsiders may have had a hand in it.
	Data string
	// Errno is the error number of the events that end in ":defer".
	Errno int
	// Authenticator is the name of the one that failed, in auth:fail of a connection of ours.
	Authenticator string
}

// Raise tells of an event and returns what the listener said, which is a veto where the chapter allows one. The listener's mistakes are in the panic log
// and count for nothing. The scope is for the event alone (Scope.Derive). A nil Raise means that nobody listens; callers look before they put an
// Event together.
type Raise func(s *Scope, e Event) (result string)
